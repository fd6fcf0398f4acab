"""docs/extend.md: every example runs, in one module of a user's own, from training to the report."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

import pellucid
from pellucid.config import from_config
from pellucid.report import compare, read_runs, write_report

TEXT = (Path(__file__).parents[1] / "docs" / "extend.md").read_text(encoding="utf-8")
IMAGES = '''
import torch
from dataclasses import dataclass
import pellucid


class MyImages(torch.utils.data.Dataset):
    """Two kinds of pictures, bright above or below."""

    classes = ["above", "below"]

    def __init__(self, root, train):
        self.labels = [i % 2 for i in range(64 if train else 16)]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = torch.rand(1, 28, 28, generator=torch.Generator().manual_seed(i)) / 4
        image[:, 14 * self.labels[i] : 14 + 14 * self.labels[i]] += 0.5
        return image, self.labels[i]
'''


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The examples as one importable module called my_package."""
    (tmp_path / "my_package.py").write_text("\n".join([IMAGES, *blocks("python")]), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield import_module("my_package")
    sys.modules.pop("my_package", None)


def test_the_examples_train_and_measure_each_other(package, tmp_path):
    experiment = pellucid.Experiment(
        dataset=pellucid.Data(name="my_package:make_dataset", validation=16, channels=1),
        network=pellucid.Network(name="lenet5"),
        method=package.LabelSmoothing(share=0.2),
        epochs=1,
        batch_size=16,
    )
    run = pellucid.fit(experiment, tmp_path / "mine", progress=False)
    (settings,) = blocks("yaml")
    evaluation = from_config(
        yaml.safe_load(settings) | {"images": 8, "saliency": ["vanilla_gradient"]}, pellucid.Evaluation
    )
    assert evaluation.metrics == package.evaluation.metrics == ("gini", package.Peak(scale=2.0))
    pellucid.evaluate(run, evaluation, progress=False)
    rows = pq.read_table(run / "rows.parquet")
    shown = compare(read_runs([run]))["mine"]["metrics"]
    assert shown["peak"]["mean"] == pytest.approx(sum(rows["peak"].to_pylist()) / 8)
    assert "How bright is the brightest pixel of the map?" in write_report([run], tmp_path / "page.html").read_text()


def test_every_name_of_the_case_exists(package):
    names = set(re.findall(r"`case\.(\w+)", TEXT))
    known = set(dir(pellucid.Case)) | set(pellucid.Case.__dataclass_fields__)
    assert names and names <= known
