"""Networks: a person's choice, how it is built, and the weights it starts from."""

from pellucid.models.binary import Binary, OneLabel
from pellucid.models.lenet import LeNet5, SGTNet
from pellucid.models.network import NAMES, Network, Normalize, build
from pellucid.models.resnet import ResNet
from pellucid.models.vgg import VGG
from pellucid.models.weights import load_weights
from pellucid.models.wide_resnet import WideResNet

__all__ = [
    "NAMES",
    "VGG",
    "Binary",
    "LeNet5",
    "Network",
    "Normalize",
    "OneLabel",
    "ResNet",
    "SGTNet",
    "WideResNet",
    "build",
    "load_weights",
]
