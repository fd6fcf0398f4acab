"""The file of a page: its size, the same every time, nothing where a run is wrong, and no torch to write it."""

import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.core.errors import InputError
from pellucid.report.page import MOST_RUNS, write_report


@pytest.mark.slow
def test_figures_are_saved_beside_the_page(make_run, tmp_path: Path) -> None:
    run = make_run("a$b", saliency=("vanilla_gradient",), images=20, gallery=1)
    write_report([run], tmp_path / "page.html", figures=tmp_path / "figures")
    saved = list((tmp_path / "figures").iterdir())
    panels = (tmp_path / "page.html").read_text().count('<div class="panel"')
    assert {
        suffix: sum(file.suffix == suffix for file in saved) for suffix in (".svg", ".pdf", ".png")
    } == dict.fromkeys((".svg", ".pdf", ".png"), panels)
    assert len(saved) == 3 * panels


def test_more_runs_than_a_page_can_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"at most {MOST_RUNS} runs, got 1000"):
        write_report([tmp_path / str(number) for number in range(1000)], tmp_path / "page.html")


def test_large_colour_pictures_stay_below_the_limit(make_run, tmp_path: Path) -> None:
    runs = [make_run(f"run{i}", size=224, channels=3, gallery=24, images=30) for i in range(3)]
    assert write_report(runs, tmp_path / "large.html").stat().st_size < 15e6


def test_the_same_runs_make_the_same_file(make_run, tmp_path: Path) -> None:
    runs = [make_run(name, saliency=("vanilla_gradient",)) for name in ("one", "other")]
    first, again = (write_report(runs, tmp_path / name).read_bytes() for name in ("first.html", "again.html"))
    assert first == again


def test_nothing_is_written_where_a_run_is_wrong(make_run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run directory"):
        write_report([make_run(), tmp_path / "nowhere"], tmp_path / "out" / "report.html")
    assert not (tmp_path / "out").exists()


def test_a_page_is_made_without_torch(make_run, tmp_path: Path) -> None:
    code = (
        "import sys; from pellucid.report import compare, read_runs, render; "
        "path, out = sys.argv[1:]; render(compare(read_runs([path])), 'text'); "
        "assert 'matplotlib' not in sys.modules, 'matplotlib'; "
        "from pellucid.report import write_report; write_report([path], out); "
        "assert 'torch' not in sys.modules, 'torch'"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            code,
            str(make_run()),
            str(tmp_path / "out.html"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
