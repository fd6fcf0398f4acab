"""Networks of timm, torchvision and Hugging Face's transformers, with what they say of their weights' preprocessing."""

import importlib
import inspect
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from pellucid.core.errors import InputError
from pellucid.core.notes import tell
from pellucid.models.channels import adapt_first_convolution, renew_head
from pellucid.models.outputs import Logits
from pellucid.models.preprocessing import Preprocessing

__all__ = ["PACKAGES", "of_huggingface", "of_timm", "of_torchvision"]


def of_timm(name: str, options: Mapping[str, Any], classes: int, shape: tuple[int, int, int]) -> nn.Module:
    """A network of timm, which adapts head and first convolution itself.

    A transformer that takes images of one size alone is made for the images' size, to which timm resamples its
    positions, unless ``img_size`` is among the options.

    Args:
        name: as `timm.create_model` takes it, ``hf-hub:OWNER/NAME`` included.
        options: further keyword arguments, such as ``pretrained``.
        classes: number of logits.
        shape: (c, h, w) of the images.

    Raises:
        InputError: timm is missing or does not make this.
    """
    make = _extra("timm").create_model
    known = {"num_classes": classes, "in_chans": shape[0], **options}
    net: nn.Module = _made("timm", name, options, lambda: make(name, **known))
    config = getattr(net, "pretrained_cfg", None)
    config = config if isinstance(config, Mapping) else {}
    other_size = tuple(config.get("input_size", shape)[-2:]) != shape[1:]
    if other_size and config.get("fixed_input_size") and "img_size" not in known:
        net = _made("timm", name, options, lambda: make(name, img_size=shape[1:], **known))
    return net


def of_torchvision(name: str, options: Mapping[str, Any], classes: int, shape: tuple[int, int, int]) -> nn.Module:
    """A network of torchvision; a pretrained one gets a new head where the number of classes differs.

    Args:
        name: as `torchvision.models.get_model` takes it.
        options: further keyword arguments; ``weights`` names an entry of the model's weights, and ``pretrained: true``
            is ``weights: DEFAULT``.
        classes: number of logits.
        shape: (c, h, w) of the images.

    Raises:
        InputError: torchvision is missing or does not make this, or weights of that name do not exist.
    """
    models = _extra("torchvision.models")
    chosen = dict(options)
    if chosen.pop("pretrained", False):
        chosen.setdefault("weights", "DEFAULT")
    entries = _torchvision_weights(models, name)
    weights = chosen.pop("weights", None)
    if weights is None:
        net = _made("torchvision", name, options, lambda: models.get_model(name, **{"num_classes": classes, **chosen}))
        expected = None if entries is None else getattr(entries, "DEFAULT", None)
    else:
        word = str(weights).rpartition(".")[2]
        expected = None if entries is None else getattr(entries, word, None)
        if expected is None:
            known = ", ".join(entry.name for entry in entries or ())
            raise InputError(f"torchvision:{name} has no weights {weights!r}; accepted: {known or 'none'}")
        net = _made("torchvision", name, options, lambda: models.get_model(name, weights=expected, **chosen))
        renew_head(net, classes, name=f"torchvision:{name}")
    adapt_first_convolution(net, shape[0], name=f"torchvision:{name}")
    if expected is not None:
        transforms = expected.transforms()
        size = getattr(transforms, "crop_size", None)
        net.preprocessing = Preprocessing(
            tuple(transforms.mean),
            tuple(transforms.std),
            None if size is None else (int(size[0]), int(size[-1])),
            f"torchvision's {type(expected).__name__}.{expected.name}",
        )
    # GoogLeNet and Inception give a named tuple in train mode alone, so that a trial in eval mode would not see it.
    return Logits(net, "logits") if getattr(net, "aux_logits", False) else net


def _torchvision_weights(models: Any, name: str) -> Any:
    """The model's weights by name, or None where torchvision knows none."""
    try:
        return models.get_model_weights(name)
    except (AttributeError, ValueError):
        return None


def of_huggingface(name: str, options: Mapping[str, Any], classes: int, shape: tuple[int, int, int]) -> nn.Module:
    """An image classifier of Hugging Face's hub or of a folder that ``save_pretrained`` wrote.

    Args:
        name: of the repository, or path of the folder.
        options: keyword arguments of ``from_pretrained``; ``pretrained: false`` takes the configuration alone.
        classes: number of logits; a head of another number is replaced.
        shape: (c, h, w) of the images; positions of a transformer are interpolated where it can do that.

    Returns:
        The network as `Logits`.

    Raises:
        InputError: transformers is missing, there is no such classifier, or the file lacks more than the head.
    """
    transformers = _extra("transformers")
    chosen = dict(options)
    pretrained = chosen.pop("pretrained", True)
    automatic = transformers.AutoModelForImageClassification
    if pretrained:
        net, loading = _made(
            "huggingface", name, options,
            lambda: automatic.from_pretrained(
                name, num_labels=classes, ignore_mismatched_sizes=True, output_loading_info=True, **chosen
            ),
        )  # fmt: skip
        fresh = {key if isinstance(key, str) else key[0] for kind in ("missing_keys", "mismatched_keys")
                 for key in loading.get(kind, ())}  # fmt: skip
        shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
        lacking = sorted(key for key in fresh if key in shapes and shapes[key][:1] != (classes,))
        if lacking:
            raise InputError(
                f"huggingface:{name} has no weights that fit {lacking[0]}; with other options than {dict(options)} "
                "all but the head must be there"
            )
        if fresh:
            tell(f"huggingface:{name} gets a new last layer of {classes} classes")
    else:
        net = _made(
            "huggingface", name, options,
            lambda: automatic.from_config(
                transformers.AutoConfig.from_pretrained(name, num_labels=classes, **chosen)
            ),
        )  # fmt: skip
    adapt_first_convolution(net, shape[0], name=f"huggingface:{name}")
    expected = _of_processor(transformers, name)
    if expected is not None:
        net.preprocessing = expected
    interpolates = "interpolate_pos_encoding" in inspect.signature(net.forward).parameters
    return Logits(net.train(), "logits", **({"interpolate_pos_encoding": True} if interpolates else {}))


def _of_processor(transformers: Any, name: str) -> Preprocessing | None:
    """What the classifier's image processor does to pixels, brought to pixels in [0, 1]; None without a processor."""
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(name)
    except (OSError, ValueError, ImportError):
        return None
    mean, std = getattr(processor, "image_mean", None), getattr(processor, "image_std", None)
    if not getattr(processor, "do_normalize", True):
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if mean is None or std is None:
        return None
    # A pixel of 0 to 255 times the factor, less 1 where there is an offset, is what mean and deviation are of.
    factor = 255 * getattr(processor, "rescale_factor", 1 / 255) if getattr(processor, "do_rescale", True) else 255.0
    offset = 1.0 if getattr(processor, "rescale_offset", False) else 0.0
    again = std if getattr(processor, "include_top", False) else (1.0,) * len(std)  # EfficientNet's divides twice
    size = getattr(processor, "size", None) or {}
    height, width = (size.get(side, size.get("shortest_edge")) for side in ("height", "width"))
    return Preprocessing(
        tuple((number + offset) / factor for number in mean),
        tuple(number * twice / factor for number, twice in zip(std, again, strict=True)),
        None if height is None or width is None else (int(height), int(width)),
        "its image processor",
    )


PACKAGES: Mapping[str, Callable[[str, Mapping[str, Any], int, tuple[int, int, int]], nn.Module]] = {
    "timm": of_timm,
    "torchvision": of_torchvision,
    "huggingface": of_huggingface,
}
"""Who makes ``SOURCE:NAME``: from the name, the options, the number of classes and the shape of the images."""


def _made(source: str, name: str, options: Mapping[str, Any], make: Callable[[], Any]) -> Any:
    try:
        return make()
    except pickle.UnpicklingError:  # its words advise to load them all the same
        raise InputError(
            f"{source} cannot make network {name!r}: its weights are damaged, or hold other objects than tensors, "
            "which may run code"
        ) from None
    except (RuntimeError, ValueError, TypeError, KeyError, OSError, AssertionError) as error:
        raise InputError(
            f"{source} cannot make network {name!r} with options {dict(options)}: {first_line(error)}"
        ) from error


def _extra(module: str) -> Any:
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError, AttributeError) as error:
        # An ill-matched torchvision raises RuntimeError or AttributeError at import, and breaks timm with it.
        raise InputError(
            f"{package} cannot be imported ({first_line(error)}): install pellucid[{package}] "
            f"in a version that fits torch {torch.__version__}"
        ) from error


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its class."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
