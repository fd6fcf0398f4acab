"""The five own things of docs/extend.md, in a package of somebody's own, from training to the report."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from pellucid import Data, Evaluation, Experiment, Network, evaluate, fit
from pellucid.report import write_report
from pellucid.runs.evaluated import read_run

GUIDE = Path(__file__).parents[1] / "docs" / "extend.md"
REST = """
class MyImages(torch.utils.data.Dataset):
    classes = ("dark", "bright")

    def __init__(self, root, train):
        self.images = torch.linspace(0, 1, 40 if train else 20)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i].expand(1, 8, 8), int(self.images[i] > 0.5)


def make_network(num_classes, in_channels, width):
    return torch.nn.Sequential(
        torch.nn.Conv2d(in_channels, width, 3), torch.nn.Flatten(), torch.nn.Linear(36 * width, num_classes)
    )
"""


@pytest.mark.parametrize("method", ["LabelSmoothing", "Remembering"])
def test_what_the_guide_shows_runs(tmp_path, monkeypatch, method):
    examples = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "guide_package.py").write_text("\n\n".join([*examples, REST]))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "guide_package", raising=False)
    guide_package = import_module("guide_package")

    experiment = Experiment(
        dataset=Data(name="guide_package:make_dataset", channels=1, validation=8),
        network=Network(name="guide_package.make_network", options={"width": 2}),
        method=getattr(guide_package, method)(),
        epochs=1,
        batch_size=8,
    )
    saliency = ("vanilla_gradient", "guide_package.my_saliency")
    metrics = guide_package.evaluation.metrics
    run = evaluate(
        fit(experiment, tmp_path / "run"), Evaluation(metrics=metrics, saliency=saliency, images=6, gallery=2)
    )
    assert list(read_run(run).measures)[-4:] == ["gini", "peak", "gini/my_saliency", "peak/my_saliency"]
    assert list(read_run(run).per_sample) == (["last_loss"] if method == "Remembering" else [])
    page = write_report([run], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "peak/my_saliency" in page and "What happens when pixels are destroyed" not in page
    del sys.modules["guide_package"]
