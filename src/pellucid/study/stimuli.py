"""From run directories to a study folder: images chosen by rule, pictures that reveal nothing about their network."""

import io
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.core.files import remove_left, whole_folder
from pellucid.report.colours import brightest, palette, photograph
from pellucid.runs.evaluated import Run, read_runs
from pellucid.study.allocation import shuffled
from pellucid.study.design import Anchors, Check, Consent, Expertise, PlannedTest, Question, Study
from pellucid.study.folder import Stimulus, sha256, write_manifest, write_study
from pellucid.study.language import class_names, language_names, wording
from pellucid.study.spot import GAP

__all__ = ["New", "choose_images", "minutes_of", "new_study", "render"]

SIDE = 400
"""Pixels of each half of a picture; images are enlarged by a whole factor up to it."""
SECONDS = 20
"""A rated picture, for the estimate of the time."""


@dataclass(frozen=True, kw_only=True)
class New:
    """What ``pellucid study new`` decides.

    Attributes:
        images: number of test images.
        choose: ``all-correct``: every network is right; ``stratified``: half of the images every network right, half
            every network wrong; ``any``: no condition.
        crossing: ``rotated``, each participant sees an image under one condition; ``full``, under all.
        saliency: the method whose maps are shown.
        points: 5 or 7 points of the scales.
        ask: questions, of sufficiency, trust, preference (forced choice) and guess (the network's answer).
        languages: offered languages.
        practice: practice trials; their images are not used again.
        participants: planned number.
        seed: of the choice and of every order.
    """

    images: int
    choose: Literal["all-correct", "stratified", "any"] = "all-correct"
    crossing: Literal["rotated", "full"] = "rotated"
    saliency: str = "vanilla_gradient"
    points: int = 7
    ask: tuple[str, ...] = ("sufficiency", "trust")
    languages: tuple[str, ...] = ("en", "de")
    practice: int = 2
    participants: int | None = None
    seed: int = 0


def new_study(runs: Sequence[str | Path], out: str | Path, new: New) -> Path:
    """Make a study folder from evaluated runs: design, pictures, manifest.

    Args:
        runs: run directories over the same images; their names are the conditions.
        out: the folder, which must not exist yet.
        new: the decisions.

    Returns:
        ``out``.

    Raises:
        InputError: runs that cannot be compared or kept too few images, or a folder that exists.
    """
    out = Path(out)
    remove_left(out.absolute().parent, out.name)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists already; name a new folder, since a study's answers must not be mixed")
    read = read_runs(runs)
    if len(read) < 2:
        raise InputError(f"a study compares at least two runs, got {len(read)}")
    _check_maps(read, new.saliency)
    study = _design(read, new)
    chosen, practice = choose_images(read, new)
    showings = [(run, place, run.name) for place in chosen for run in read]
    showings += [(read[number % len(read)], place, "") for number, place in enumerate(practice)]
    with whole_folder(out) as temporary:
        (temporary / "stimuli").mkdir()
        stimuli = [_stimulus(*showing, new.saliency, temporary) for showing in shuffled(showings, new.seed, "manifest")]
        write_manifest(stimuli, temporary / "manifest.csv")
        write_study(study, temporary / "study.yaml")
    return out


def choose_images(runs: Sequence[Run], new: New) -> tuple[list[int], list[int]]:
    """Positions, among the images that the runs kept maps of, of those shown and of those for practice.

    Classes are balanced as far as the images allow: one of each class in turn, the classes and the images of each in
    an order that is a function of the seed.

    Args:
        runs: runs over the same images.
        new: number, rule and seed.

    Raises:
        InputError: fewer images follow the rule than are asked for.
    """
    if any(run.task == "multilabel" for run in runs):
        raise InputError("a study asks for one class a picture, got networks of several labels a picture")
    maps = runs[0].maps
    label: npt.NDArray[Any] = maps["label"]
    right = np.stack([run.maps["prediction"] == run.maps["label"] for run in runs])
    strata = {
        "all-correct": [("that every network names correctly", np.flatnonzero(right.all(0)), new.images)],
        "any": [("", np.arange(len(label)), new.images)],
        "stratified": [
            ("that every network names correctly", np.flatnonzero(right.all(0)), -(-new.images // 2)),
            ("that every network names wrongly", np.flatnonzero(~right.any(0)), new.images // 2),
        ],
    }[new.choose]
    chosen: list[int] = []
    for words, places, count in strata:
        if len(places) < count:
            raise InputError(
                f"{count} images {words} were asked for".replace("  ", " ")
                + f", but the runs kept the maps of {len(places)} such among {len(label)}; ask for fewer, choose by "
                "another rule, or evaluate with a larger --gallery"
            )
        chosen += _balanced(places, label, new.seed)[:count]
    rest = [place for place in _balanced(np.arange(len(label)), label, new.seed) if place not in chosen]
    rest.sort(key=lambda place: not right[:, place].all())  # those that every network names correctly first
    if len(rest) < new.practice:
        raise InputError(
            f"{new.practice} practice trials need images of their own, but {len(rest)} of {len(label)} are left; take "
            "fewer images, fewer practice trials, or evaluate with a larger --gallery"
        )
    return sorted(chosen), rest[: new.practice]


def _balanced(places: npt.NDArray[Any], label: npt.NDArray[Any], seed: int) -> list[int]:
    classes = shuffled(sorted({int(number) for number in label[places]}), seed, "classes")
    queues = {number: shuffled(places[label[places] == number].tolist(), seed, "images", number) for number in classes}
    turns = max(map(len, queues.values()), default=0)
    return [queues[number][turn] for turn in range(turns) for number in classes if turn < len(queues[number])]


def _check_maps(runs: Sequence[Run], saliency: str) -> None:
    first = runs[0].maps
    for run in runs:
        if f"heatmap/{saliency}" not in run.maps:
            kept = sorted(name.removeprefix("heatmap/") for name in run.maps if name.startswith("heatmap/"))
            raise InputError(f"run {run.name!r} kept no {saliency} maps; there are {', '.join(kept) or 'none'}")
        if not np.array_equal(run.maps["index"], first["index"]):
            raise InputError(
                f"runs {runs[0].name!r} and {run.name!r} kept maps of different images; evaluate both with the same "
                "gallery and seed"
            )


def render(image: npt.NDArray[Any], heatmap: npt.NDArray[Any]) -> bytes:
    """A PNG of the photograph at the left and its map at the right, without metadata.

    Every map has the same colours and the same rule of scale, whichever network it is of: from 0 to its 99th
    percentile. So brightness tells where a network looked, not how large its gradients are.

    Args:
        image: (c, h, w) uint8, one channel or three.
        heatmap: (h, w), non-negative.
    """
    level = (255 * np.clip(heatmap.astype(np.float64) / brightest(heatmap), 0, 1)).round().astype(np.uint8)
    both = [_enlarged(half) for half in (photograph(image).convert("RGB"), Image.fromarray(palette()[level]))]
    width, height = both[0].size
    picture = Image.new("RGBA", (2 * width + GAP, height))  # transparent between the two, on light and dark pages
    picture.paste(both[0], (0, 0))
    picture.paste(both[1], (width + GAP, 0))
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _enlarged(picture: Image.Image) -> Image.Image:
    longest = max(picture.size)
    factor = max(1, SIDE // longest)
    if longest * factor >= SIDE * 0.75 and longest <= SIDE:
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    scale = SIDE / longest
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)


def _stimulus(run: Run, place: int, condition: str, saliency: str, folder: Path) -> Stimulus:
    classes, maps = run.info["classes"], run.maps
    name = secrets.token_hex(12)  # from the system, not from the seed, which would let a reader of it guess the names
    path = folder / "stimuli" / f"{name}.png"
    path.write_bytes(render(maps["images"][place], maps[f"heatmap/{saliency}"][place]))
    os.utime(path, (0, 0))  # nor does the time of writing tell the order
    label, prediction = int(maps["label"][place]), int(maps["prediction"][place])
    return Stimulus(
        stimulus=name,
        file=f"stimuli/{name}.png",
        sha256=sha256(path),
        condition=condition,
        image=int(maps["index"][place]),
        label=classes[label],
        prediction=classes[prediction],
        score=round(float(maps["score"][place]), 6),
        correct=label == prediction,
        saliency=saliency,
    )


def minutes_of(rated: int, compared: int) -> int:
    """Minutes that a participant will take, about.

    Args:
        rated: pictures that are rated.
        compared: images of which the maps are compared.

    >>> minutes_of(12, 0), minutes_of(36, 12)
    (7, 19)
    """
    return max(5, round((rated + compared) * SECONDS / 60) + 3)


def _design(runs: Sequence[Run], new: New) -> Study:
    for language in new.languages:
        if language not in language_names():
            raise InputError(f"there is no language {language!r}; there are {', '.join(language_names())}")
    guess = "guess" in new.ask
    shown = new.images * (len(runs) if new.crossing == "full" else 1)
    minutes = minutes_of(shown, new.images * ("preference" in new.ask))
    languages, classes = new.languages, tuple(runs[0].info["classes"])

    def text(*keys: str) -> dict[str, Any]:
        return wording(*keys, languages=languages)

    return Study(
        title=text("title")[languages[0]],
        heading=text("title"),
        seed=new.seed,
        conditions=tuple(run.name for run in runs),
        images=new.images,
        crossing=new.crossing,
        choose=new.choose,
        saliency=new.saliency,
        classes=classes,
        show_prediction=not guess,
        questions=tuple(_question(name, new.points, languages) for name in new.ask),
        class_names={code: class_names(classes, code) for code in languages},
        practice=new.practice,
        practice_feedback=bool(new.practice),
        comprehension_tries=2,
        screen_out=True,
        checks=tuple(
            Check(
                name=name,
                kind="attention" if name.startswith("attention") else "comprehension",
                text=text("checks", name, "text"),
                options=text("checks", name, "options"),
                correct=correct,
            )
            for name, correct in (("bright", 1), ("side", 1), ("attention_1", 1), ("attention_2", 4))
        ),
        consent=Consent(
            version="1", text={key: words.replace("{minutes}", str(minutes)) for key, words in text("consent").items()}
        ),
        welcome=text("welcome"),
        instructions=text("instructions_guess" if guess else "instructions"),
        debrief=text("debrief"),
        expertise=tuple(
            Expertise(name=name, text=text("expertise", name, "text"), options=text("expertise", name, "options"))
            for name in ("machine_learning", "explanations")
        ),
        tests=tuple(
            PlannedTest(question=name, test="wilcoxon" if len(runs) == 2 else "friedman")
            for name in new.ask
            if name in ("sufficiency", "trust")
        ),
        languages=languages,
        participants=new.participants,
    )


def _question(name: str, points: int, languages: tuple[str, ...]) -> Question:
    if name not in ("sufficiency", "trust", "preference", "guess"):
        raise InputError(
            f"ask takes sufficiency, trust, preference and guess, got {name!r}; write others in study.yaml"
        )
    text = wording("questions", name, "text", languages=languages)
    if name == "preference":
        return Question(name=name, kind="choice", text=text)
    if name == "guess":
        return Question(name=name, kind="guess", text=text)
    low, high = (wording("questions", name, end, languages=languages) for end in ("low", "high"))
    return Question(name=name, kind="likert", text=text, points=points, anchors=Anchors(low=low, high=high))
