"""The card as a person meets it: in a real browser, and as a picture."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from pellucid.explanation.card import FIGURES, Card, Figure, MapCard
from pellucid.explanation.card_page import card_page
from pellucid.explanation.contact_sheet import contact_sheet, entry_of, thumbnail
from pellucid.explanation.drawing import png
from pellucid.explanation.evidence import Covering, Evidence, NoisyCopy
from pellucid.explanation.overlay import overlay
from pellucid.explanation.provenance import Provenance
from pellucid.explanation.trust_rules import judge
from pellucid.report.colours import Scale, coloured, level

from .conftest import SHOWN

NASTY = "<img src=x onerror=alert(1)>\"'&{{ 7*7 }}\n"


PROVENANCE = Provenance(
    date="2026-11-26 14:05:00 UTC", pellucid="0.1.0", network="of_a_user:factory", weights_file="w.safetensors",
    weights_sha256="ab" * 32, weights_digest="cd" * 16, image_sha256="ef" * 32, preprocessing="28 × 28 pixels in grey",
    class_file="names.txt", seed=7,
)  # fmt: skip


def evidence(image: np.ndarray, *, marked: float = 0.12) -> Evidence:
    """Covering the most marked part leaves ``marked`` of 0.6, random parts 0.3 to 0.6."""
    flat = np.full(image.shape[:2], 0.5, np.float32)
    covering = Covering(0.2, 0.6, marked, 0.59, tuple(np.linspace(0.3, 0.6, 38)), image // 2, 255 - image // 2)
    return Evidence(covering, (NoisyCopy(image, flat, 0.58, 0.83), NoisyCopy(image, flat, 0.61, 0.79)), 0.05)


def card(side: int = 24, maps: int = 3, *, percentile: float | None = 62.4, source: str = "cat.jpg") -> Card:
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (side, side, 3)).astype(np.uint8)
    good = {"gini": 0.5, "aopc_morf": 0.3, "faithfulness": 0.3, "beats_random": 1.0}
    good |= {"stability_coverage": 1.0, "similarity": 0.9, "similarity_error": 0.0}
    judgements = [
        judge(good | more, {"gini": 40.0}, counts=replace(SHOWN, more=True), probability=probability)
        for more, probability in (
            ({"faithfulness": -0.1}, 1),
            ({"similarity": 0.4}, 0.3),
            ({}, 0.9),
            ({"beats_random": 0.92}, 0.9),
        )
    ]
    figures = {
        name: Figure(column, -0.004, None if name == "beats_random" else percentile) for name, column in FIGURES.items()
    }
    figures["ris"] = Figure(FIGURES["ris"], None)
    titles = ("Vanilla gradient", "SmoothGrad", "Integrated gradients", "A method of a very long name")
    return Card(
        source=source,
        stored=(640, 480),
        notes=("the first of 3 frames",),
        network="of_a_user:factory",
        image=image,
        top=tuple((i, f"class {i}", p) for i, p in enumerate((0.6, 0.3, 0.05, 0.03, 0.02))),
        target=(0, "class 0", 0.6),
        maps=tuple(
            MapCard(
                f"method{i}",
                titles[i % 4],
                judgements[i % 4],
                figures,
                random.random((side, side), dtype=np.float32) ** 4,
                random.random((3, side, side), dtype=np.float32),
                evidence(image),
            )
            for i in range(maps)
        ),
        agreement={(f"method{i}", f"method{j}"): -0.2 for i in range(maps) for j in range(i + 1, maps)},
        reference="24 pictures of reference" if percentile is not None else None,
        settings={"draws": 3, "saliency": ["method0"], "region": None, "draws_of": {"method0": 10}, "none": {}},
        provenance=PROVENANCE,
    )


def sheet(folder: Path, count: int = 4) -> Path:
    """The index of cards of all levels, with those cards beside it."""
    made = [replace(card(maps=4), source=f"scans/{name}.png") for name in ("ant", "bee", "cat", "doe")[:count]]
    made = [replace(one, maps=(one.maps[i], *one.maps[:1])) for i, one in enumerate(made)]
    for one in made:
        name = f"{Path(one.source).stem}-card"
        (folder / f"{name}.html").write_text(card_page(one, index=f"index.html#{name}"), encoding="utf-8")
    entries = [entry_of(one, [f"{Path(one.source).stem}-card.html"]) for one in made]
    index = folder / "index.html"
    skipped = {"source": "x.png", "reason": "x.png is empty"}
    index.write_text(contact_sheet([*entries, skipped], [thumbnail(one) for one in made]), encoding="utf-8")
    return index


def _open(browser: Browser, file: Path, *, width: int = 1024, **options: object) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": width, "height": 800}, **options)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    yield page
    outside = [url for url in asked if url != file.as_uri() and not url.startswith("data:")]
    context.close()
    assert said == [] and outside == []


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("card") / "cat-card.html"
    path.write_text(card_page(card(maps=4)), encoding="utf-8")
    return path


@pytest.mark.parametrize("maps", [1, 3, 4])
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1024, "dark"), (1920, "light")])
def test_the_page_never_scrolls_sideways_and_no_column_leaves_its_place(browser, tmp_path, width, scheme, maps) -> None:
    file = tmp_path / "card.html"
    named = replace(card(maps=maps, percentile=100.0), network="of_a_user.of_some_company:a_factory_of_a_long_name")
    file.write_text(card_page(named), encoding="utf-8")
    for page in _open(browser, file, width=width, color_scheme=scheme):
        ends = page.locator(".maps article").evaluate_all(
            "all => all.map(one => [one.scrollWidth, one.clientWidth, one.querySelector('table')?.offsetTop ?? 0])"
        )
        assert all(inner <= outer for inner, outer, _ in ends)
        if width > 1000 and maps < 4:
            assert len({top for *_, top in ends[1:]}) == 1, "the figures of all maps stand in one line"
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("img").evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 0)")


@pytest.mark.parametrize("which", ["card", "index"])
def test_axe_finds_nothing_wrong(browser, file, tmp_path, which) -> None:
    index = sheet(tmp_path)
    for page in _open(browser, file if which == "card" else index):
        page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        passed = set()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate("axe.run({resultTypes: ['violations']})")
            assert [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found["violations"]] == []
            passed |= {(scheme, one["id"]) for one in found["passes"]}
        rules = {"color-contrast", "region", "html-has-lang"} | {"image-alt", "label"}
        assert {(scheme, rule) for scheme in ("light", "dark") for rule in rules} <= passed


def test_the_slider_fades_the_map(browser, file) -> None:
    for page in _open(browser, file):
        veil = page.locator(".seen + img").first
        assert veil.evaluate("one => getComputedStyle(one).opacity") == "1"
        slider = page.get_by_label("Map over the picture")
        slider.focus()
        page.keyboard.press("Home")
        assert veil.evaluate("one => getComputedStyle(one).opacity") == "0"


def test_everything_has_words(browser, file) -> None:
    for page in _open(browser, file):
        text = page.locator("body").inner_text()
        assert page.locator("img:not([alt]), img[alt='']").count() == 0
        for words in ("class 0, 60 %", "the first of 3 frames", "24 pictures of reference", "better than 62 %"):
            assert words in text
        marks = page.locator(".said").all_inner_texts()
        assert [mark[:4] for mark in marks] == ["✗ Do", "! Re", "✓ No", "? Th"]
        assert marks[0].startswith(page.locator(".verdict").inner_text())
        assert "−0.00" not in text and "nan" not in text.lower()


def test_without_script_all_is_there(browser, file) -> None:
    for page in _open(browser, file, java_script_enabled=False):
        assert page.locator(".of-map:visible").count() == 4 and page.locator("#which").is_hidden()
        assert page.locator("#veil").is_hidden() and page.locator(".seen + img").last.is_visible()


def test_the_evidence_is_told_in_words_and_pictures(browser, file) -> None:
    for page in _open(browser, file):
        text = page.locator("body").inner_text().replace("\u00a0", " ")
        for words in (
            "Most marked fifth covered: 12 %", "Least marked fifth covered: 59 %", "chosen by one of 38 random maps",
            "they lie between 30 % and 60 %, and none of them costs as much", "The noise has σ 0.05",
            "Map of noisy copy 2: rank correlation 0.79",
        ):  # fmt: skip
            assert words in text, words
        assert page.locator("svg.dots").first.locator("circle").count() == 38
        rows = page.locator(".checks").first.locator("tbody tr")
        assert rows.count() == len(card().maps[0].judgement.checks)
        assert {"✗ fails", "✓ passes"} <= set(rows.locator(".mark").all_inner_texts())


def test_each_map_has_its_evidence_and_its_checks(browser, file) -> None:
    for page in _open(browser, file):
        shown, titles = page.locator(".of-map:visible"), [map_.title for map_ in card(maps=4).maps]
        assert page.locator(".of-map").count() == 4
        assert [one.strip() for one in page.locator(".of-map h3").all_text_contents()] == titles
        assert (
            page.locator(".of-map").evaluate_all("all => all.map(one => one.querySelectorAll('img').length)") == [6] * 4
        )
        assert shown.locator("h3").all_inner_texts() == titles[:1]
        page.get_by_role("radio", name=titles[1]).check(force=True)
        assert shown.locator("h3").all_inner_texts() == titles[1:2]
        page.keyboard.press("ArrowRight")
        assert shown.locator("h3").all_inner_texts() == titles[2:3]
        page.get_by_role("link", name=f"of the {titles[3]} map").click()
        assert shown.locator("h3").all_inner_texts() == titles[3:]
        assert shown.evaluate("one => one.getBoundingClientRect().top") < 800
        rows = shown.locator(".checks tbody tr")
        assert rows.count() == len(card(maps=4).maps[3].judgement.checks)
        page.emulate_media(media="print")
        assert shown.count() == 4 and page.locator("#which").is_hidden()


def test_the_picture_shows_the_evidence_of_each_map() -> None:
    def height(one: Card) -> int:
        return Image.open(io.BytesIO(png(one))).size[1]

    whole = card(maps=3)
    some = [
        replace(whole, maps=tuple(replace(map_, evidence=map_.evidence if i < kept else None)
                                  for i, map_ in enumerate(whole.maps)))
        for kept in range(4)
    ]  # fmt: skip
    steps = np.diff([height(one) for one in some])
    assert (steps > 250).all() and np.ptp(steps) < 60, "each map takes as much room as the first"


def test_covering_that_raises_the_confidence_is_told() -> None:
    one = card(maps=1)
    black = np.zeros((24, 24), np.uint8)
    raised = replace(evidence(black), covering=Covering(0.2, 0.5, 0.7, 0.6, (0.4, 0.8), black, black))
    page = card_page(replace(one, maps=(replace(one.maps[0], evidence=raised),)))
    assert "Covering raises the confidence in both orders: from 50\u00a0% to 70\u00a0%" in page
    assert "Covering raises" not in card_page(one)


def test_where_a_card_comes_from_stands_in_every_file(browser, file) -> None:
    for page in _open(browser, file):
        told = page.locator(".origin").inner_text()
        assert all(value in told for _, value in PROVENANCE.rows)
        assert not re.search(r"(?<!-)--\w", page.locator("body").inner_text()), "no words of a command line"
    with Image.open(io.BytesIO(png(card()))) as picture:
        kept = json.loads(picture.text["pellucid"])
        assert kept["provenance"] == PROVENANCE.as_json() == card().as_json()["provenance"]
    with Image.open(io.BytesIO(png(card(224)))) as picture:
        assert json.loads(picture.text["pellucid"]) == kept


def test_a_card_without_evidence_or_provenance_is_still_a_card() -> None:
    bare = replace(card(), provenance=None, maps=tuple(replace(one, evidence=None) for one in card().maps))
    assert len(png(bare)) > 1000 and "The evidence" not in card_page(bare)
    assert bare.as_json()["provenance"] is None


@pytest.mark.parametrize("width", [390, 1440])
def test_the_index_is_filtered_and_sorted_and_found_again_from_a_card(browser, tmp_path, width) -> None:
    index = sheet(tmp_path)
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(index.as_uri())
    cards, status = page.locator(".sheet > li:visible"), page.get_by_role("status")
    names = cards.locator(".name")
    assert status.inner_text() == "4 cards" and names.all_inner_texts() == ["ant.png", "bee.png", "cat.png", "doe.png"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("Sort by").select_option("trust")
    assert names.all_inner_texts() == ["cat.png", "bee.png", "doe.png", "ant.png"]
    page.get_by_label("do not rely").uncheck()
    assert status.inner_text() == "3 of 4 cards" and "ant.png" not in names.all_inner_texts()
    page.get_by_label("Find").fill("bee")
    assert names.all_inner_texts() == ["bee.png"]
    page.get_by_label("Find").fill("nothing like it")
    assert page.get_by_text("No card matches").is_visible()
    page.get_by_label("Find").fill("")
    names.first.click()
    page.get_by_role("link", name="All cards").click()
    assert page.url == f"{index.as_uri()}#cat-card"
    assert names.all_inner_texts() == ["cat.png", "bee.png", "doe.png"], "the choice was kept"
    context.close()


def test_the_index_without_script_shows_every_card(browser, tmp_path) -> None:
    for page in _open(browser, sheet(tmp_path), java_script_enabled=False):
        assert page.locator(".sheet > li:visible").count() == 4 and page.locator("#tools").is_hidden()
        assert "do not rely: 1" in page.locator(".lead").inner_text()


def test_names_are_escaped_everywhere(browser, tmp_path) -> None:
    named = card(maps=1, source=NASTY)
    named = replace(
        named,
        network=NASTY,
        notes=(NASTY,),
        top=((0, NASTY, 1.0),),
        target=(1, NASTY, 0.0),
        reference=NASTY,
        settings={NASTY: NASTY},
        maps=(replace(named.maps[0], title=NASTY, judgement=replace(named.judgement, sentence=NASTY)),),
    )
    path = tmp_path / "card.html"
    path.write_text(card_page(named), encoding="utf-8")
    for page in _open(browser, path):
        assert page.locator("img[src=x]").count() == 0
    path.write_text(contact_sheet([entry_of(named, [NASTY]), {"source": NASTY, "reason": NASTY}]), encoding="utf-8")
    for page in _open(browser, path):
        assert page.locator("img[src=x]").count() == 0
        assert page.locator(".sheet .name").inner_text().strip() == Path(NASTY).name.strip()
    assert len(png(named)) > 1000


def test_settings_are_words() -> None:
    settings = card_page(card()).partition("<summary>Settings")[2]
    assert "<dd>Method0 10</dd>" in settings and "{" not in settings.partition("</details>")[0]


@pytest.mark.parametrize(
    ("side", "maps", "percentile", "drawn"), [(8, 1, None, 240), (24, 3, 62.4, 240), (224, 4, 0.0, 300)]
)
def test_a_picture_of_every_size(side, maps, percentile, drawn) -> None:
    with Image.open(io.BytesIO(png(card(side, maps, percentile=percentile)))) as picture:
        assert picture.format == "PNG" and picture.size[0] == max(900, 24 + (maps + 1) * (drawn + 24))
        levels = np.asarray(picture.convert("L"))
        assert levels[-1].min() == levels[-1].max() == 255, "nothing is cut off at the lower edge"


def test_grey_and_flat_pictures_are_drawn() -> None:
    grey = replace(card(), image=np.zeros((24, 24), np.uint8), agreement={})
    grey = replace(grey, maps=tuple(replace(one, heatmap=np.zeros((24, 24), np.float32)) for one in grey.maps))
    assert len(png(grey)) > 1000 and "</html>" in card_page(grey)


def test_the_overlay_shows_the_map_where_it_is_and_the_picture_where_it_is_not() -> None:
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[0, 0] = 1
    image = np.full((4, 4, 3), 200, np.uint8)
    over = np.asarray(overlay(heatmap, image)).astype(int)
    alone = np.asarray(coloured(level(heatmap)).convert("RGB")).astype(int)
    assert np.abs(over[0, 0] - alone[0, 0]).max() < 20
    assert (over[1:, 1:] == 150).all()


def test_a_signed_card_draws_what_speaks_against_the_class_blue() -> None:
    attribution = np.full((3, 24, 24), -0.5, np.float32)
    attribution[:, :12] = 1
    maps = (replace(one, attribution=attribution) for one in card(maps=1).maps)
    signed = replace(card(maps=1), maps=tuple(maps), scale=Scale(signed=True, top=1.0))
    drawn = signed.maps[0].drawn(signed.scale)
    np.testing.assert_allclose(drawn, attribution[0])
    colours = np.asarray(signed.scale.picture(drawn).convert("RGB")).astype(int)
    assert (colours[:12, :, 0] > colours[:12, :, 2]).all() and (colours[12:, :, 2] > colours[12:, :, 0]).all()
    over = np.asarray(overlay(drawn, np.full((24, 24, 3), 200, np.uint8), signed.scale)).astype(int)
    assert over[0, 0, 0] > over[0, 0, 2] and over[-1, 0, 2] > over[-1, 0, 0]
    page, usual = card_page(signed), card_page(card(maps=1))
    words = "All maps have one colour scale, from 0 to 1; red speaks for the class, blue against it."
    assert words in page and "blue, against the class, over white to red" in page
    assert "Each map has a colour scale of its own, from 0 to its 99th percentile; a brighter place" in usual
    assert len(png(signed)) > 1000 and png(signed) != png(replace(signed, scale=Scale()))
