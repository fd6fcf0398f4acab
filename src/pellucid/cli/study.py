"""``pellucid study``: new, preregister, serve, simulate, backup, export, analyze. None of it imports torch."""

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pellucid.cli.options import Parser
from pellucid.core.errors import InputError

__all__ = ["study"]


def study(arguments: Sequence[str]) -> None:
    """Run ``pellucid study ACTION``.

    Raises:
        InputError: no such action, a mistake in its arguments, or a package that is missing.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:<12} {summary}" for name, (summary, _) in ACTIONS.items())
        print(f"usage: pellucid study ACTION [options]\n\nA human study, from networks to its analysis.\n\n{lines}")
        return
    name, *rest = arguments
    if name not in ACTIONS:
        raise InputError(f"`pellucid study` takes {', '.join(ACTIONS)}, got {name!r}")
    try:
        ACTIONS[name][1](rest)
    except ModuleNotFoundError as error:
        raise InputError(f"the study needs {error.name}: pip install 'pellucid[study]'") from None


def _new(arguments: Sequence[str]) -> None:
    parser = Parser(
        "study new", "Make a study folder from measured run directories.", settings="pellucid.study.stimuli.New"
    )
    parser.add_argument("run", type=Path, nargs="+", help="measured run directories; their names are the conditions")
    parser.add_argument("--images", type=int, required=True, help="number of test images")
    parser.add_argument("--out", type=Path, required=True, help="the study folder to make")
    parser.add_argument("--preregister", action="store_true", help="freeze the study and print its hash")
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
    parser = _on_study("preregister", "Freeze a study and print its hash, to be written into a registration.")
    parsed = parser.parse_args(arguments)
    from pellucid.study.folder import freeze

    print(freeze(parsed.study))


def _serve(arguments: Sequence[str]) -> None:
    parser = _on_study("serve", "Serve a study. The researcher's password is PELLUCID_STUDY_PASSWORD, or made once.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", default=8000, type=int, help="port to listen at; 0 takes a free one")
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
    parser = _on_study("simulate", "Let synthetic participants take part, marked as such in the data.")
    parser.add_argument("--participants", type=int, required=True, help="how many")
    parser.add_argument(
        "--effect", action="append", default=[], metavar="CONDITION=SHIFT",
        help="shift of a condition's ratings on the latent scale; may be given again",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the participants")
    parser.add_argument("--through-http", action="store_true", help="through a server on this machine")
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
    parser = _on_study("backup", "Copy every answer into one file, also while the study is served.")
    parser.add_argument("--out", type=Path, required=True, help="the file to write, such as answers-monday.sqlite")
    _add_database(parser)
    parsed = parser.parse_args(arguments)
    from pellucid.study.folder import read_study
    from pellucid.study.store import Store

    read_study(parsed.study)
    with closing(Store.open(parsed.study, parsed.database, create=False)) as store:
        print(store.backup(parsed.out))


def _export(arguments: Sequence[str]) -> None:
    parser = _on_study("export", "Write the answers as CSV and Parquet with a codebook.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--deidentified", action="store_true", help="without times of day, windows and free text")
    _add_database(parser)
    parsed = parser.parse_args(arguments)
    from pellucid.study.export import write_export
    from pellucid.study.folder import read_study
    from pellucid.study.store import Store

    read_study(parsed.study)
    with closing(Store.open(parsed.study, parsed.database, create=False)) as store:
        print(write_export(parsed.study, store, parsed.out, deidentified=parsed.deidentified))


def _analyze(arguments: Sequence[str]) -> None:
    parser = Parser("study analyze", "Analyse an export as it was registered: a page, figures, tables, an R script.")
    parser.add_argument("export", type=Path, help="the folder that `pellucid study export` wrote")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--synthetic", action="store_true", help="accept simulated raters; everything says SYNTHETIC")
    parser.add_argument(
        "--test", action="append", default=[], metavar="QUESTION", help="test that was not planned; may be given again"
    )
    parser.add_argument(
        "--equivalence", action="append", default=[], metavar="QUESTION=POINTS",
        help="equivalence test that was not planned, with its margin; may be given again",
    )  # fmt: skip
    parsed = parser.parse_args(arguments)
    bounds = _numbers_by_name(parsed.equivalence, "--equivalence is QUESTION=POINTS, such as trust=0.5")
    from pellucid.study.findings import write_findings

    print(write_findings(parsed.export, parsed.out, synthetic=parsed.synthetic, extra=parsed.test, bounds=bounds))


def _on_study(action: str, description: str) -> Parser:
    parser = Parser(f"study {action}", description)
    parser.add_argument("study", type=Path, help="the study folder")
    return parser


def _add_database(parser: Parser) -> None:
    parser.add_argument(
        "--database",
        default=os.environ.get("PELLUCID_STUDY_DATABASE"),
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


ACTIONS = {
    "new": ("make a study folder from measured runs", _new),
    "preregister": ("freeze a study and print its hash", _preregister),
    "serve": ("serve it to participants", _serve),
    "simulate": ("let synthetic participants take part", _simulate),
    "backup": ("copy the answers into one file, also while it is served", _backup),
    "export": ("write the answers as tables", _export),
    "analyze": ("analyse them as it was registered", _analyze),
}
