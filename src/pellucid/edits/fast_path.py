"""PyTorch's fused transformer layers, which do not call the parts that an edit has put into them."""

from torch import nn

__all__ = ["without_fast_path"]


def without_fast_path(model: nn.Module, kind: type[nn.Module]) -> None:
    """Let the transformer layers of a network that hold a part of some kind call it.

    In eval mode and without gradients, ``nn.TransformerEncoderLayer`` computes everything from its weights, as the
    activation is that it was made with: the same network would give other answers there than where maps are made.

    Args:
        model: the edited network; changed in place.
        kind: of the parts that were put in.

    >>> layer = nn.TransformerEncoderLayer(4, 1, activation=nn.ReLU())
    >>> layer.dropout2 = nn.Identity()
    >>> without_fast_path(layer, nn.Identity)
    >>> layer.activation_relu_or_gelu
    0
    """
    for layer in model.modules():
        if isinstance(layer, nn.TransformerEncoderLayer) and any(isinstance(part, kind) for part in layer.modules()):
            layer.activation_relu_or_gelu = 0  # what PyTorch asks before it takes the fused way
