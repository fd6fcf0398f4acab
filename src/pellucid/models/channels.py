"""Pretrained weights on images of another number of channels: the first convolution and the last layer."""

from torch import Tensor, nn

from pellucid.core.errors import InputError
from pellucid.core.notes import tell

__all__ = ["adapt_first_convolution", "adapted", "renew_head"]


def adapted(weight: Tensor, channels: int) -> Tensor:
    """A first convolution's weights for another number of channels.

    One channel gets the sum over the channels, so that a grey image gives what it would give as an equal red, green and
    blue. Several channels get the old ones again and again, in their order, times old number / new number, so that the
    sum over channels stays about what it was; that is a start for training, and no classifier yet.

    Args:
        weight: (outputs, old channels, height, width).
        channels: of the images.

    Returns:
        (outputs, channels, height, width), of the same type.

    Source: timm's ``in_chans`` for pretrained weights.

    >>> import torch
    >>> adapted(torch.ones(8, 3, 5, 5), 1)[0, 0, 0, 0].item(), adapted(torch.ones(8, 3, 5, 5), 4)[0, :, 0, 0].tolist()
    (3.0, [0.75, 0.75, 0.75, 0.75])
    """
    old = weight.shape[1]
    if channels == old:
        return weight
    full = weight.float()  # half precision would lose in the sum
    if channels == 1:
        return full.sum(1, keepdim=True).to(weight.dtype)
    places = [channel % old for channel in range(channels)]
    return (full[:, places] * (old / channels)).to(weight.dtype)


def adapt_first_convolution(net: nn.Module, channels: int, *, name: str) -> None:
    """Make a network that takes 3 channels take another number, its first convolution as in `adapted`.

    Layers that remember the number of channels, as Hugging Face's patch embeddings do, are told.

    Args:
        net: the network, changed in place.
        channels: of the images.
        name: what an error calls it.

    Raises:
        InputError: its first convolution is not one of 3 channels.
    """
    if channels == 3:
        return
    first = next((layer for layer in net.modules() if isinstance(layer, nn.Conv2d)), None)
    if first is None or first.in_channels != 3 or first.groups != 1:
        raise InputError(f"{name} takes images of 3 channels, the data have {channels}")
    first.weight = nn.Parameter(adapted(first.weight.detach(), channels), requires_grad=first.weight.requires_grad)
    first.in_channels = channels
    for layer in (*net.modules(), getattr(net, "config", None)):
        if getattr(layer, "num_channels", None) == 3:
            layer.num_channels = channels  # type: ignore[union-attr]  # a number that the layer keeps


def renew_head(net: nn.Module, classes: int, *, name: str) -> int:
    """Put fresh last layers of ``classes`` outputs into a network, where it has another number of them, and tell it.

    The last layer is the linear layer or convolution that was registered last; linear layers of as many outputs are
    heads too, as GoogLeNet has them. New weights come from torch's global generator.

    Args:
        net: the network, changed in place.
        classes: outputs that are wanted.
        name: what the sentence calls it.

    Returns:
        The number of outputs that the network had.

    Raises:
        InputError: the network has neither linear layers nor convolutions.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 1000))
    >>> renew_head(net, 10, name="net"), net[1]
    (1000, Linear(in_features=12, out_features=10, bias=True))
    """
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
    if not layers:
        raise InputError(f"{type(net).__name__} has no linear layer and no convolution that could be its head")
    last = list(layers)[-1]
    outputs = _outputs(layers[last])
    if outputs != classes:
        tell(f"{name} gets a new last layer of {classes} classes in place of {outputs}")
        for place, layer in layers.items():
            if place == last or (isinstance(layer, nn.Linear) and layer.out_features == outputs):
                parent, _, attribute = place.rpartition(".")
                setattr(net.get_submodule(parent), attribute, _fresh(layer, classes))
    return outputs


def _outputs(layer: nn.Linear | nn.Conv2d) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _fresh(layer: nn.Linear | nn.Conv2d, outputs: int) -> nn.Module:
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, outputs, bias=bias)
    return nn.Conv2d(layer.in_channels, outputs, layer.kernel_size, bias=bias)  # type: ignore[arg-type]  # always two
