from .batch import (
    Summary as Summary,
)
from .batch import (
    explain as explain,
)
from .card import (
    Card as Card,
)
from .card import (
    Figure as Figure,
)
from .card import (
    MapCard as MapCard,
)
from .examination import Examination as Examination
from .explained_network import Subject as Subject
from .reference import Reference as Reference
from .trust_rules import (
    Judgement as Judgement,
)
from .trust_rules import (
    judge as judge,
)
