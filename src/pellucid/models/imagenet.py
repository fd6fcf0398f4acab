"""The classes of ImageNet-1k by name: what most published weights answer with."""

from importlib.resources import files

from pellucid.models.network import Network

__all__ = ["imagenet_classes", "published_classes"]

PACKAGES = ("efficientnet-lite", "timm:", "torchvision:")
"""How the names of networks begin whose published weights with 1000 logits are of ImageNet-1k."""


def imagenet_classes() -> tuple[str, ...]:
    """The 1000 names, in the order of the logits.

    >>> imagenet_classes()[:2], len(set(imagenet_classes()))
    (('tench', 'goldfish'), 1000)

    Source: WordNet 3.0 (Princeton University), the first synonym of each class; the two cranes and the tank suit, whose
    first synonym is that of another class, have names of their own.
    """
    return tuple(files("pellucid.models").joinpath("imagenet.txt").read_text(encoding="utf-8").splitlines())


def published_classes(network: Network, count: int) -> tuple[str, ...]:
    """The names of a network's classes where its weights are published ones of ImageNet-1k; otherwise none.

    Args:
        network: how the network is built.
        count: its logits.

    >>> published_classes(Network(name="efficientnet-lite0", options={"pretrained": True}), 1000)[0]
    'tench'
    >>> published_classes(Network(name="efficientnet-lite0"), 1000)
    ()
    """
    options = network.options
    published = bool(options.get("pretrained") or options.get("weights")) and network.weights is None
    return imagenet_classes() if published and count == 1000 and network.name.startswith(PACKAGES) else ()
