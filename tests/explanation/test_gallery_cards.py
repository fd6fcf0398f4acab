"""Cards of the pictures that a report shows: one for each picture and network, where the page links to."""

from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from pellucid.cli.main import main
from pellucid.explanation import gallery_cards
from pellucid.runs.evaluated import read_run
from pellucid.runs.evaluation import Evaluation, evaluate
from pellucid.runs.settings import Data, Experiment
from pellucid.runs.training import fit


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run whose name must be quoted in an address, with two pictures kept."""
    path = tmp_path_factory.mktemp("cards") / "a run"
    fit(Experiment(dataset=Data(limit=128), epochs=1, batch_size=64), path)
    names = ("clean_accuracy", "gini", "aopc_morf", "aopc_lerf")
    evaluate(path, Evaluation(images=12, gallery=2, saliency=("vanilla_gradient",), metrics=names))
    return path


def test_every_picture_has_a_card_at_its_address(run: Path, tmp_path: Path) -> None:
    kept = read_run(run).maps
    found = gallery_cards([run], tmp_path / "page-cards")
    assert list(found) == ["a run"] and list(found["a run"]) == kept["index"].tolist()
    for index, address in found["a run"].items():
        assert " " not in address and address.startswith("page-cards/a%20run/")
        card = tmp_path / unquote(address)
        assert f"test-{index}" in card.read_text(encoding="utf-8")
        picture = np.asarray(Image.open(tmp_path / "page-cards" / "pictures" / f"test-{index}.png"))
        np.testing.assert_array_equal(picture, kept["images"][kept["index"] == index][0, 0])


def test_the_report_links_to_the_cards(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page.html"
    assert main(["report", str(run), "--out", str(out), "--cards", "--title", "My <networks>"]) == 0
    html = out.read_text(encoding="utf-8")
    links = [part.partition('"')[0] for part in html.split('class="card" href="')[1:]]
    assert len(links) == 2 and all((tmp_path / unquote(link)).is_file() for link in links)
    assert "<h1>My &lt;networks&gt;</h1>" in html
