from .comparability import check_comparable as check_comparable
from .directory import RunDirectory as RunDirectory
from .evaluated import Run as Run, read_run as read_run, read_runs as read_runs
from .evaluation import Evaluation as Evaluation, evaluate as evaluate
from .facts import DataFacts as DataFacts
from .fine_tuning import FineTuning as FineTuning
from .layers import freeze as freeze, parameter_groups as parameter_groups
from .predictions import predict as predict
from .settings import (
    Experiment as Experiment,
    Optimizer as Optimizer,
    Schedule as Schedule,
    read_experiment as read_experiment,
)
from .trained import (
    TrainedNetwork as TrainedNetwork,
    load as load,
    load_network as load_network,
    open_run as open_run,
)
from .training import fit as fit
