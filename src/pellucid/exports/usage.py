"""How exported weights are used, as a model card tells it: the lines of Python that make the network."""

from pellucid.exports.exported_network import ExportedNetwork

__all__ = ["factory_call", "plain", "use"]


def use(exported: ExportedNetwork, library: str | None) -> str:
    """How the weights beside ``model.py`` are loaded, as Markdown.

    Args:
        exported: the network.
        library: the library that makes the network of the folder by itself, ``timm`` or ``transformers``.
    """
    parts = []
    if library == "timm":
        parts.append('```python\nimport timm\n\nmodel = timm.create_model("hf_hub:OWNER/NAME", pretrained=True)\n```')
    if library == "transformers":
        made = 'model = AutoModelForImageClassification.from_pretrained("OWNER/NAME")'
        parts.append(f"```python\nfrom transformers import AutoModelForImageClassification\n\n{made}\n```")
    made, comment = factory_call(exported)
    parts.append(
        "`model.py` in this folder gives the bare network its weights and puts the normalisation in front; it needs "
        "torch and safetensors alone.\n\n"
        f"```python\nfrom model import load\n\n{made}\nmodel = load(network)  # {comment}\n```"
    )
    if exported.change_words:
        parts.append(
            f"In this network {plain(exported.change_words)}. The weights belong to the network with that change; "
            "`model.py` makes it."
        )
    if "from pellucid" in made:
        parts.append(
            f"`{exported.experiment.network.name}` is one of pellucid's own networks. What `pellucid export --to "
            "torch_export` or `--to onnx` writes of it needs no pellucid."
        )
    normalization = exported.normalization
    if normalization is None:
        parts.append("The network takes pixels in [0, 1] as they are.")
    else:
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in normalization)
        parts.append(f"Without `model.py`, subtract the mean {mean} of pixels in [0, 1] and divide by {std}.")
    return "\n\n".join(parts)


def factory_call(exported: ExportedNetwork) -> tuple[str, str]:
    """Lines of Python that make the bare network, and what the loaded one does.

    Args:
        exported: the network.
    """
    choice, classes, channels = exported.experiment.network, len(exported.classes), exported.shape[0]
    source, colon, name = choice.name.partition(":")
    options = "".join(f", {key}={value!r}" for key, value in choice.options.items() if key != "pretrained")
    comment = "pixels in [0, 1] to logits"
    torchvision = {"resnet18-224": "resnet18", "vgg16-224": "vgg16", "vgg16-bn-224": "vgg16_bn"}
    if source == "timm":
        arguments = f"{name!r}, num_classes={classes}, in_chans={channels}{options}"
        return f"import timm\n\nnetwork = timm.create_model({arguments})", comment
    if source == "huggingface":
        made = f"network = AutoModelForImageClassification.from_pretrained({name!r}, num_labels={classes}{options}, "
        return (
            f"from transformers import AutoModelForImageClassification\n\n{made}ignore_mismatched_sizes=True)",
            comment,
        )
    if source == "torchvision" or (choice.name in torchvision and channels == 3 and not options):
        model = name if source == "torchvision" else torchvision[choice.name]
        return (
            f"import torchvision\n\nnetwork = torchvision.models.get_model({model!r}, num_classes={classes}{options})",
            comment,
        )
    if choice.name.startswith("efficientnet-lite") and channels == 3:
        arguments = f"{choice.name!r}, num_classes={classes}, image_size={list(exported.shape[1:])}"
        return (
            f"from efficientnet_lite_pytorch import EfficientNet\n\nnetwork = EfficientNet.from_name({arguments})",
            comment,
        )
    if colon or "." in source:
        module, _, factory = choice.name.partition(":") if colon else choice.name.rpartition(".")
        return f"from {module} import {factory}\n\nnetwork = {factory}(...)  # with {classes} logits{options}", comment
    made = (
        "from pellucid.models import Network, build\n\n"
        f"choice = Network(name={choice.name!r}, options={choice.options!r}, normalize=False)\n"
        f"network = build(choice, classes={classes}, shape={exported.shape!r}, mean=(), std=()).network"
    )
    return made, comment


def plain(text: str) -> str:
    r"""Words of somebody else's in one line that Markdown and HTML leave alone.

    >>> plain("a*b" + chr(10) + "<c>")
    'a\\*b &lt;c>'
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\`*[]" else letter for letter in line)
