"""How a network is trained: each method a frozen dataclass, what training changes an `nn.Module`.

Every method is one sentence with three slots: how x becomes x', what is compared, and what is remembered.
"""

from pellucid.methods.adversarial import AdversarialTraining
from pellucid.methods.controls import GaussianAugmentation, NoiseAugmentation
from pellucid.methods.method import Method
from pellucid.methods.regular import Regular
from pellucid.methods.saliency_guided import SaliencyGuided
from pellucid.methods.scaat import SCAAT, AdversarialSCAAT

__all__ = [
    "SCAAT",
    "AdversarialSCAAT",
    "AdversarialTraining",
    "GaussianAugmentation",
    "Method",
    "NoiseAugmentation",
    "Regular",
    "SaliencyGuided",
]
