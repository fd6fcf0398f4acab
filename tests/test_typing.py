"""A user's file, checked by mypy and pyright against the types that pellucid ships."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RIGHT = """\
from pathlib import Path

import torch

import pellucid
from pellucid.report import write_report

network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
data = torch.utils.data.TensorDataset(torch.rand(4, 1, 28, 28), torch.arange(4))
cards = pellucid.explain(network, "photo.jpg", classes=["cat", "dog"], size=28)
sentence: str = cards[0].judgement.sentence
experiment = pellucid.Experiment(
    dataset=pellucid.Data(name="fashion-mnist"),
    network=pellucid.Network(name="lenet5"),
    method=pellucid.SCAAT(attack=pellucid.PGD(eps=0.1, step_size=0.05, steps=4)),
)
run: Path = pellucid.fit(experiment, "runs/mine")
measured: Path = pellucid.evaluate(run, evaluation=pellucid.Evaluation(images=10))
page: Path = write_report([measured], "report.html")
objective = pellucid.Objective(network, pellucid.Regular(), num_samples=4, total_steps=1)
sparse: torch.Tensor = pellucid.gini(torch.rand(2, 8, 8))
files: list[pellucid.Written] = pellucid.export(run, "out", ("onnx",))
"""
WRONG = """\
import pellucid

number: int = pellucid.Evaluation(images=10).images.upper()
method = pellucid.SCAAT(no_such_setting=1)
pellucid.fit("fashion-mnist", "runs/mine")
"""


def mypy(file: Path) -> int:
    """Lines in which mypy, as strict as it gets, finds a mistake."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(file.parent), file.name],
        cwd=file.parent, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    return len({line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line})


def pyright(file: Path) -> int:
    """Lines in which pyright finds a mistake."""
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", str(file)],
        cwd=file.parent, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    found = json.loads(done.stdout)["generalDiagnostics"]
    return len({one["range"]["start"]["line"] for one in found if one["severity"] == "error"})


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_users_file_is_checked(tmp_path: Path, checker) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    assert checker(tmp_path / "right.py") == 0
    assert checker(tmp_path / "wrong.py") == 3
