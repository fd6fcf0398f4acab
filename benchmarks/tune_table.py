"""The page of `tune_photographs.py`: every way of tuning beside the network before and its controls.

    python benchmarks/tune_table.py --rows FOLDER --facts FOLDER/facts.json

FOLDER holds NETWORK/WAY/seedN/{run,composites,held-back,held-back-composites}/rows.parquet. A number is the mean over
seeds and images; its interval speaks of other seeds and other images, or of other images alone where one seed was
measured. Differences are paired over images, from the regular control and from the one with noise.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from pyarrow import csv

from pellucid.statistics.intervals import Interval
from pellucid.statistics.seeds import hierarchical_statistic

Floats = npt.NDArray[np.float64]
CONTROL, NOISE = "regular", "gaussian-0.1-decay-1"
WORDS = (
    "`before` trains a new last layer alone. `regular` is the control; its first layers learn at a tenth of the last "
    "layer's rate. `decay-1` lets them learn at the full rate. `gaussian` is a second control: noise of deviation 0.1 "
    "on every photograph, no attack and no map. `structured` is one step of structured adversarial training, `trades` "
    "TRADES with two steps; the number is the radius in pixel units, and 2/255 is .0078. The robust accuracy is that "
    "under PGD with 20 steps. A composite is a test photograph, shrunk and pasted at a random place of another "
    "background among other things; *on the object* means inside the pasted square, not on the thing in the "
    "photograph. {networks} The four targets were set before anything was measured. No prediction was written down, "
    "and three seeds are few: read the differences as hints."
)
SCRATCH = "trained from scratch, once, on the same training photographs, and then used as the pretrained network"
ABOUT = {
    "efficientnet-lite0": "efficientnet-lite0 has its ImageNet weights, which have probably seen some of the test "
    "photographs, since Imagenette is a part of ImageNet.",
    "resnet18-224": f"resnet18-224 is half as wide as usual; it was {SCRATCH}.",
    "efficientnet-b0": f"efficientnet-b0 is timm's, whose activation is SiLU; it was {SCRATCH}.",
    "vit-tiny": f"vit-tiny is timm's, with patches of 8 pixels; it was {SCRATCH}.",
}
CONTROLS = ("before", CONTROL, "regular-decay-1", NOISE)
ALLOWED = 0.01
"""Accuracy on held-back photographs that a preset may lose."""


@dataclass(frozen=True)
class Number:
    """A column of the page: where it was measured, and of what it is the mean or the ratio of means."""

    title: str
    place: str
    of: str
    by: str | None = None
    percent: bool = False
    digits: int = 1


NUMBERS = {
    "accuracy": Number("accuracy %", "run", "correct", percent=True),
    "robust_accuracy": Number("robust accuracy %, ε 2/255", "run", "robust_correct", percent=True),
    "mass": Number("mass on the object %", "composites", "mass", percent=True),
    "mass_chance": Number("that of a random map", "composites", "mass_chance", percent=True),
    "mass_smoothgrad": Number("SmoothGrad's mass on the object %", "composites", "mass/smoothgrad", percent=True),
    "mass_gradcam": Number("Grad-CAM's mass on the object %", "composites", "mass/gradcam", percent=True),
    "gini": Number("Gini", "run", "gini", digits=3),
    "ris": Number("RIS", "run", "ris"),
    "ros": Number("ROS", "run", "ros"),
    "faithfulness": Number("normalised faithfulness %, noise", "run", "area_between", "oracle_gap", percent=True),
    "faithfulness_mean": Number(
        "normalised faithfulness %, mean fill", "run", "area_between_mean", "oracle_gap_mean", percent=True
    ),
    "cards": Number("cards without objection %", "cards.json", "no objection", percent=True),
    "held_back_accuracy": Number("accuracy %", "held-back", "correct", percent=True),
    "held_back_mass": Number("mass on the object %", "held-back-composites", "mass", percent=True),
    "held_back_gini": Number("Gini", "held-back", "gini", digits=3),
    "held_back_ris": Number("RIS", "held-back", "ris"),
}
SHARES = ("correct", "robust_correct", "no objection")
"""Shares of photographs, whose intervals end at 0 and 1."""
PLACES = ("run", "composites", "held-back", "held-back-composites")
"""Folders of a network's measurements."""
TEST = [name for name in NUMBERS if not name.startswith("held_back")]
CHOOSING = [name for name in NUMBERS if name.startswith("held_back")]


def columns(folder: Path, number: Number) -> tuple[Floats, Floats]:
    """Numerator and denominator of a network's images; a row without a value is NaN in both."""
    if number.place == "cards.json":
        levels = json.loads((folder / number.place).read_text())
        without = np.array([level == number.of for level in levels], dtype=np.float64)
        return without, np.ones_like(without)
    table = pq.read_table(folder / number.place / "rows.parquet")  # type: ignore[no-untyped-call]
    if number.of == "correct":
        values = (table["prediction"].to_numpy() == table["label"].to_numpy()).astype(np.float64)
    else:
        values = table[number.of].to_numpy().astype(np.float64)
    under = np.ones_like(values) if number.by is None else table[number.by].to_numpy().astype(np.float64)
    gone = np.isnan(values) | np.isnan(under)
    return np.where(gone, np.nan, values), np.where(gone, np.nan, under)


def statistic(above: Floats, below: Floats, usable: npt.NDArray[np.bool_]) -> Callable[[Floats], Floats]:
    """Ratio of weighted means of the images that count."""
    over, under = np.where(usable, above, 0.0), np.where(usable, below, 0.0)
    return lambda weight: (weight @ over) / (weight @ under)


def measured(way: Path, other: Path, number: Number) -> dict[str, Any] | None:
    """One number of a way with its interval, and its difference from another way, over the seeds that both have."""
    file = Path(number.place) if number.place == "cards.json" else Path(number.place) / "rows.parquet"
    seeds = sorted(folder.name for folder in way.glob("seed*") if is_measured(folder) and (folder / file).exists())
    if not seeds:
        return None
    both = [seed for seed in seeds if is_measured(other / seed) and (other / seed / file).exists()]
    own = {seed: columns(way / seed, number) for seed in seeds}
    theirs = {seed: columns(other / seed, number) for seed in both}

    def interval(seeds: list[str], groups: list[Mapping[str, tuple[Floats, Floats]]]) -> Interval:
        usable = ~np.any([np.isnan(group[seed][0]) for group in groups for seed in seeds], axis=0)
        statistics = [[statistic(*group[seed], usable) for seed in seeds] for group in groups]
        if len(groups) == 1:
            return hierarchical_statistic(statistics, len(usable))
        return hierarchical_statistic(statistics, len(usable), function=lambda means: means[0] - means[1])

    found = asdict(interval(seeds, [own])) | {"seeds": len(seeds)}
    if way != other and both:
        found["difference"] = asdict(interval(both, [own, theirs])) | {"seeds": len(both)}
    if number.of in SHARES:
        found |= {"low": max(found["low"], 0.0), "high": min(found["high"], 1.0)}
    return found


def seconds(way: Path) -> float | None:
    """Seconds that a training took, the mean of its seeds; None where no log is there."""
    logs = [csv.read_csv(file)["seconds"] for file in way.glob("seed*/run/train.csv")]
    return float(np.mean([np.sum(log) for log in logs])) if logs else None


def is_measured(folder: Path) -> bool:
    """Whether all that a page tells of a network is there; what was stopped in between waits for its end."""
    return all((folder / place / "rows.parquet").exists() for place in PLACES)


def table(rows: Path) -> list[dict[str, Any]]:
    """A row for each network and way."""
    found = []
    for network in sorted(path for path in rows.iterdir() if path.is_dir()):
        for way in sorted(path for path in network.iterdir() if is_measured(path / "seed1")):
            numbers = {name: measured(way, network / CONTROL, number) for name, number in NUMBERS.items()}
            from_noise = {name: measured(way, network / NOISE, number) for name, number in NUMBERS.items()}
            found.append({
                "network": network.name, "way": way.name, "measured": numbers, "seconds": seconds(way),
                "from_noise": {name: (told or {}).get("difference") for name, told in from_noise.items()},
            })  # fmt: skip
    return found


def page(result: Mapping[str, Any]) -> str:
    """The page in Markdown."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    yield "# A pretrained network tuned on photographs: before, control, after"
    yield ""
    networks = dict.fromkeys(row["network"] for row in result["rows"])
    for network in networks:
        yield f"With {network}:"
        yield ""
        yield from reading([row for row in result["rows"] if row["network"] == network])
        yield ""
    yield WORDS.format(networks=" ".join(ABOUT[network] for network in networks))
    yield ""
    for network in networks:
        rows = [row for row in result["rows"] if row["network"] == network]
        for title, names in (
            (f"{network}: test photographs and composites of them", TEST),
            (
                f"{network}: photographs that were held back from training, which choose the epoch and the preset",
                CHOOSING,
            ),
        ):
            yield f"## {title}"
            yield ""
            timed = names is TEST
            titles = [*(NUMBERS[name].title for name in names), *["seconds of training"] * timed]
            yield "| way | " + " | ".join(titles) + " |"
            yield "|---" * (len(names) + 1 + timed) + "|"
            for row in rows:
                cells = [_cell(row["measured"].get(name), NUMBERS[name]) for name in names]
                cells += [f"{row['seconds']:.0f}" if row.get("seconds") else "–"] * timed
                yield f"| {row['way']} | " + " | ".join(cells) + " |"
            yield ""
        for other, differences in ((CONTROL, _from_control), (NOISE, _from_noise)):
            told = {row["way"]: differences(row) for row in rows if row["way"] != other}
            if any(any(found.values()) for found in told.values()):
                names = [name for name in TEST if name != "mass_chance"]
                yield f"## {network}: differences from `{other}`"
                yield ""
                yield "| way | " + " | ".join(NUMBERS[name].title for name in names) + " |"
                yield "|---" * (len(names) + 1) + "|"
                for way, found in told.items():
                    yield f"| {way} | " + " | ".join(_cell(found[name], NUMBERS[name]) for name in names) + " |"
                yield ""
        yield _made(result["origins"][network])
        yield ""


def _made(origin: Mapping[str, Any]) -> str:
    facts = origin["environment"]
    machine = f"{facts['device_name']}, torch {facts['packages']['torch']}, commit {facts['commit'][:10]}"
    cards = f", cards of {origin['cards']}" if origin.get("cards") else ""
    return (
        f"{facts.get('note', '')}{origin['images']} images a network, curves of about {origin['curves']} of "
        f"them{cards}; {origin['epochs']} epochs of {origin['batch_size']} photographs a step. Three seeds where no "
        "other number is given; intervals of differences are not corrected for their number. "
        f"{machine}, {facts['started'][:10]}. Regenerate: `{origin['command']}`."
    )


def reading(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What the rows say, in sentences made of them."""
    control = next((row["measured"] for row in rows if row["way"] == CONTROL), None)
    if control is None:
        yield f"- Nothing can be said until the control, `{CONTROL}`, is measured."
        return
    least = control["held_back_accuracy"]["mean"] - ALLOWED
    fit = [row for row in rows if row["way"] not in CONTROLS and row["measured"]["held_back_accuracy"]["mean"] >= least]
    tried = [row for row in rows if row["way"] not in CONTROLS]
    chosen = max(fit, key=lambda row: row["measured"]["held_back_mass"]["mean"], default={"way": "none"})["way"]
    yield (
        "- The preset, by held-back photographs alone: among the trainings that are not controls and lose at most a "
        f"point of accuracy, {len(fit)} of {len(tried)}, the one with most mass on the object, `{chosen}`."
    )
    if preset := next((row["measured"] for row in rows if row["way"] == chosen), None):
        yield "- " + _targets(preset, control)
    others = [row for row in rows if row["way"] not in (CONTROL, "before")]
    if not others:
        return
    for name, words in (
        ("mass", "more of the gradient map on the object"),
        ("mass_smoothgrad", "more of the SmoothGrad map on the object"),
        ("robust_accuracy", "higher robust accuracy"), ("faithfulness", "higher normalised faithfulness under noise"),
        ("gini", "sparser maps by the Gini index"), ("cards", "more cards without objection"),
    ):  # fmt: skip
        above = {row["way"]: _difference(row, name) for row in others if _difference(row, name).get("low", -1) > 0}
        told = {way: f"`{way}` {_cell(found, NUMBERS[name])}" for way, found in above.items()}
        shown = ", ".join(told[way] for way, found in above.items() if found["seeds"] > 1)
        seen = ", ".join(told[way] for way, found in above.items() if found["seeds"] == 1)
        unconfirmed = f"; on one seed: {seen}" if seen else ""
        yield f"- With {words} than the control, by an interval that excludes 0: {shown or 'none'}{unconfirmed}."
    best = max(others, key=lambda row: row["measured"]["mass"]["mean"])
    ratio = best["measured"]["mass"]["mean"] / control["mass"]["mean"]
    yield f"- Most mass on the object: `{best['way']}`, {ratio:.2f} times the control's; 1.3 was asked for."
    steadiest = min(others, key=lambda row: row["measured"]["ris"]["mean"])
    ratio = steadiest["measured"]["ris"]["mean"] / control["ris"]["mean"]
    yield f"- Lowest RIS: `{steadiest['way']}`, {ratio:.2f} times the control's; .8 was asked for."
    smooth, plain = (_cell(control[name], NUMBERS["mass"]) for name in ("mass_smoothgrad", "mass"))
    yield f"- Another map of the control itself: SmoothGrad has {smooth} on the object, the gradient {plain}."


def _targets(preset: Mapping[str, Any], control: Mapping[str, Any]) -> str:
    """The preset's means beside the four targets that were set before anything was measured."""
    lost = 100 * (preset["accuracy"]["mean"] - control["accuracy"]["mean"])
    reached = lost >= -100 * ALLOWED - 1e-9
    told = [f"accuracy {lost:+.1f} points (at most one lower was asked for): {'reached' if reached else 'missed'}"]
    for name, words, asked, sign in (
        ("mass", "the mass on the object", 1.3, 1), ("ris", "the RIS", 0.8, -1),
        ("cards", "the cards without objection", 2.0, 1),
    ):  # fmt: skip
        if not preset.get(name) or not control.get(name):
            told.append(f"{words}: not measured")
        elif not control[name]["mean"]:
            told.append(f"{words}: the control has none")
        else:
            times = preset[name]["mean"] / control[name]["mean"]
            verdict = "reached" if sign * times >= sign * asked else "missed"
            told.append(f"{times:.2f} times {words} ({asked:g}): {verdict}")
    return f"That preset on test photographs, by its means: {'; '.join(told)}.".replace("-", "−")


def _difference(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return (row["measured"].get(name) or {}).get("difference") or {}


def _from_control(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _difference(row, name) or None for name in NUMBERS}


def _from_noise(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get("from_noise", {}).get(name) for name in NUMBERS}


def _cell(found: Mapping[str, Any] | None, number: Number) -> str:
    if not found:
        return "–"
    scale = 100 if number.percent else 1
    mean, low, high = (scale * found[end] for end in ("mean", "low", "high"))
    digits = number.digits
    seeds = "" if found["seeds"] == 3 else f" ({found['seeds']} seed{'s' if found['seeds'] > 1 else ''})"
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]{seeds}".replace("-", "−")


def write(rows: Path, facts: Mapping[str, Any], out: Path) -> None:
    """Write the page and its numbers; what is there of networks without rows in the folder stays.

    Args:
        rows: FOLDER, as above.
        facts: how the networks were trained, and where.
        out: the files, without their suffix.
    """
    there = json.loads(out.with_suffix(".json").read_text()) if out.with_suffix(".json").exists() else {}
    found = table(rows)
    here = {row["network"] for row in found}
    result = {
        "name": out.name,
        "origins": {**there.get("origins", {}), **dict.fromkeys(sorted(here), facts)},
        "rows": [row for row in there.get("rows", ()) if row["network"] not in here] + found,
    }
    text = page(result)  # before a file is replaced
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    out.with_suffix(".md").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument(
        "--facts", type=Path, required=True, help="facts.json, which tune_photographs.py leaves beside the rows"
    )
    parser.add_argument("--out", type=Path, default=Path("results/tune-photographs"))
    options = parser.parse_args()
    write(options.rows, json.loads(options.facts.read_text()), options.out)


if __name__ == "__main__":
    main()
