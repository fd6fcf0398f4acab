"""``pellucid study``: new, preregister, serve, simulate, export, analyze."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

from pellucid.core.errors import InputError

__all__ = ["run"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def _parser(command: str, description: str) -> _Parser:
    return _Parser(prog=f"pellucid study {command}", description=description, allow_abbrev=False)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _add_database(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database",
        default=os.environ.get("PELLUCID_STUDY_DATABASE"),
        help="postgresql://USER@HOST/NAME or sqlite:///FILE (answers.sqlite in the study folder)",
    )


def _new(arguments: list[str]) -> None:
    from pellucid.study.folder import freeze
    from pellucid.study.stimuli import New, new_study

    parser = _parser("new", "Make a study folder from measured run directories.")
    parser.add_argument("run", type=Path, nargs="+", help="measured run directories; their names are the conditions")
    parser.add_argument("--images", type=int, required=True, help="number of test images")
    parser.add_argument("--out", type=Path, required=True, help="the study folder to make")
    parser.add_argument(
        "--choose",
        default=New.choose,
        choices=("all-correct", "stratified", "any"),
        help="images that every network names correctly, half correctly and half wrongly, or any",
    )
    parser.add_argument(
        "--crossing",
        default=New.crossing,
        choices=("rotated", "full"),
        help="each participant sees an image under one condition, or under every one",
    )
    parser.add_argument("--saliency", default=New.saliency, help="the method whose maps are shown")
    parser.add_argument("--points", default=New.points, type=int, help="5 or 7 points of the scales")
    parser.add_argument(
        "--ask",
        default=New.ask,
        type=_names,
        help="questions with commas between: sufficiency, trust, preference (forced choice), guess (the prediction)",
    )
    parser.add_argument("--languages", default=New.languages, type=_names, help="en,de")
    parser.add_argument("--practice", default=New.practice, type=int, help="practice trials")
    parser.add_argument("--participants", type=int, help="planned number of participants")
    parser.add_argument("--seed", default=New.seed, type=int, help="of the choice of images and of every order")
    parser.add_argument("--preregister", action="store_true", help="freeze the study and print its hash")
    parsed = vars(parser.parse_args(arguments))
    runs, out, preregister = parsed.pop("run"), parsed.pop("out"), parsed.pop("preregister")
    print(new_study(runs, out, New(**parsed)))
    if preregister:
        print(freeze(out))


def _preregister(arguments: list[str]) -> None:
    from pellucid.study.folder import freeze

    parser = _parser("preregister", "Freeze a study and print its hash, to be written into a registration.")
    parser.add_argument("study", type=Path, help="the study folder")
    print(freeze(parser.parse_args(arguments).study))


def _serve(arguments: list[str]) -> None:
    from pellucid.study.folder import is_frozen, read_study
    from pellucid.study.researcher import researcher_password
    from pellucid.study.serve import address_of, check_url, listen, serve
    from pellucid.study.store import Store
    from pellucid.study.web import application

    parser = _parser("serve", "Serve a study. The researcher's password is PELLUCID_STUDY_PASSWORD, or made once.")
    parser.add_argument("study", type=Path, help="the study folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", default=8000, type=int, help="port to listen at; 0 takes a free one")
    parser.add_argument("--url", help="address that participants use, such as https://study.example.org")
    _add_database(parser)
    parsed = parser.parse_args(arguments)
    check_url(parsed.url, parsed.host)
    frozen = is_frozen(parsed.study)
    read_study(parsed.study)
    with (
        closing(listen(parsed.host, parsed.port)) as bound,
        closing(Store.open(parsed.study, parsed.database)) as store,
    ):
        password, fresh = researcher_password(store, os.environ.get("PELLUCID_STUDY_PASSWORD"))
        app = application(parsed.study, store, password=password, url=parsed.url)
        address = parsed.url.rstrip("/") if parsed.url else address_of(bound)
        print(f"participants  {address}/\nresearcher    {address}/researcher", flush=True)
        if fresh:
            print(f"password      {fresh} (shown this once)", flush=True)
        if not frozen:
            print("pellucid: the study is not frozen; `pellucid study preregister` does it", file=sys.stderr)
        try:
            serve(app, bound)
        except KeyboardInterrupt:  # as every server ends
            print("stopped; every acknowledged answer is stored", file=sys.stderr)


def _simulate(arguments: list[str]) -> None:
    from pellucid.study.folder import read_study
    from pellucid.study.simulate import simulate
    from pellucid.study.store import Store

    parser = _parser("simulate", "Let synthetic participants take part, marked as such in the data.")
    parser.add_argument("study", type=Path, help="the study folder")
    parser.add_argument("--participants", type=int, required=True, help="how many")
    parser.add_argument(
        "--effect",
        action="append",
        default=[],
        metavar="CONDITION=SHIFT",
        help="shift of a condition's ratings on the latent scale; may be given again",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the participants")
    parser.add_argument("--through-http", action="store_true", help="through a server on this machine")
    _add_database(parser)
    parsed = parser.parse_args(arguments)
    effect = dict(_effect(each) for each in parsed.effect)
    read_study(parsed.study)
    with closing(Store.open(parsed.study, parsed.database)) as store:
        finished = simulate(
            parsed.study,
            store,
            participants=parsed.participants,
            effect=effect,
            seed=parsed.seed,
            through_http=parsed.through_http,
        )
    print(f"{finished} synthetic participants finished")


def _effect(text: str) -> tuple[str, float]:
    condition, equals, shift = text.partition("=")
    try:
        return condition, float(shift if equals else "none")
    except ValueError:
        raise InputError(f"--effect is CONDITION=SHIFT, such as scaat=+0.5, got {text!r}") from None


def _export(arguments: list[str]) -> None:
    from pellucid.study.export import write_export
    from pellucid.study.folder import read_study
    from pellucid.study.store import Store

    parser = _parser("export", "Write the answers as CSV and Parquet with a codebook.")
    parser.add_argument("study", type=Path, help="the study folder")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--deidentified", action="store_true", help="without times of day, windows and free text")
    _add_database(parser)
    parsed = parser.parse_args(arguments)
    read_study(parsed.study)
    with closing(Store.open(parsed.study, parsed.database, create=False)) as store:
        print(write_export(parsed.study, store, parsed.out, deidentified=parsed.deidentified))


def _analyze(arguments: list[str]) -> None:
    from pellucid.study.findings import write_findings

    parser = _parser("analyze", "Analyse an export as it was registered: a page, figures, tables, an R script.")
    parser.add_argument("export", type=Path, help="the folder that `pellucid study export` wrote")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--synthetic", action="store_true", help="accept simulated raters; everything says SYNTHETIC")
    parser.add_argument(
        "--test", action="append", default=[], metavar="QUESTION", help="test that was not planned; may be given again"
    )
    parser.add_argument(
        "--equivalence",
        action="append",
        default=[],
        metavar="QUESTION=POINTS",
        help="equivalence test that was not planned, with its margin; may be given again",
    )
    parsed = parser.parse_args(arguments)
    bounds = dict(_margin(each) for each in parsed.equivalence)
    print(write_findings(parsed.export, parsed.out, synthetic=parsed.synthetic, extra=parsed.test, bounds=bounds))


def _margin(text: str) -> tuple[str, float]:
    question, equals, points = text.partition("=")
    try:
        return question, float(points if equals else "none")
    except ValueError:
        raise InputError(f"--equivalence is QUESTION=POINTS, such as trust=0.5, got {text!r}") from None


ACTIONS: dict[str, tuple[str, Callable[[list[str]], Any]]] = {
    "new": ("make a study folder from measured runs", _new),
    "preregister": ("freeze a study and print its hash", _preregister),
    "serve": ("serve it to participants", _serve),
    "simulate": ("let synthetic participants take part", _simulate),
    "export": ("write the answers as tables", _export),
    "analyze": ("analyse them as it was registered", _analyze),
}


def run(arguments: Sequence[str]) -> None:
    """Run ``pellucid study ACTION``.

    Raises:
        InputError: no such action, or a mistake in its arguments.
    """
    lines = "\n".join(f"  {name:<12} {summary}" for name, (summary, _) in ACTIONS.items())
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: pellucid study ACTION [options]\n\nA human study, from networks to its analysis.\n\n{lines}")
        return
    name, *rest = arguments
    if name not in ACTIONS:
        raise InputError(f"`pellucid study` takes {', '.join(ACTIONS)}, got {name!r}")
    try:
        ACTIONS[name][1](rest)
    except ModuleNotFoundError as error:
        raise InputError(f"the study needs {error.name}: pip install 'pellucid[study]'") from None
