"""How a run was trained, and on which images it was measured, in words, from its configuration."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.runs.evaluated import Run

__all__ = ["dataset_words", "number", "spelled", "told_apart", "training_words"]

_TITLES = {
    "Regular": "Regular training",
    "AdversarialTraining": "Adversarial training",
    "SaliencyGuided": "Saliency-guided training (SGT)",
    "SCAAT": "SCAAT",
    "AdversarialSCAAT": "Adversarial training",
}
# Their settings are told by name, as those of somebody's own method are.
_NAMED = {
    "Alternating": "Alternating with regular training",
    "EnergyLoss": "Energy loss",
    "FreeAdversarialTraining": "Free adversarial training",
    "GaussianAugmentation": "Gaussian noise on images (control)",
    "GradientAlignment": "Gradient alignment",
    "GradientPenalty": "Input-gradient penalty",
    "JacobianPenalty": "Jacobian penalty",
    "NoiseAugmentation": "Noise in random regions of images (control)",
    "RightReasons": "Right for the right reasons",
    "StructuredAdversarialTraining": "Structured adversarial training",
    "TRADES": "TRADES",
}


NAMES = ("Gaussian", "Jacobian", "TRADES")
"""First words that keep their capital letter within a sentence."""

SPELLED = {
    "Regular": "regular training",
    "AdversarialTraining": "adversarial training",
    "AdversarialSCAAT": "adversarial training joined with saliency-constrained adaptive adversarial training (SCAAT)",
    "SaliencyGuided": "saliency-guided training (SGT)",
    "SCAAT": "saliency-constrained adaptive adversarial training (SCAAT)",
}
"""Names of methods without abbreviations."""


def spelled(config: Mapping[str, Any]) -> str:
    """How a network was trained, in full words and without settings, for who meets its name for the first time.

    Args:
        config: experiment.yaml as plain data.

    >>> spelled({"method": {"class_path": "pellucid.methods.SCAAT"}, "smoothing": {"filter": "gaussian"}})
    'saliency-constrained adaptive adversarial training (SCAAT), with Gaussian smoothing'
    """
    if config.get("epochs") == 0:
        return "as given, not trained here"
    kind = str(config["method"]["class_path"]).rpartition(".")[2]
    known = (_TITLES | _NAMED).get(kind)
    parts = [
        SPELLED.get(kind)
        or (known[0].lower() + known[1:] if known and known.partition(" ")[0] not in NAMES else known or kind)
    ]
    options = config["method"].get("init_args") or {}
    wrapped = options.get("method")
    if isinstance(wrapped, Mapping) and not str(wrapped["class_path"]).endswith(".Regular"):
        parts.append(f"added to {spelled({'method': wrapped})}")
    if options.get("ranking") == "random":
        parts.append("at random places (a control)")
    activation = config.get("activation")
    if activation is not None:
        name = str(activation.get("init_args", activation).get("name", "softplus")).replace("_", " ")
        parts.append(f"with {name} in place of ReLU")
    block = config.get("smoothing")
    if block is not None:
        name = str(block.get("init_args", block).get("filter"))
        parts.append(
            {"gaussian": "with Gaussian smoothing", "none": "with 1×1 blocks"}.get(name, f"with {name} smoothing")
        )
    return ", ".join(parts)


def told_apart(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """`spelled` of several networks; of those that it calls alike, also the settings in which they differ.

    Args:
        configs: each network's experiment.yaml as plain data.

    >>> attacks = [{"eps": 0.1, "steps": 4}, {"eps": 0.1, "steps": 1}]
    >>> methods = [{"class_path": "pellucid.methods.SCAAT", "init_args": {"attack": attack}} for attack in attacks]
    >>> for words in told_apart([{"method": method} for method in methods]):
    ...     print(words)
    saliency-constrained adaptive adversarial training (SCAAT), 4 attack steps
    saliency-constrained adaptive adversarial training (SCAAT), one attack step
    """
    plain = [spelled(config) for config in configs]
    settings = [training_words(config).split(", ") for config in configs]
    told = []
    for name, own in zip(plain, settings, strict=True):
        alike = [others for other, others in zip(plain, settings, strict=True) if other == name]
        parts = [part for part in own if not all(part in others for others in alike)]
        told.append(", ".join([name, *(re.sub(r"^PGD-(\d+)$", r"\1 attack steps", part) for part in parts)]))
    return told


def training_words(config: Mapping[str, Any]) -> str:
    """Training method with its main parameters, then the activation and the smoothing block.

    Args:
        config: experiment.yaml as plain data.

    >>> attack = {"eps": 0.3, "steps": 4, "step_size": 0.15}
    >>> options = {"attack": attack, "weight": 0.3, "share": 0.125, "adaptive": True}
    >>> training_words({"method": {"class_path": "pellucid.methods.SCAAT", "init_args": options}})
    'SCAAT, PGD-4, ε 0.3, λ 0.3, on 1/8 of each batch'
    >>> training_words({"epochs": 0, "method": {"class_path": "pellucid.methods.Regular"}})
    'As given, not trained'
    >>> tuning = {"head_epochs": 3}
    >>> training_words({"epochs": 3, "fine_tuning": tuning, "method": {"class_path": "pellucid.methods.Regular"}})
    'Regular training, last layer only'
    """
    kind = str(config["method"]["class_path"]).rpartition(".")[2]
    if config.get("epochs") == 0:
        return "As given, not trained"
    options = config["method"].get("init_args") or {}
    parts = [(_TITLES | _NAMED).get(kind, kind)]
    attack = options.get("attack")
    if isinstance(attack, Mapping):
        attack = attack.get("init_args", attack)
        steps = attack.get("steps")
        parts += ["one attack step" if steps == 1 else f"PGD-{steps}", f"ε {number(attack.get('eps'))}"]
        if "reading" in options:
            parts.append(f"reading {options['reading']}")
    if kind not in _TITLES:  # somebody's own method: its settings by their names
        unused = {("share", 1.0), ("difference", 0.0)}
        told = {key: value for key, value in options.items() if isinstance(value, int | float | str)}
        settings = {key: value for key, value in told.items() if (key, value) not in unused}
        parts += [f"{key.replace('_', ' ')} {number(value)}" for key, value in settings.items()]
        wrapped = options.get("method")
        if isinstance(wrapped, Mapping) and not str(wrapped["class_path"]).endswith(".Regular"):
            link = "with" if kind == "Alternating" else "added to"
            parts.append(f"{link} {training_words({'method': wrapped})}")
        options = {}
    if kind == "SaliencyGuided":
        parts.append(f"lowest {number(options.get('fraction', 0.5))} replaced")
    if "attacked_share" in options:
        parts.append(f"on {number(options['attacked_share'])} of each batch")
    scaat = options.get("scaat")
    if isinstance(scaat, Mapping):
        inner = training_words({"method": {"class_path": "SCAAT", "init_args": scaat.get("init_args", scaat)}})
        parts.append(f"with {inner}")
    if "weight" in options:
        parts.append(f"λ {number(options['weight'])}")
    if options.get("clean", "none") != "none":
        parts.append(f"clean images: {options['clean']}")
    if options.get("share", 1) != 1:
        parts.append(f"on {number(options['share'])} of each batch")
    if options.get("ranking") == "random":
        parts.append("at random places")
    if options.get("q_pass", "train") == "eval":
        parts.append("q by eval-mode predictions")
    if options.get("adaptive") is False:
        parts.append(f"fixed q {number(options.get('q'))}")
    activation = config.get("activation")
    if activation is not None:
        activation = activation.get("init_args", activation)
        named = str(activation["name"]).replace("_", " ")
        parts.append(f"{named} for ReLU, β {number(activation['beta'])}")
    block = config.get("smoothing")
    if block is not None:
        block = block.get("init_args", block)
        layers = ", ".join(block.get("layers") or block.get("names") or [])
        filtered = str(block.get("filter") or "1×1 block without")
        smoothing = f"{'Gaussian' if filtered == 'gaussian' else filtered} smoothing"
        parts.append(smoothing + (f" after {layers}" if layers else ""))
    tuning = config.get("fine_tuning") or {}
    if 0 < config.get("epochs", 0) <= tuning.get("init_args", tuning).get("head_epochs", 0):
        parts.append("last layer only")
    return ", ".join(parts)


def number(value: Any) -> str:
    """A parameter as people write it: eighths and 255ths as fractions, others with at most four digits.

    >>> number(8 / 255), number(0.125), number(0.3), number(4), number("linf")
    ('8/255', '1/8', '0.3', '4', 'linf')
    """
    if not isinstance(value, float):
        return str(value)
    for whole in (8, 16, 32, 64, 255):
        part = value * whole
        if 0 < value < 1 and abs(part - round(part)) < 1e-6 and round(value, 2) != value:
            return f"{round(part)}/{whole}"
    return f"{value:.4g}"


def dataset_words(run: Run) -> str:
    """The images that a run was measured on by name; a person's own folder by its own."""
    path = (run.config.get("dataset") or {}).get("path")
    return Path(path).name if run.info["dataset"] == "folder" and path else str(run.info["dataset"])
