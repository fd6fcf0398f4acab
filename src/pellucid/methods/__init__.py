"""How a network is trained: each method a frozen dataclass, what training changes an `nn.Module`.

Every method is one sentence with three slots: how x becomes x', what is compared, and what is remembered.
"""

from pellucid.methods.adversarial import AdversarialTraining
from pellucid.methods.alignment import GradientAlignment
from pellucid.methods.alternating import Alternating
from pellucid.methods.controls import GaussianAugmentation, NoiseAugmentation
from pellucid.methods.free import FreeAdversarialTraining
from pellucid.methods.gradient_penalty import GradientPenalty
from pellucid.methods.jacobian import JacobianPenalty
from pellucid.methods.method import Method
from pellucid.methods.penalty import Penalty
from pellucid.methods.regular import Regular
from pellucid.methods.right_reasons import EnergyLoss, RightReasons
from pellucid.methods.saliency_guided import SaliencyGuided
from pellucid.methods.scaat import SCAAT, AdversarialSCAAT
from pellucid.methods.structured import StructuredAdversarialTraining
from pellucid.methods.trades import TRADES

__all__ = [
    "SCAAT",
    "TRADES",
    "AdversarialSCAAT",
    "AdversarialTraining",
    "Alternating",
    "EnergyLoss",
    "FreeAdversarialTraining",
    "GaussianAugmentation",
    "GradientAlignment",
    "GradientPenalty",
    "JacobianPenalty",
    "Method",
    "NoiseAugmentation",
    "Penalty",
    "Regular",
    "RightReasons",
    "SaliencyGuided",
    "StructuredAdversarialTraining",
]
