"""A study in a few lines: what `pellucid study new` prints, so that a mistake is seen before anybody takes part."""

from pathlib import Path

from pellucid.study.design import Study
from pellucid.study.folder import is_frozen, read_manifest, read_study
from pellucid.study.sequence import Sequences
from pellucid.study.stimuli import minutes_of

__all__ = ["outline"]


def outline(folder: str | Path) -> str:
    """The design of a study folder, the minutes that a participant takes, and the command that comes next.

    Raises:
        InputError: a study that cannot be read.
    """
    study = read_study(folder)
    steps = Sequences(study, read_manifest(folder, verify=False)).steps(0)
    rated = sum(step.kind == "trial" for step in steps)
    compared = sum(step.kind == "choice" for step in steps)
    shown = f"{rated} pictures to rate" * bool(rated) + " and " * bool(rated and compared)
    shown += f"{compared} comparisons of all networks" * bool(compared)
    lines = {
        "networks": ", ".join(study.conditions),
        "images": f"{study.images} test images, {_CHOICE[study.choose]}; maps: {study.saliency}",
        "each person": f"{shown}, {study.practice} for practice, {len(study.checks)} checks",
        "crossing": _CROSSING[study.crossing],
        "questions": ", ".join(_question(study, name.name) for name in study.questions),
        "tests": ", ".join(f"{test.question} ({test.test})" for test in study.tests) or "none planned",
        "people": str(study.participants or "no limit; `participants` in study.yaml sets one"),
        "languages": ", ".join(study.languages),
        "takes": f"about {minutes_of(rated, compared)} minutes, {len(steps)} pages",
    }
    width = max(map(len, lines))
    told = [f"{folder}", *(f"  {name:<{width}}  {text}" for name, text in lines.items())]
    if is_frozen(folder):
        return "\n".join([*told, f"\nThe study is frozen. Serve it:  pellucid study serve {folder}"])
    return "\n".join(
        [
            *told,
            f"\nRead the texts in {Path(folder) / 'study.yaml'}, above all the consent, then see the pages as a "
            f"participant does:\n\n  pellucid study serve {folder} --preview",
        ]
    )


_CHOICE = {
    "all-correct": "which every network names correctly",
    "stratified": "half of them named correctly by every network, half wrongly by every network",
    "any": "whether named correctly or not",
}
_CROSSING = {
    "rotated": "a person sees each image with the map of one network; people take turns",
    "full": "a person sees each image with the map of every network",
}


def _question(study: Study, name: str) -> str:
    question = study.question(name)
    kinds = {"likert": f"1 to {question.points}", "choice": "best map", "guess": "the network's answer"}
    return f"{name} ({kinds[question.kind]})"
