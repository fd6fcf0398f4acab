from .formats import render as render
from .glossary import describe as describe
from .page import write_report as write_report
from .picture import write_picture as write_picture
from .runs import (
    Run as Run,
)
from .runs import (
    read_run as read_run,
)
from .runs import (
    read_runs as read_runs,
)
from .table import (
    compare as compare,
)
from .table import (
    definitions as definitions,
)
from .table import (
    summarise as summarise,
)
