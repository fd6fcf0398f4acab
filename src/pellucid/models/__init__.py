"""Networks: a person's choice, how it is built, and the weights it starts from."""

from pellucid.models.binary import Binary, OneLabel
from pellucid.models.lenet import LeNet5, SGTNet
from pellucid.models.network import NAMES, Network, build, without_weights
from pellucid.models.outputs import Logits, bare
from pellucid.models.preprocessing import Normalize, Preprocessing, preprocessing_of
from pellucid.models.resnet import ResNet
from pellucid.models.vgg import VGG
from pellucid.models.weights import load_weights
from pellucid.models.wide_resnet import WideResNet

__all__ = [
    "NAMES",
    "VGG",
    "Binary",
    "LeNet5",
    "Logits",
    "Network",
    "Normalize",
    "OneLabel",
    "Preprocessing",
    "ResNet",
    "SGTNet",
    "WideResNet",
    "bare",
    "build",
    "load_weights",
    "preprocessing_of",
    "without_weights",
]
