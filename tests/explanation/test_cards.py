"""Cards of whatever Python holds: the network is given back as it was, pictures of every kind mean the same."""

import base64
import io

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from PIL import Image
from torch import nn

import pellucid
from pellucid import InputError
from pellucid.core.notes import tell
from pellucid.explanation.cards import Cards, explain
from pellucid.explanation.examination import Examination
from pellucid.explanation.explained_network import ExplainedNetwork, of_module
from pellucid.explanation.trust_rules import Thresholds
from pellucid.metrics import PerturbationCurves, RelativeStability

from .conftest import SIDE, Quadrants, pixels

QUICK = Examination(
    saliency=("vanilla_gradient",), curves=PerturbationCurves(steps=3, repeats=1),
    stability=RelativeStability(draws=2), predictions=3, random_maps=3,
)  # fmt: skip


class Noisy(Quadrants):
    """What training mode would change: dropout of nearly everything."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.9)

    def forward(self, x):
        return super().forward(self.drop(x))


def cards(images, network=None, **options):
    options = {"mean": 0, "std": 1, "examination": QUICK} | options
    return explain(Quadrants() if network is None else network, images, **options)


def same(one, two):
    assert one.top == two.top and np.array_equal(one.image, two.image)
    assert one.as_json()["maps"] == two.as_json()["maps"]


@pytest.fixture(scope="module")
def photograph():
    return torch.from_numpy(pixels(1)).permute(2, 0, 1)


@pytest.fixture(scope="module")
def card(photograph):
    (card,) = cards(photograph)
    return card


def test_the_network_and_the_images_stay_as_they_are(photograph, card):
    network = Noisy().train()
    x = photograph.float() / 255
    kept, scale = x.clone(), network.scale.clone()
    (found,) = cards(x, network)
    assert network.training and network.drop.training and torch.equal(x, kept) and torch.equal(network.scale, scale)
    assert network.scale.grad is None and network.scale.requires_grad
    assert found.as_json()["maps"] == card.as_json()["maps"], "dropout was off"


def test_pictures_of_every_kind_mean_the_same(photograph, card, tmp_path):
    array = photograph.permute(1, 2, 0).numpy()
    Image.fromarray(array).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", array)
    for image in (array, photograph.double() / 255, Image.fromarray(array), photograph[None], [photograph]):
        (found,) = cards(image, **({} if not isinstance(image, Image.Image) else {"size": SIDE}))
        same(found, card)
    made = cards(tmp_path, size=SIDE)
    assert [found.source for found in made] == [str(tmp_path / "a.png"), str(tmp_path / "b.npy")]
    for found in made:
        same(found, card)


def test_a_folder_goes_on_past_what_cannot_be_read_and_a_named_file_does_not(photograph, tmp_path):
    Image.fromarray(photograph.permute(1, 2, 0).numpy()).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    made = cards(tmp_path, size=SIDE)
    assert len(made) == 1 and "is not a picture" in made.skipped[str(tmp_path / "b.png")]
    with pytest.raises(InputError, match="is not a picture"):
        cards([tmp_path / "a.png", tmp_path / "b.png"], size=SIDE)


def test_classes_and_target_by_name(photograph):
    names = ("top left", "top right", "low left", "low right")
    (found,) = cards(photograph, classes=names, target="low left")
    assert found.top[0][1] == "top right" and found.target[:2] == (2, "low left")
    (unnamed,) = cards(photograph)
    assert unnamed.top[0][1] == "class 1"


def test_mean_and_deviation_are_the_networks_first_layer(photograph, card):
    class Shifted(Quadrants):
        def forward(self, x):
            return super().forward(0.25 * x + 0.5)

    (found,) = cards(photograph, Shifted(), mean=(0.5, 0.5, 0.5), std=0.25)
    for name, figure in found.maps[0].figures.items():
        assert figure.value == pytest.approx(card.maps[0].figures[name].value, abs=1e-4, rel=1e-3), name


def test_what_an_explained_network_or_a_run_knows_is_not_asked_again(photograph, card):
    subject = ExplainedNetwork("quadrants", Quadrants().train(), ("a", "b", "c", "d"), (3, SIDE, SIDE), "0")
    (found,) = explain(subject, photograph, examination=QUICK)
    assert found.top[0][1] == "b" and subject.model.training
    assert found.as_json()["maps"] == card.as_json()["maps"]
    with pytest.raises(InputError, match="classes is for a network that is a module"):
        explain(subject, photograph, classes=("a", "b"))


@pytest.mark.parametrize("options", [{}, {"mean": None, "std": None}])
def test_a_network_that_writes_into_its_images_and_gives_more_than_logits(photograph, card, options):
    class Careless(Quadrants):
        def forward(self, x):
            return {"features": x, "logits": super().forward(x.mul_(2)) / 2}

    x = photograph[None].float() / 255
    (found,) = cards(x, Careless().train(), **options)
    for name, figure in found.maps[0].figures.items():
        assert figure.value == pytest.approx(card.maps[0].figures[name].value, abs=1e-4, rel=1e-3), name
    assert torch.equal(x[0], photograph.float() / 255)


def test_sentences_that_a_user_should_know(photograph, capsys):
    tell.cache_clear()

    class Probabilities(Quadrants):
        def forward(self, x):
            return super().forward(x).softmax(1)

    cards(photograph, Probabilities())
    assert capsys.readouterr().err.count("ends in a softmax") == 1
    cards(photograph, mean=None, std=None)
    assert capsys.readouterr().err.count("nothing normalises the pixels of Quadrants") == 1


@pytest.mark.parametrize(
    ("images", "options", "sentence"),
    [
        ([], {}, "does not say which images it takes; give size"),
        ([], {"size": SIDE}, "there is no picture to explain: give a file"),
        ("nowhere.png", {"size": SIDE}, "nowhere.png cannot be read"),
        (
            {"image": 3},
            {"size": SIDE},
            "images must be files, folders, pictures of Pillow's, arrays or tensors, got dict",
        ),
        (torch.randn(3, SIDE, SIDE), {}, "fractions must be in"),
        (torch.rand(3, SIDE, SIDE), {"target": "lynx"}, "target must be one of the 4 classes"),
        (torch.rand(3, SIDE, SIDE), {"classes": ("a", "b")}, "got \\(1, 4\\); classes names"),
        (torch.rand(3, SIDE, SIDE), {"mean": (1, 2)}, "one for each of the 3 channels, got 2"),
    ],
)
def test_what_cannot_be(images, options, sentence):
    with pytest.raises(InputError, match=sentence):
        cards(images, **options)


def test_no_network():
    with pytest.raises(InputError, match="network must be a run directory or a torch.nn.Module, got int"):
        explain(3, torch.rand(3, 4, 4))
    with pytest.raises(InputError, match="is not a run directory"):
        explain("nowhere", torch.rand(3, 4, 4))
    assert pellucid.explain is explain
    assert of_module(Quadrants(), (3, 4, 4), mean=0, std=1).classes == ()


def test_a_size_that_is_none_is_refused():
    with pytest.raises(InputError, match="size must be a whole number of at least 1, got 'big'"):
        explain(Quadrants(), torch.rand(3, 4, 4), size="big")


def test_a_wrong_number_of_classes_is_refused():
    assert of_module(Quadrants(), (3, 4, 4), classes=2, mean=0, std=1).classes == ("class 0", "class 1")
    with pytest.raises(InputError, match=r"must give logits \(n, 7\)"):
        explain(Quadrants(), torch.rand(3, 4, 4), classes=7, mean=0, std=1)
    with pytest.raises(InputError, match="classes must be the names of the classes, or their number, got 'cats'"):
        explain(Quadrants(), torch.rand(3, 4, 4), classes="cats", mean=0, std=1)


def test_a_notebook_shows_the_picture_of_the_card(card):
    html = Cards([card, card])._repr_html_()
    assert html.count("<img ") == 2 and "image 0: class 1" in html
    picture = Image.open(io.BytesIO(base64.b64decode(card._repr_html_().split("base64,")[1].split('"')[0])))
    assert picture.format == "PNG" and picture.width > 600
    table = card._repr_markdown_().splitlines()
    assert card.judgement.sentence.split(":")[0] in table[0] and table[2].count("|") == 3
    assert len(table) == 4 + len(card.maps[0].shown)


def test_many_cards_are_shown_as_thumbnails(card):
    html = Cards([card] * 5)._repr_html_()
    assert html.count("<img ") == html.count(card.judgement.level + "</span>") == 5
    assert len(html) < 2 * len(card._repr_html_())


def test_maps_show_themselves_and_draw_on_given_axes(card):
    with Image.open(io.BytesIO(card.maps[0]._repr_png_())) as picture:
        assert picture.size == (224, 224)
    with Image.open(io.BytesIO(card._repr_png_())) as picture:
        assert picture.width > 500
    figure, axes = pyplot.subplots(1, 2)
    assert card.plot(ax=axes[1]) is axes[1] and not axes[0].images
    assert axes[1].images[0].get_array().shape == (SIDE, SIDE, 3)
    assert card.maps[0].title in axes[1].get_title()
    alone = card.plot("vanilla_gradient")
    assert alone.figure is not figure
    with pytest.raises(InputError, match="method must be vanilla_gradient, got 'smoothgrad'"):
        card.plot("smoothgrad")
    pyplot.close("all")


def test_cards_are_saved_as_the_command_writes_them(card, tmp_path):
    cards = Cards([card, card], {"bad.png": "bad.png is empty"})
    out = cards.save(tmp_path / "cards", formats=("html", "json"))
    assert {file.name for file in out.iterdir()} == {
        "image 0-card.html", "image 0-card.json", "image 0-2-card.html", "image 0-2-card.json",
        "summary.json", "cards.csv", "index.html",
    }  # fmt: skip
    assert "bad.png is empty" in (out / "index.html").read_text()
    assert len(list(Cards([card]).save(tmp_path / "one").iterdir())) == 3
    with pytest.raises(InputError, match="there is no card to save"):
        Cards().save(tmp_path)
    with pytest.raises(InputError, match="format must be of png, html, json, npz, got 'gif'"):
        cards.save(tmp_path, formats=("gif",))


@pytest.mark.parametrize(
    ("side", "shape", "words"),
    [
        (
            1,
            (3, SIDE, SIDE),
            "Use a larger picture: the network takes pictures of 16 × 16 pixels, but this one was 1 × 1",
        ),
        (SIDE, (1, SIDE, SIDE), "it takes grey pictures of 16 × 16 pixels, but this one was 16 × 16 in colour."),
        (300, (1, SIDE, SIDE), "it takes grey pictures of 16 × 16 pixels, but this one was 300 × 300 in colour."),
    ],
)
def test_a_picture_that_does_not_suit_the_network_is_told(side, shape, words):
    colourful = Image.new("RGB", (side, side), (200, 40, 90))
    subject = ExplainedNetwork("quadrants", Quadrants().eval(), ("a", "b", "c", "d"), shape, "0")
    (found,) = explain(subject, colourful, examination=QUICK)
    assert words in found.next_step
    assert "Use a larger" in found.next_step or found.in_colour


def test_what_a_card_of_one_pixel_and_no_class_names_says(tmp_path):
    Image.new("L", (1, 1), 90).save(tmp_path / "dot.png")
    (found,) = cards(tmp_path / "dot.png", size=SIDE)
    assert found.top[0][1].startswith("class ") and found.provenance.class_file == ""
    assert found.as_json()["stored"] == {"width": 1, "height": 1}
    assert len(found._repr_png_()) > 1000


def test_a_name_of_a_file_is_no_markup(photograph, tmp_path):
    file = tmp_path / "<b>*a*.png"
    Image.fromarray(photograph.permute(1, 2, 0).numpy()).save(file)
    (found,) = cards(file, size=SIDE)
    assert "<b>" not in found._repr_html_() and "<b>" not in found._repr_markdown_()
    assert "*a*" not in found._repr_markdown_().replace("\\*", "")


def test_thresholds_change_what_is_said_and_nothing_that_is_measured(photograph, card):
    (strict,) = cards(photograph, thresholds=Thresholds(diffuse=1.0))
    assert {check.rule for check in strict.judgement.checks} - {check.rule for check in card.judgement.checks} == {
        "diffuse"
    }
    assert strict.maps[0].figures == card.maps[0].figures
    assert strict.as_json()["settings"]["thresholds"]["diffuse"] == 1.0
    assert "thresholds" not in card.as_json()["settings"]
