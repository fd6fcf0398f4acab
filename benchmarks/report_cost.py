"""What a report costs: to write, keep, open and use, of 5 runs of 1 000 images and of 30 runs of 10 000.

python benchmarks/report_cost.py      writes results/report-cost.{json,md}; needs Chrome or Chromium and the test extra

The runs are made of random numbers in the files that training and evaluation write (tests/report/conftest.py): what a
report costs does not depend on what the numbers are.
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import sync_playwright

from pellucid.runs.environment import environment

ROOT = Path(__file__).parent.parent
CASES = ((5, 1_000), (30, 10_000))
SECONDS, MEGABYTES, OPEN, USE = {1_000: 5.0, 10_000: 40.0}, 15.0, 2.0, 0.1
USES = {
    "sorts by a column": "document.querySelector('#numbers th[data-metric=gini] button').click()",
    "shows all columns": "document.querySelector('[data-columns=all]').click()",
    "shows another map, at the table": "change('#map', 'smoothgrad')",
    "shows another map, at the pictures": "change('#map', 'vanilla_gradient')",
    "hides a network": "document.querySelector('#networks input').click()",
    "moves a weight": "change('[data-weight]', '4')",
    "filters the pictures": "change('#answered', 'wrong')",
    "orders the pictures": "change('#order', 'gini')",
    "shows one colour scale": "document.querySelector('#one-scale').click()",
    "enlarges a picture": "document.querySelector('.enlarge').click()",
}
"""What a reader does, as the page's own controls do it."""
AT_PICTURES = [*USES][[*USES].index("shows another map, at the pictures") :]
"""What a reader does with the pictures in sight; the table is in sight for the rest."""
CHANGE = """(() => { window.change = (selector, value) => {
  const control = document.querySelector(selector);
  control.value = value;
  for (const kind of ["input", "change"]) control.dispatchEvent(new Event(kind, { bubbles: true }));
}; })()"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def made(folder: Path, runs: int, images: int) -> list[Path]:
    """Run directories of random numbers, with the default measures of three kinds of map."""
    spec = importlib.util.spec_from_file_location("made_runs", ROOT / "tests" / "report" / "conftest.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kinds = list(module.SIX.items())
    found = []
    for number in range(runs):
        name, (method, smoothing, means) = kinds[number % len(kinds)]
        settings = {"method": method, "smoothing": smoothing, "means": means, "epochs": 5, "seed": number}
        found.append(module.write_run(folder, f"{name}-{number}", images=images, gallery=48, **settings))
    return found


def written(runs: list[Path], out: Path) -> dict[str, float]:
    """Seconds of the command, on the clock and of the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "pellucid", "report", *runs, "--out", out], check=True, capture_output=True)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"clock_s": clock, "processor_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def opened(out: Path, repetitions: int) -> tuple[list[float], dict[str, list[float]]]:
    """Seconds from asking a fresh tab for the page until its table has been sorted once, by a click; and of each use.

    A use takes from the event until the next frame has been drawn.
    """
    browser_path = os.environ.get("PELLUCID_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    found = []
    uses: dict[str, list[float]] = {name: [] for name in USES}
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=browser_path, args=FLAGS)
        for _ in range(repetitions + 1):  # the first warms up
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            tab = context.new_page()
            start = time.perf_counter()
            tab.goto(out.absolute().as_uri(), wait_until="load")
            tab.click("#numbers thead th:nth-child(3) button")
            tab.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))")
            found.append(time.perf_counter() - start)
            tab.evaluate(CHANGE)
            for name, script in USES.items():
                section = "#gallery" if name in AT_PICTURES else "#table"
                tab.evaluate(f"document.querySelector('{section}').scrollIntoView()")
                tab.wait_for_timeout(500)
                drawn = "new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))"
                timed = f"const start = performance.now(); {script}; await {drawn}; return performance.now() - start;"
                timed = f"(async () => {{ {timed} }})()"
                uses[name].append(tab.evaluate(timed) / 1000)
            context.close()
        browser.close()
    return found[1:], {name: seconds[1:] for name, seconds in uses.items()}


def measure(runs: int, images: int, repetitions: int) -> dict[str, Any]:
    """One case."""
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name, "runs"), Path(name, "report.html")
        directories = made(folder, runs, images)
        writing = [written(directories, out) for _ in range(repetitions)]
        open_s, use_s = opened(out, repetitions)
        return {
            "runs": runs,
            "images": images,
            "clock_s": [one["clock_s"] for one in writing],
            "processor_s": [one["processor_s"] for one in writing],
            "megabytes": out.stat().st_size / 1e6,
            "open_s": open_s,
            "use_s": use_s,
            "load": os.getloadavg()[0],
        }


def page(result: dict[str, Any]) -> str:
    """results/report-cost.md."""
    facts = result["environment"]
    lines = [
        "# Cost of a report",
        "",
        f"`pellucid report` from the shell, three kinds of map, 48 gallery images. Aims: {SECONDS[1_000]:g} s to write "
        f"5 runs of 1 000 images and {SECONDS[10_000]:g} s for 30 of 10 000; {MEGABYTES:g} MB, {OPEN:g} s to open "
        f"(loaded, and the table sorted once), and {1000 * USE:g} ms for anything that a reader does.",
        "",
        "| runs | images each | written in, s | of the processors, s | size, MB | opened in, s | processes that ran |",
        "| ---: | ---: | --- | --- | ---: | --- | ---: |",
    ]
    for row in result["cases"]:
        clock, processor = (", ".join(f"{one:.1f}" for one in row[name]) for name in ("clock_s", "processor_s"))
        met = "" if max(row["clock_s"]) <= SECONDS[row["images"]] else " **misses**"
        size = "" if row["megabytes"] <= MEGABYTES else " **misses**"
        soon = "" if max(row["open_s"]) <= OPEN else " **misses**"
        lines.append(
            f"| {row['runs']} | {row['images']} | {clock}{met} | {processor} | {row['megabytes']:.1f}{size} | "
            f"{', '.join(f'{one:.2f}' for one in row['open_s'])}{soon} | {row['load']:.1f} |"
        )
    lines += ["", "Milliseconds until the next frame, the worst repetition:", ""]
    lines += [
        f"| a reader … | {' | '.join(str(row['runs']) + ' runs' for row in result['cases'])} |",
        f"| --- | {' | '.join('---:' for _ in result['cases'])} |",
    ]
    for name in USES:
        worst = [max(row["use_s"][name]) for row in result["cases"]]
        cells = [f"{1000 * one:.0f}{'' if one <= USE else ' **misses**'}" for one in worst]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Each repetition is shown. {facts['device_name']}, {facts['threads']} threads, Python {facts['python']}, "
        f"commit {facts['commit']}{' with changes' if facts['dirty'] else ''}, {facts['started']}. Regenerate: "
        f"`python benchmarks/report_cost.py --repetitions {result['repetitions']}`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/report-cost"))
    options = parser.parse_args()
    result = {
        "environment": environment(torch.device("cpu")) | {"threads": torch.get_num_threads()},
        "repetitions": options.repetitions,
        "cases": [measure(runs, images, options.repetitions) for runs, images in CASES],
    }
    options.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    options.out.with_suffix(".md").write_text(page(result))
    print(page(result))


if __name__ == "__main__":
    main()
