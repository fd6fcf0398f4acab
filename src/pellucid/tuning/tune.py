"""A pretrained network and photographs in; before, control and after, measured side by side, out."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pellucid.config import read_config, to_config, write_yaml
from pellucid.core.errors import InputError
from pellucid.core.files import check_writable, whole_file
from pellucid.core.progress import duration
from pellucid.data import Dataset, load
from pellucid.data.headers import sift
from pellucid.data.truth import why_not_pasted
from pellucid.data.walk import files_below
from pellucid.models import Network
from pellucid.models.network import NAMES, is_untrained
from pellucid.models.preprocessing import preprocessing_of
from pellucid.report import write_picture, write_report
from pellucid.runs.continuation import first_difference
from pellucid.runs.evaluated import read_run
from pellucid.runs.evaluation import Evaluation, evaluate
from pellucid.runs.fine_tuning import FineTuning
from pellucid.runs.lock import working_on
from pellucid.runs.settings import Experiment, Optimizer, Schedule
from pellucid.runs.trained import build_network
from pellucid.runs.training import fit
from pellucid.tuning.estimate import spending, step_seconds
from pellucid.tuning.measuring import evaluation_of, measuring_seconds, told
from pellucid.tuning.page import conclusion, page
from pellucid.tuning.photographs import write_photographs
from pellucid.tuning.plan import MOST_EPOCHS, Tune
from pellucid.tuning.presets import Family, TuningPreset, family_of, size_of, smoothed_stage, tuning_preset
from pellucid.tuning.verdict import FEWEST

__all__ = ["Decisions", "experiments", "tune"]

LARGEST = 224
"""Side in pixels to which photographs are resized at most where no size is asked for."""
PLAN = "plan.yaml"
"""What was asked for and decided."""


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What a tuning decided when it was begun, so that it continues in the same way.

    Args:
        plan: what was asked for.
        size: side in pixels to which photographs are resized; None where they stay as they are.
        side: of the images that the network sees.
        epochs: passes over the photographs.
        images: training photographs of an epoch.
        training: seconds that training is expected to take.
        measuring: seconds that are left for measuring.
        expected: seconds that measuring is expected to take; None where an older pellucid decided.
        step: seconds of a step of the control and of the preset.
        family: of the network.
        stage: layer behind which a smoothing block goes; None where the preset has none, or none fits.
        fits: whether the network's last layer has as many outputs as there are classes already.
        files: in the folder of photographs; None where an older pellucid decided.
    """

    plan: Tune
    size: int | None
    side: int
    epochs: int
    images: int
    training: float
    measuring: float
    step: tuple[float, float]
    family: Family
    stage: str | None
    fits: bool
    expected: float | None = None
    files: int | None = None


def tune(plan: Tune, *, say: Callable[[str], None] | None = None, progress: bool = True) -> Path:
    """Tune a pretrained network on photographs, hold it against a control, measure both, say whether it was worth it.

    What is finished is skipped and what was killed is continued, when it is called again with the same plan. Writes
    into ``plan.out``: the run directories ``before``, ``control`` and ``after``, ``report.html``, ``maps.png``,
    ``tune.md``, ``tune.json`` and ``photographs.csv``.

    Args:
        plan: which network, which photographs, which preset, how much time.
        say: takes each line of the account; standard error by default.
        progress: show bars on a terminal.

    Returns:
        The report.

    Raises:
        InputError: photographs or weights that cannot be read or do not fit, or a folder that holds something else.
    """
    say = say or (lambda line: print(f"pellucid: {line}", file=sys.stderr, flush=True))
    check_writable(plan.out)
    _check_out(plan)
    with working_on(plan.out):
        return _tuned(plan, say, progress)


def _check_out(plan: Tune) -> None:
    """Refuse a folder that holds something other than a tuning, or lies among the photographs."""
    out, photos = (Path(os.path.abspath(Path(folder).expanduser())) for folder in (plan.out, plan.photos))
    if photos in (out, *out.parents):
        raise InputError(f"out must lie outside the folder of photographs, got {plan.out} in {plan.photos}")
    held = sorted(file.name for file in plan.out.glob("[!.]*"))
    if held and not (plan.out / PLAN).exists():
        raise InputError(f"{plan.out} is not a tuning, as it holds {held[0]!r}; give a new or empty folder")


def _tuned(plan: Tune, say: Callable[[str], None], progress: bool) -> Path:
    started = time.monotonic()
    decided = _decided(plan, say)
    runs = experiments(decided)
    for name, experiment in runs.items():
        fit(experiment, plan.out / name, resume=True, progress=progress)
        say(f"{name} is trained, {duration(time.monotonic() - started)} after the start")
    evaluation = _evaluation(plan, seconds=max(60 * plan.minutes - (time.monotonic() - started), decided.measuring))
    for name in runs:
        evaluate(plan.out / name, evaluation, resume=True, progress=progress)
        say(f"{name} is measured, {duration(time.monotonic() - started)} after the start")
    result = told(plan, list(runs), step=decided.step, evidence=_preset(decided).evidence, say=say, progress=progress)
    result["decisions"] = {name: value for name, value in to_config(decided).items() if name != "plan"}
    result["seconds"] = round(time.monotonic() - started)
    for file, text in (("tune.json", json.dumps(result, indent=2) + "\n"), ("tune.md", page(result))):
        with whole_file(plan.out / file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    report = write_report(
        [plan.out / name for name in sorted(runs, key=_ORDER.index)], plan.out / "report.html",
        conclusion=conclusion(result),
    )  # fmt: skip
    write_picture([plan.out / name for name in runs], plan.out / "maps.png", rows=8)
    _write_photographs(plan, runs, result)
    say(result["verdict"]["sentence"])
    return report


def _write_photographs(plan: Tune, runs: Mapping[str, Experiment], result: Mapping[str, Any]) -> None:
    data = next(iter(runs.values())).dataset
    levels = {
        name: {int(index): level for index, level in row["levels"].items()}
        for name, row in result["rows"].items()
        if "levels" in row
    }
    write_photographs(
        {split: load(data, split) for split in ("train", "validation", "test")},
        {name: read_run(plan.out / name) for name in runs}, levels, plan.out / "photographs.csv",
        below=Path(plan.photos).expanduser(),
    )  # fmt: skip


_ORDER = ["control", "before", "after"]
"""Of the report, whose first run is the one that others are held against."""


def experiments(decided: Decisions) -> dict[str, Experiment]:
    """The trainings by name: ``before``, ``control`` where it is wanted, ``after``.

    Before, the network is as it was given; only a last layer of other classes is trained, and nothing where it fits.

    Args:
        decided: what was decided when the tuning was begun.
    """
    plan = decided.plan
    regular = _regular(plan, decided.size, decided.epochs, decided.images)
    regular = replace(regular, batch_size=min(plan.batch_size, decided.images))  # few photographs make one small batch
    untouched = FineTuning(head_epochs=decided.epochs, batchnorm="frozen", keep="best")
    before = replace(regular, epochs=0 if decided.fits else decided.epochs, fine_tuning=untouched)
    after = _preset(decided).applied_to(regular, side=decided.side, stage=decided.stage)
    return {"before": before, **({"control": regular} if plan.control else {}), "after": after}


def _regular(plan: Tune, size: int | None, epochs: int, images: int | None) -> Experiment:
    """Fine-tuning in the regular way: the last layer first, then all layers, the first ones slowly."""
    return Experiment(
        dataset=replace(plan.data(size), limit=images),
        network=_network(plan),
        optimizer=Optimizer(name="adamw", lr=plan.lr, weight_decay=0.01),
        schedule=Schedule(name="cosine"),
        fine_tuning=FineTuning(
            head_epochs=1 if epochs > 2 else 0, layer_decay=0.1, warmup=0.1, keep="best", batchnorm=plan.batchnorm
        ),
        epochs=epochs,
        batch_size=plan.batch_size,
        seed=plan.seed,
        channels_last=plan.channels == 3,
    )


def _network(plan: Tune) -> Network:
    """The network with its weights, and a new last layer where its classes are others."""
    options = dict(plan.options or {})
    if plan.weights is None and _is_packaged(plan.network):
        options.setdefault("pretrained", True)
    return Network(
        name=plan.network, weights=plan.weights, options=options, head="new", mean=plan.mean, std=plan.std,
        output=plan.output,
    )  # fmt: skip


def _refuse_random(plan: Tune) -> None:
    """Refuse a known network that nobody has trained; of one that nobody knows, `build` says what it could mean."""
    if not is_untrained(_network(plan)) or not (plan.network in NAMES or _is_packaged(plan.network)):
        return
    remedy = "leave the option pretrained out, or give weights, the file that holds them"
    if not _is_packaged(plan.network):
        remedy = (
            "give weights, the file that holds them, or a pretrained network, such as timm:resnet18, "
            "torchvision:resnet18 or efficientnet-lite0"
        )
    raise InputError(f"{plan.network} has random weights, and tune begins with trained ones; {remedy}")


def _is_packaged(network: str) -> bool:
    return network.partition(":")[0] in ("timm", "torchvision") or network.startswith("efficientnet-lite")


def _preset(decided: Decisions) -> TuningPreset:
    return tuning_preset(decided.plan.preset, family=decided.family, size=size_of(decided.side))


def _decided(plan: Tune, say: Callable[[str], None]) -> Decisions:
    """What was decided before, or is decided now by timing a few steps."""
    file = plan.out / PLAN
    files = sum(1 for _ in files_below(Path(plan.photos).expanduser()))
    if file.exists():
        known: Decisions = read_config(file, Decisions)
        _check_same(known, plan, files)
        return known
    _refuse_random(plan)
    size = plan.size if plan.size is not None or _are_alike(plan) else _expected_size(plan)
    regular = _regular(plan, size, epochs=1, images=None)
    train = load(regular.dataset, "train")
    network = build_network(regular, train)
    family, side = family_of(network), min(train.shape[1:])
    preset = tuning_preset(plan.preset, family=family, size=size_of(side))
    stage = smoothed_stage(network, train.shape) if preset.composition.filter != "off" else None
    after = preset.applied_to(regular, side=side, stage=stage)
    step = (step_seconds(regular, train), step_seconds(after, train))
    of_each = [step[0] / 3, *([step[0]] * plan.control), step[1]]  # before trains a last layer, forward only
    spent = spending(
        of_each, images=len(train), batch_size=plan.batch_size, seconds=60 * plan.minutes, epochs=plan.epochs,
        most=MOST_EPOCHS,
    )  # fmt: skip
    tests = load(regular.dataset, "test")
    expected = min(spent.measuring, measuring_seconds(plan, network, tests))
    decided = Decisions(
        plan=plan, size=size, side=side, epochs=spent.epochs, images=spent.images, training=spent.training,
        measuring=spent.measuring, expected=expected, step=step, family=family, stage=stage,
        fits=_fits(regular, train), files=files,
    )  # fmt: skip
    write_yaml(decided, file)
    say(_estimate(decided, len(train)))
    if (tested := min(plan.measured, len(tests))) < FEWEST:
        remedy = "add photographs" if len(tests) < FEWEST else f"give --measured {FEWEST} or more"
        say(f"{tested} test photographs are too few for a verdict, which needs {FEWEST}; {remedy}")
    if plan.composites and (reason := why_not_pasted(tests)):
        say(f"no composites are made, so the mass of a map on the object is not measured: {reason}")
    return decided


def _check_same(known: Decisions, plan: Tune, files: int) -> None:
    """Refuse to continue with another plan, or photographs that were not there."""
    there = replace(known.plan, minutes=plan.minutes)
    if there != plan:
        name, theirs, ours = first_difference(to_config(there), to_config(plan)) or ("plan", there, plan)
        raise InputError(
            f"{plan.out} was begun with another {name}: {theirs} there, {ours} asked for; give the same, or another "
            "folder with --out"
        )
    if known.files is not None and known.files != files:
        raise InputError(
            f"{plan.photos} has changed since {plan.out} was begun: {files} files, {known.files} then; restore it, or "
            "give another folder with --out"
        )


def _evaluation(plan: Tune, *, seconds: float) -> Evaluation:
    """How every network is measured; decided once, so that all are measured alike."""
    file = plan.out / "measuring.yaml"
    if not file.exists():
        networks = 3 if plan.control else 2
        write_yaml(evaluation_of(plan, plan.out / "after", seconds=seconds / networks), file)
    evaluation: Evaluation = read_config(file, Evaluation)
    return evaluation


def _estimate(decided: Decisions, images: int) -> str:
    few = f" of {images}" if decided.images < images else ""
    expected = decided.measuring if decided.expected is None else decided.expected
    epochs = "1 epoch" if decided.epochs == 1 else f"{decided.epochs} epochs"
    return (
        f"about {duration(decided.training + expected)}: {epochs} of {decided.images}{few} "
        f"photographs at {decided.side} px take {duration(decided.training)}, a step of the preset "
        f"{decided.step[1] / decided.step[0]:.1f} times a regular one; measuring and the report take "
        f"{duration(expected)}"
    )


def _are_alike(plan: Tune) -> bool:
    """Whether all photographs have one size that networks see as it is."""
    seen = {header.size for header in sift(files_below(Path(plan.photos).expanduser())).seen}
    known = next(iter(seen)) if len(seen) == 1 else None
    return known is not None and max(known) <= LARGEST


def _expected_size(plan: Tune) -> int:
    """Side to which photographs are resized where they are not alike: what the weights expect, at most `LARGEST`."""
    largest = _regular(plan, LARGEST, epochs=1, images=None)
    expected = preprocessing_of(build_network(largest, load(largest.dataset, "train")))
    return min(LARGEST, *(expected.size if expected is not None and expected.size is not None else (LARGEST,)))


def _fits(experiment: Experiment, train: Dataset) -> bool:
    """Whether the weights that were given have a last layer of the photographs' classes."""
    if experiment.network.weights is None:
        return False
    try:
        build_network(replace(experiment, network=replace(experiment.network, head="strict")), train)
    except InputError:
        return False
    return True
