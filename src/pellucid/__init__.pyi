from .attacks import (
    PGD as PGD,
)
from .attacks import (
    fgsm as fgsm,
)
from .core.errors import InputError as InputError
from .core.types import (
    Batch as Batch,
)
from .core.types import (
    Saliency as Saliency,
)
from .data import Data as Data
from .divergence import (
    jensen_shannon as jensen_shannon,
)
from .divergence import (
    kl as kl,
)
from .divergence import (
    symmetric_kl as symmetric_kl,
)
from .edits.smoothing import (
    Smoothing as Smoothing,
)
from .edits.smoothing import (
    insert_smoothing as insert_smoothing,
)
from .methods import (
    SCAAT as SCAAT,
)
from .methods import (
    AdversarialSCAAT as AdversarialSCAAT,
)
from .methods import (
    AdversarialTraining as AdversarialTraining,
)
from .methods import (
    Method as Method,
)
from .methods import (
    Regular as Regular,
)
from .methods import (
    SaliencyGuided as SaliencyGuided,
)
from .methods.adaptive_q import AdaptiveQ as AdaptiveQ
from .methods.objective import Objective as Objective
from .metrics import (
    gini as gini,
)
from .metrics import (
    perturbation_curve as perturbation_curve,
)
from .metrics import (
    relative_stability as relative_stability,
)
from .models import Network as Network
from .runs.evaluation import (
    Evaluation as Evaluation,
)
from .runs.evaluation import (
    evaluate as evaluate,
)
from .runs.settings import (
    Experiment as Experiment,
)
from .runs.settings import (
    Optimizer as Optimizer,
)
from .runs.settings import (
    Schedule as Schedule,
)
from .runs.training import fit as fit
from .saliency import (
    IntegratedGradients as IntegratedGradients,
)
from .saliency import (
    SmoothGrad as SmoothGrad,
)
from .saliency import (
    VanillaGradient as VanillaGradient,
)
from .saliency import (
    as_saliency as as_saliency,
)
from .saliency import (
    heatmap as heatmap,
)
from .saliency import (
    lowest as lowest,
)

__version__: str
