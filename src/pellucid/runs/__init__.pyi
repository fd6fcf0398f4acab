from .directory import (
    Run as Run,
)
from .directory import (
    RunDirectory as RunDirectory,
)
from .directory import (
    check_comparable as check_comparable,
)
from .directory import (
    read_run as read_run,
)
from .directory import (
    read_runs as read_runs,
)
from .evaluation import (
    Evaluation as Evaluation,
)
from .evaluation import (
    evaluate as evaluate,
)
from .facts import DataFacts as DataFacts
from .predictions import predict as predict
from .settings import (
    Experiment as Experiment,
)
from .settings import (
    Optimizer as Optimizer,
)
from .settings import (
    Schedule as Schedule,
)
from .settings import (
    read_experiment as read_experiment,
)
from .trained import (
    load_network as load_network,
)
from .trained import (
    open_run as open_run,
)
from .training import fit as fit
