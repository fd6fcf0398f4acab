"""``pellucid study``: new, preregister, serve, simulate, backup, export, analyze. None of it imports torch."""

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from difflib import get_close_matches
from pathlib import Path

from pellucid.cli.layout import Example
from pellucid.cli.options import Parser
from pellucid.core.errors import InputError

__all__ = ["study"]


def study(arguments: Sequence[str]) -> None:
    """Run ``pellucid study ACTION``.

    Raises:
        InputError: no such action, a mistake in its arguments, or a package that is missing.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:<13}{summary}" for name, (summary, _) in ACTIONS.items())
        print(f"usage: pellucid study ACTION [options]\n\n{ABOUT}\n\nactions:\n{lines}\n\n{HOW}")
        return
    name, *rest = arguments
    if name not in ACTIONS:
        close = get_close_matches(name, ACTIONS, n=1)
        hint = f", did you mean {close[0]}?" if close else f"; there are {', '.join(ACTIONS)}"
        raise InputError(f"unknown action {name!r} of `pellucid study`{hint}")
    try:
        ACTIONS[name][1](rest)
    except ModuleNotFoundError as error:
        raise InputError(f"the study needs {error.name}: pip install 'pellucid[study]'") from None


def _new(arguments: Sequence[str]) -> None:
    parser = Parser(
        "study new",
        "Make a study folder from measured networks.",
        examples=(
            ("pellucid study new runs/regular runs/scaat --images 8 --out my-study", "a study of two networks"),
            (
                "pellucid study new runs/regular runs/scaat --images 8 --out frozen --choose all-correct --preregister",
                "pictures that both networks name correctly, frozen at once",
            ),
        ),
        settings="pellucid.study.stimuli.New",
    )
    parser.add_argument(
        "run",
        type=Path,
        nargs="+",
        help="folders that `pellucid evaluate` has measured; their names are the conditions",
    )
    parser.add_argument("--images", type=int, required=True, help="number of test images to show")
    parser.add_argument("--out", type=Path, required=True, help="the study folder to make")
    parser.add_argument("--preregister", action="store_true", help="also freeze the study and print its hash")
    settings, parsed = parser.parse(arguments)
    from pellucid.study.folder import freeze
    from pellucid.study.outline import outline
    from pellucid.study.stimuli import new_study

    new_study(parsed.run, parsed.out, settings)
    frozen = freeze(parsed.out) if parsed.preregister else ""
    print(outline(parsed.out))
    if frozen:
        print(f"\nhash of the registration: {frozen}")


def _preregister(arguments: Sequence[str]) -> None:
    parser = _on_study(
        "preregister",
        "Freeze a study and print its hash, to be written into a registration.",
        ("pellucid study preregister my-study", "freeze the study in the folder my-study"),
        ("pellucid study preregister studies/pilot", "freeze another one"),
    )
    parsed = parser.parse_args(arguments)
    from pellucid.study.folder import freeze

    print(freeze(parsed.study))


def _serve(arguments: Sequence[str]) -> None:
    parser = _on_study(
        "serve",
        "Serve a study to participants. The researcher's password is taken from the environment variable "
        "PELLUCID_STUDY_PASSWORD; without it a password is made and shown once.",
        ("pellucid study serve my-study", "on this machine alone, to try it"),
        (
            "pellucid study serve my-study --host 0.0.0.0 --url https://study.example.org",
            "behind a web server that participants reach at this address",
        ),
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", default=8000, type=int, help="port to listen at; 0 for a free one")
    parser.add_argument("--url", help="address that participants use, such as https://study.example.org")
    parser.add_argument("--preview", action="store_true", help="try the pages; nothing is stored")
    _add_database(parser)
    parsed = parser.parse_args(arguments)
    from pellucid.study.folder import is_frozen, read_study
    from pellucid.study.researcher import researcher_password
    from pellucid.study.serve import address_of, check_url, listen, serve
    from pellucid.study.store import opened
    from pellucid.study.web import application

    check_url(parsed.url, parsed.host)
    frozen = is_frozen(parsed.study)
    read_study(parsed.study)
    with (
        closing(listen(parsed.host, parsed.port)) as bound,
        opened(parsed.study, parsed.database, preview=parsed.preview) as store,
        store.only_server(),
    ):
        password, fresh = researcher_password(store, os.environ.get("PELLUCID_STUDY_PASSWORD"))
        app = application(parsed.study, store, password=password, url=parsed.url, preview=parsed.preview)
        address = parsed.url.rstrip("/") if parsed.url else address_of(bound)
        print(f"participants  {address}/\nresearcher    {address}/researcher", flush=True)
        if fresh:
            print(f"password      {fresh} (shown this once)", flush=True)
        browser = f"{address}/researcher/browser/{app.state.site.tokens.new_browser()}"
        print(f"your browser  {browser} (open it once, and nobody's guessing can keep you out)", flush=True)
        if parsed.preview:
            print("preview       nothing is stored; Ctrl+C ends it", flush=True)
        elif not frozen:
            print("pellucid: the study is not frozen; `pellucid study preregister` does it", file=sys.stderr)
        try:
            serve(app, bound)
        except KeyboardInterrupt:  # as every server ends
            print(
                "stopped; " + ("nothing was stored" if parsed.preview else "every acknowledged answer is stored"),
                file=sys.stderr,
            )


def _simulate(arguments: Sequence[str]) -> None:
    parser = _on_study(
        "simulate",
        "Let synthetic participants take part. The data says that they are synthetic.",
        ("pellucid study simulate my-study --participants 40", "forty who see no difference"),
        (
            "pellucid study simulate my-study --participants 40 --effect scaat=+0.5",
            "forty who prefer the maps of the condition scaat",
        ),
    )
    parser.add_argument("--participants", type=int, required=True, help="number of participants")
    parser.add_argument(
        "--effect", action="append", default=[], metavar="CONDITION=SHIFT",
        help="how much better the maps of a condition are rated, on the latent scale; may be repeated",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="seed of their answers")
    parser.add_argument(
        "--through-http", action="store_true", help="let them use the web pages, on a server on this machine"
    )
    _add_database(parser)
    parsed = parser.parse_args(arguments)
    effect = _numbers_by_name(parsed.effect, "--effect is CONDITION=SHIFT, such as scaat=+0.5")
    from pellucid.study.folder import read_study
    from pellucid.study.simulate import simulate
    from pellucid.study.store import Store

    read_study(parsed.study)
    with closing(Store.open(parsed.study, parsed.database)) as store:
        finished = simulate(
            parsed.study, store, participants=parsed.participants, effect=effect, seed=parsed.seed,
            through_http=parsed.through_http,
        )  # fmt: skip
    print(f"{finished} synthetic participants finished")


def _backup(arguments: Sequence[str]) -> None:
    parser = _on_study(
        "backup",
        "Copy every answer into one file. The study may go on meanwhile.",
        ("pellucid study backup my-study --out answers-monday.sqlite", "one file with all answers so far"),
        (
            "pellucid study backup my-study --out answers.sqlite --database postgresql://me@localhost/study",
            "the same, where the answers are in PostgreSQL",
        ),
    )
    parser.add_argument("--out", type=Path, required=True, help="the file to write, such as answers-monday.sqlite")
    _add_database(parser)
    parsed = parser.parse_args(arguments)
    from pellucid.study.folder import read_study
    from pellucid.study.store import Store

    read_study(parsed.study)
    with closing(Store.open(parsed.study, parsed.database, create=False)) as store:
        print(store.backup(parsed.out))


def _export(arguments: Sequence[str]) -> None:
    parser = _on_study(
        "export",
        "Write the answers as CSV and Parquet, with a codebook.",
        ("pellucid study export my-study --out answers", "all tables"),
        ("pellucid study export my-study --out shared --deidentified", "tables that may be shared"),
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument(
        "--deidentified", action="store_true", help="leave out times of day, window sizes and free text"
    )
    _add_database(parser)
    parsed = parser.parse_args(arguments)
    from pellucid.study.export import write_export
    from pellucid.study.folder import read_study
    from pellucid.study.store import Store

    read_study(parsed.study)
    with closing(Store.open(parsed.study, parsed.database, create=False)) as store:
        print(write_export(parsed.study, store, parsed.out, deidentified=parsed.deidentified))


def _analyze(arguments: Sequence[str]) -> None:
    parser = Parser(
        "study analyze",
        "Analyse an export as it was registered. Writes a web page, figures, tables and an R script.",
        examples=(
            ("pellucid study analyze answers --out findings", "what was planned"),
            (
                "pellucid study analyze answers --out findings --equivalence trust=0.5",
                "also a test that two conditions differ by less than half a point, marked as not planned",
            ),
        ),
    )
    parser.add_argument("export", type=Path, help="the folder that `pellucid study export` wrote")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument(
        "--synthetic", action="store_true", help="accept synthetic participants; every page says SYNTHETIC"
    )
    parser.add_argument(
        "--test",
        action="append",
        default=[],
        metavar="QUESTION",
        help="also test a question that was not planned; may be repeated",
    )
    parser.add_argument(
        "--equivalence", action="append", default=[], metavar="QUESTION=POINTS",
        help="also test equivalence within a margin that was not planned; may be repeated",
    )  # fmt: skip
    parsed = parser.parse_args(arguments)
    bounds = _numbers_by_name(parsed.equivalence, "--equivalence is QUESTION=POINTS, such as trust=0.5")
    from pellucid.study.findings import write_findings

    print(write_findings(parsed.export, parsed.out, synthetic=parsed.synthetic, extra=parsed.test, bounds=bounds))


def _on_study(action: str, description: str, *examples: Example) -> Parser:
    parser = Parser(f"study {action}", description, examples=examples)
    parser.add_argument("study", type=Path, help="the study folder")
    return parser


def _add_database(parser: Parser) -> None:
    parser.add_argument(
        "--database",
        default=os.environ.get("PELLUCID_STUDY_DATABASE"),
        metavar="URL",
        help="postgresql://USER@HOST/NAME or sqlite:///FILE; by default answers.sqlite in the study folder",
    )


def _numbers_by_name(given: Sequence[str], form: str) -> dict[str, float]:
    numbers = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            numbers[name] = float(number)
        except ValueError:
            raise InputError(f"{form}, got {text!r}") from None
    return numbers


ABOUT = "Ask people about maps: make a study, serve it, and analyse the answers."
HOW = "`pellucid study ACTION --help` shows the options of an action, and examples."
ACTIONS = {
    "new": ("make a study folder from measured runs", _new),
    "preregister": ("freeze the study and print its hash", _preregister),
    "serve": ("serve it to participants", _serve),
    "simulate": ("let synthetic participants take part", _simulate),
    "backup": ("copy all answers into one file, also while it is served", _backup),
    "export": ("write the answers as tables", _export),
    "analyze": ("analyse the answers as it was registered", _analyze),
}
