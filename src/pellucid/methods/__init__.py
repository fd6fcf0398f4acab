"""How a network is trained: each method a frozen dataclass, what training changes an `nn.Module`."""

from pellucid.methods.methods import (
    SCAAT,
    AdversarialSCAAT,
    AdversarialTraining,
    Method,
    Regular,
    SaliencyGuided,
)

__all__ = [
    "SCAAT",
    "AdversarialSCAAT",
    "AdversarialTraining",
    "Method",
    "Regular",
    "SaliencyGuided",
]
