"""A reader's folder, and the commands that a page shows."""

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pellucid import Data, Experiment, Network, fit
from pellucid.cli import main
from pellucid.cli.options import Parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULE = '''
import torch

import pellucid

class_names = ["cat", "dog", "owl"]


def make_network(num_classes=3, in_channels=3):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(in_channels, 4, 3), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(16, num_classes),
    )


class Images(torch.utils.data.Dataset):
    classes = ("dark", "bright")

    def __len__(self):
        return 40

    def __getitem__(self, i):
        return torch.full((1, 28, 28), (i + 0.5) / 40), int(i >= 20)


def make_dataset(split):
    return None if split == "validation" else Images()


class Peak(pellucid.Metric):
    """A metric of the user's own, as a command may name it."""


network = make_network()
factory = make_network
'''


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """The words behind ``pellucid`` of every command in a page's shell blocks."""
    found = []
    indented = re.findall(r"^    (pellucid .*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for block in [*blocks(page, "sh"), *indented]:
        for line in re.split(r"\n|&&", block.replace("\\\n", " ")):
            words = shlex.split(line, comments=True)
            start = next(
                (i + 1 for i, word in enumerate(words) if re.fullmatch(r"(.*/)?pellucid|\$\(.*pellucid\)", word)), 0
            )
            if start and words[0] not in ("pip", "podman", "docker"):
                found.append(words[start:])
    return found


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what the pages' examples name: photographs, a package, weights, a run, settings."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("my_project", "my_package"):
        (folder / f"{name}.py").write_text(MODULE)
    (folder / "photos").mkdir()
    colours = torch.linspace(0, 255, 3 * 32 * 32).reshape(32, 32, 3).byte().numpy()
    for path in ("photo.jpg", "photos/one.jpg", "photos/two.png"):
        Image.fromarray(colours).save(folder / path)
    save_file({"scale": torch.tensor(1.0)}, folder / "weights.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        for name in ("my_project", "my_package"):
            patch.delitem(sys.modules, name, raising=False)
        data = Data(name="my_project:make_dataset", channels=1, validation=8)
        run = fit(Experiment(dataset=data, network=Network(name="lenet5"), epochs=1, batch_size=32), "runs/mine")
        (folder / "experiment.yaml").write_text((run / "experiment.yaml").read_text())
        (folder / "runs/scaat").mkdir()
        (folder / "runs/scaat/experiment.yaml").write_text("epochs: 1\n")
        yield folder
    for name in ("my_project", "my_package"):
        sys.modules.pop(name, None)


class Understood(BaseException):
    """Raised in place of doing what a command says, once all its words were read."""


@pytest.fixture
def understood(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], bool]:
    """Whether a command's words are understood by its own parser; nothing is done."""
    parse, parse_args = Parser.parse, Parser.parse_args
    inside = []

    def settings(self, *arguments, **options):
        inside.append(self)
        parse(self, *arguments, **options)
        raise Understood

    def words(self, *arguments, **options):
        parsed = parse_args(self, *arguments, **options)
        if inside:
            return parsed
        raise Understood

    monkeypatch.setattr(Parser, "parse", settings)
    monkeypatch.setattr(Parser, "parse_args", words)

    def read(given: list[str]) -> bool:
        inside.clear()
        try:
            main(given)
        except Understood:
            return True
        return False

    return read
