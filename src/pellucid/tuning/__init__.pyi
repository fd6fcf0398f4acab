from .plan import Tune as Tune
from .tune import tune as tune
