"""The R script: what it says and reads; with R and its package ordinal, that it runs and finds the effect."""

import csv
import io
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pellucid.study.mixed_model import model_script, ratings_table
from pellucid.study.raters import simulated


def test_the_script_names_conditions_and_questions_as_r_strings(make_study) -> None:
    study = make_study(2, conditions=('a "quoted"', "back\\slash"), title="two\nlines")
    script = model_script(simulated(study, 3), questions=["trust"], synthetic=False)
    assert r'conditions <- c("a \"quoted\"", "back\\slash")' in script
    assert 'questions <- c("trust")' in script
    assert script.startswith("# Ordinal mixed models of: two lines\n")
    assert "SYNTHETIC" not in script
    assert "answer ~ condition + (1 + condition | participant) + (1 | image)" in script


def test_the_table_has_every_answer(make_study) -> None:
    made = simulated(make_study(2), 6)
    rows = list(csv.DictReader(io.StringIO(ratings_table(made, questions=["trust"], synthetic=True))))
    expected = [one for one in made.answers if one.question == "trust"]
    assert [(row["participant"], row["image"], row["condition"], float(row["answer"])) for row in rows] == [
        (one.participant, one.image, one.condition, one.value) for one in expected
    ]
    assert {row["data"] for row in rows} == {"SYNTHETIC"}


@pytest.mark.slow
def test_r_runs_the_script_and_finds_the_effect(make_study, tmp_path: Path) -> None:
    r = shutil.which("Rscript")
    missing = r is None or subprocess.run([r, "-e", "library(ordinal)"], capture_output=True, check=False).returncode
    if missing and "CI" in os.environ:
        pytest.fail("no R with ordinal; under CI the script is run (Debian: r-cran-ordinal)")
    if r is None or missing:
        pytest.skip("NO R: the mixed model's script was not run; Debian has it as r-cran-ordinal")
    made = simulated(make_study(2, names=("trust",), points=5, crossing="full", images=8), 24, {"adversarial": 0.6})
    (tmp_path / "mixed_model.R").write_text(model_script(made, questions=["trust"], synthetic=True))
    (tmp_path / "ratings.csv").write_text(ratings_table(made, questions=["trust"], synthetic=True))
    done = subprocess.run([r, "mixed_model.R"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "==== trust: 384 answers, 24 participants, 8 images, SYNTHETIC ====" in done.stdout
    found = re.search(r"^conditionadversarial +(-?[\d.]+) +([\d.]+)", done.stdout, re.MULTILINE)
    assert found is not None
    # The logistic scale is about 1.7 times the normal one on which the effect was put in.
    assert abs(float(found[1]) - 1.7 * 0.6) < 2.5 * float(found[2])
