"""Class activation maps: feature maps of one layer, weighted by the gradient of the class's score, and enlarged."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.core.checks import at_least
from pellucid.core.errors import InputError
from pellucid.core.randomness import Generator
from pellucid.core.types import Attribution, Heatmap, Image, Label
from pellucid.saliency.chunks import in_chunks
from pellucid.saliency.gradient import Score
from pellucid.saliency.layers import activation_and_gradient, feature_layer
from pellucid.saliency.method import SaliencyMethod

__all__ = [
    "ClassActivationMap",
    "GradCAM",
    "GradCAMPlusPlus",
    "LayerCAM",
    "grad_cam",
    "grad_cam_plus_plus",
    "layer_cam",
]


def grad_cam(activation: Tensor, gradient: Tensor) -> Heatmap:
    r"""Each channel times its mean gradient, added up: :math:`\sum_k \alpha_k A^k`, :math:`\alpha_k = \overline{g^k}`.

    Args:
        activation: (n, k, h, w) feature maps A.
        gradient: (n, k, h, w) gradient g of the class's score with respect to them.

    Returns:
        (n, h, w), signed.

    >>> grad_cam(torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, 5.0]]]])).tolist()
    [[[4.0, 8.0]]]

    Source: Selvaraju et al. 2017, equations 1 and 2, before the ReLU.
    """
    return (gradient.mean((2, 3), keepdim=True) * activation).sum(1)


def layer_cam(activation: Tensor, gradient: Tensor) -> Heatmap:
    r"""Each place of each channel times its positive gradient: :math:`\sum_k \max(0, g^k_{ij}) A^k_{ij}`.

    Args:
        activation: as of `grad_cam`.
        gradient: as of `grad_cam`.

    Returns:
        (n, h, w), signed where activations are.

    >>> layer_cam(torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, -5.0]]]])).tolist()
    [[[3.0, 0.0]]]

    Source: Jiang et al. 2021, equations 4 to 6, before the ReLU.
    """
    return (gradient.relu() * activation).sum(1)


def grad_cam_plus_plus(activation: Tensor, gradient: Tensor) -> Heatmap:
    r"""Each channel times :math:`\sum_{ij} \alpha^k_{ij} \max(0, g^k_{ij})`, where α evens out how large an object is.

    :math:`\alpha^k_{ij} = g^2 / (2 g^2 + g^3 \sum_{ab} A^k_{ab})`, taken as 0 where the gradient is 0. That is the
    equation for the exponential of the score, whose own value is left out: it is one factor for the whole image.

    Args:
        activation: as of `grad_cam`.
        gradient: as of `grad_cam`.

    Returns:
        (n, h, w), signed where activations are.

    >>> grad_cam_plus_plus(torch.ones(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])).tolist()
    [[[0.25, 0.25]]]

    Source: Chattopadhay et al. 2018, equations 10, 11 and 19.
    """
    below = 2 * gradient**2 + gradient**3 * activation.sum((2, 3), keepdim=True)
    alpha = torch.where(below == 0, 0, gradient**2 / torch.where(below == 0, 1, below))
    return ((alpha * gradient.relu()).sum((2, 3), keepdim=True) * activation).sum(1)


@dataclass(frozen=True, kw_only=True)
class ClassActivationMap(SaliencyMethod):
    """A map of one layer's places, enlarged to the image; what its channels are weighted by is left to the subclass.

    The map is made of what the layer detects at each place, so it is as coarse as the layer: 7 × 7 squares of an image
    of 224 pixels in the last layer of most networks. It has one channel.

    Args:
        layer: name of the layer, with or without ``network.`` before it; ``pellucid layers`` lists them. Where it is
            left out, the last layer is taken whose feature map the prediction still depends on: before the global
            pooling of a convolutional network, before the last attention of a transformer that classifies by a class
            token. Tokens that belong to no place are left out of the map.
        chunk: largest number of images in one forward pass; as many as the batch holds by default.
        score: ``logit`` or ``probability`` of the target.

    Raises:
        InputError: when called, a layer that is not there or gives no feature map, a network without one.
    """

    layer: str | None = None
    chunk: int | None = None
    score: Score = "logit"

    def __post_init__(self) -> None:
        at_least(1, chunk=self.chunk)
        if self.layer is not None and not self.layer:
            raise InputError("layer must be the name of a layer, or null for the one that fits, got ''")

    @abstractmethod
    def combine(self, activation: Tensor, gradient: Tensor) -> Heatmap:
        """One value for each place.

        Args:
            activation: (n, k, h, w) feature maps.
            gradient: (n, k, h, w) gradient of the class's score with respect to them.

        Returns:
            (n, h, w).
        """

    def __call__(
        self, model: nn.Module, x: Image, target: Label, *, create_graph: bool = False, generator: Generator = None
    ) -> Attribution:
        """See `SaliencyMethod.__call__`; the result is (n, 1, h, w), and nothing is drawn."""
        layer = feature_layer(model, x, self.layer)

        def explained(x: Image, target: Label) -> Attribution:
            activation, gradient = activation_and_gradient(
                model, x, target, layer=layer, score=self.score, create_graph=create_graph
            )
            places = self.combine(activation, gradient)[:, None]
            return F.interpolate(places, size=x.shape[-2:], mode="bilinear", align_corners=False)

        return in_chunks(explained, x, target, chunk=self.chunk)


@dataclass(frozen=True, kw_only=True)
class GradCAM(ClassActivationMap):
    """`grad_cam` of a layer: where the channels are active that speak for the class as a whole.

    Args:
        relu: keep what speaks for the class alone, as the paper does; without it the map is signed.

    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> GradCAM()(network.eval(), torch.rand(2, 1, 8, 8), torch.tensor([0, 1])).shape
    torch.Size([2, 1, 8, 8])

    Source: Selvaraju et al. 2017, equations 1 and 2.
    """

    relu: bool = True

    def combine(self, activation: Tensor, gradient: Tensor) -> Heatmap:
        signed = grad_cam(activation, gradient)
        return signed.relu() if self.relu else signed


@dataclass(frozen=True, kw_only=True)
class GradCAMPlusPlus(ClassActivationMap):
    """`grad_cam_plus_plus` of a layer: several objects of a class, small ones too, count alike.

    Source: Chattopadhay et al. 2018, equation 10.
    """

    def combine(self, activation: Tensor, gradient: Tensor) -> Heatmap:
        return grad_cam_plus_plus(activation, gradient).relu()


@dataclass(frozen=True, kw_only=True)
class LayerCAM(ClassActivationMap):
    """`layer_cam` of a layer: each place is weighted by its own gradient, which finer, earlier layers bear too.

    Source: Jiang et al. 2021, equation 6.
    """

    def combine(self, activation: Tensor, gradient: Tensor) -> Heatmap:
        return layer_cam(activation, gradient).relu()
