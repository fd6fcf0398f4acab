from .attacks import (
    PGD as PGD,
    fgsm as fgsm,
)
from .config import trust as trust
from .core.errors import InputError as InputError
from .core.types import (
    Batch as Batch,
    Saliency as Saliency,
)
from .data import Data as Data
from .divergence import (
    jensen_shannon as jensen_shannon,
    kl as kl,
    symmetric_kl as symmetric_kl,
)
from .edits.activation import (
    Activation as Activation,
    swap_activations as swap_activations,
)
from .edits.smoothing import (
    Smoothing as Smoothing,
    insert_smoothing as insert_smoothing,
)
from .explanation.cards import explain as explain
from .exports import (
    Written as Written,
    export as export,
)
from .leaderboard.presets import (
    Preset as Preset,
    preset as preset,
)
from .methods import (
    SCAAT as SCAAT,
    TRADES as TRADES,
    AdversarialSCAAT as AdversarialSCAAT,
    AdversarialTraining as AdversarialTraining,
    Alternating as Alternating,
    EnergyLoss as EnergyLoss,
    FreeAdversarialTraining as FreeAdversarialTraining,
    GaussianAugmentation as GaussianAugmentation,
    GradientAlignment as GradientAlignment,
    GradientPenalty as GradientPenalty,
    JacobianPenalty as JacobianPenalty,
    Method as Method,
    NoiseAugmentation as NoiseAugmentation,
    Regular as Regular,
    RightReasons as RightReasons,
    SaliencyGuided as SaliencyGuided,
    StructuredAdversarialTraining as StructuredAdversarialTraining,
)
from .methods.adaptive_q import AdaptiveQ as AdaptiveQ
from .methods.objective import Objective as Objective
from .metrics import (
    Case as Case,
    Column as Column,
    Metric as Metric,
    gini as gini,
    perturbation_curve as perturbation_curve,
    relative_stability as relative_stability,
)
from .models import Network as Network
from .runs.evaluation import (
    Evaluation as Evaluation,
    evaluate as evaluate,
)
from .runs.fine_tuning import FineTuning as FineTuning
from .runs.settings import (
    Experiment as Experiment,
    Optimizer as Optimizer,
    Schedule as Schedule,
)
from .runs.trained import load as load
from .runs.training import fit as fit
from .saliency import (
    AttentionRollout as AttentionRollout,
    GradCAM as GradCAM,
    GradCAMPlusPlus as GradCAMPlusPlus,
    IntegratedGradients as IntegratedGradients,
    LayerCAM as LayerCAM,
    SmoothGrad as SmoothGrad,
    VanillaGradient as VanillaGradient,
    as_saliency as as_saliency,
    heatmap as heatmap,
    lowest as lowest,
)

__version__: str
