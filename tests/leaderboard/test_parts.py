"""Pages over several boards, from networks that are here and from what the pages say of those that are not."""

import json
import shutil
from dataclasses import replace

import pytest

from pellucid.core.errors import InputError
from pellucid.leaderboard.calibration import cards
from pellucid.leaderboard.declared import corrected, sentences
from pellucid.leaderboard.plan import Leaderboard
from pellucid.leaderboard.run import leaderboard
from pellucid.leaderboard.telling import measures

PAGES = {"measures": measures, "cards": cards, "sentences": sentences}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A truth board of two entries, and the three pages made of its networks."""
    folder = tmp_path_factory.mktemp("parts")
    plan = Leaderboard(
        name="truth:shapes", seeds=1, scale="smoke", only=("gradient-penalty-softplus",), out=folder / "runs",
        results=folder / "results",
    )  # fmt: skip
    leaderboard(plan, progress=False)
    whole = replace(plan, seeds=None, only=())
    for name, write in PAGES.items():
        write(replace(whole, name=name))
    return whole


@pytest.fixture
def copy(made, tmp_path):
    """The same networks, and pages that are free to be changed."""
    shutil.copytree(made.results, tmp_path / "results")
    return replace(made, results=tmp_path / "results")


def file_of(plan, page):
    name = {"measures": "truth-measures", "cards": "trust-card", "sentences": "sentences"}[page]
    return plan.results / f"{name}-smoke.json"


def numbers(plan, page):
    return json.loads(file_of(plan, page).read_text(encoding="utf-8"))


def test_a_page_tells_of_the_networks_that_are_here(made):
    (board,) = numbers(made, "measures")["boards"]
    assert (board["board"], board["networks"], board["entries"]) == ("truth:shapes", 2, 2)
    (board,) = numbers(made, "cards")["boards"]
    assert board["networks"] == 2 and board["maps"] == board["as_it_is"]["mostly"]["all"]["maps"]
    told = numbers(made, "sentences")
    measured = [(row["run"], row["baseline"]) for row in told["sentences"] if row["seeds"]]
    assert measured == [("gradient-penalty-softplus", "regular")]
    assert list(told["origins"]) == ["truth:shapes"]


@pytest.mark.parametrize("page", PAGES)
def test_a_board_whose_networks_are_not_here_keeps_its_part(copy, page, tmp_path):
    before = numbers(copy, page)
    PAGES[page](replace(copy, name=page, out=tmp_path / "empty"))
    assert numbers(copy, page) == before


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("more", [0, 1])
def test_a_part_is_replaced_by_one_of_as_many_networks(copy, page, more):
    told = numbers(copy, page)
    for part in told["origins"].values() if page == "sentences" else told["boards"]:
        part["trained_at"] = ["before"]
        part["networks"] = 2 + more
    for row in told.get("sentences", ()):
        row["seeds"] += more * (row["seeds"] > 0)
    file_of(copy, page).write_text(json.dumps(told), encoding="utf-8")
    PAGES[page](replace(copy, name=page))
    assert ("before" in json.dumps(numbers(copy, page))) == bool(more)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_cannot_be_kept_is_not_lost(copy, page):
    file, told = file_of(copy, page), numbers(copy, page)
    older = "is of an older pellucid, .*move it away"
    for content, said in (
        ("{", r"is not JSON \(.*\); move it away to begin it anew"),
        (json.dumps(told | {"environment": {}}), older),
        ("[]", older),
    ):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=said):
            PAGES[page](replace(copy, name=page))
        assert file.read_text(encoding="utf-8") == content


@pytest.mark.parametrize("page", ["measures", "cards"])
def test_a_page_of_nothing_is_one_sentence(tmp_path, page):
    plan = Leaderboard(name=page, scale="smoke", out=tmp_path / "runs", results=tmp_path / "results")
    with pytest.raises(InputError, match="measure.*: pellucid leaderboard truth:beside"):
        PAGES[page](plan)


def test_thresholds_of_a_board_that_is_not_here_are_told_on_one_that_is(copy):
    told = numbers(copy, "cards")
    (here,) = told["boards"]
    moved = {"unsteady": 0.25, "shaky": 0.7, "poor": 10.0, "unsure": 0.5, "diffuse": 0.75}
    away = json.loads(json.dumps(here)) | {
        "board": "truth:beside",
        "moved": moved,
        "moved_here": here["as_it_is"]["mostly"],
    }
    file_of(copy, "cards").write_text(json.dumps(told | {"boards": [here, away]}), encoding="utf-8")
    cards(replace(copy, name="cards"))
    boards = {board["board"]: board for board in numbers(copy, "cards")["boards"]}
    found = boards["truth:beside"]["moved_on_others"]["truth:shapes"]
    assert found["all"]["maps"] == here["maps"]
    assert "mostly true on truth:shapes, retuned here" in (copy.results / "trust-card-smoke.md").read_text(
        encoding="utf-8"
    )


def test_a_kept_sentence_is_corrected_with_the_others():
    def row(p, seeds=5, later=False):
        return {"p": p, "p_holm": None, "seeds": seeds, "right_side": True, "verdict": "", "later": later}

    alone = corrected([row(0.03)])
    assert alone[0]["verdict"] == "confirmed" and alone[0]["p_holm"] == pytest.approx(0.03)
    both = corrected([*alone, row(0.04), row(0.001, seeds=1), row(0.02, later=True)])
    assert [one["p_holm"] for one in both] == pytest.approx([0.06, 0.06, None, 0.02])
    assert [one["verdict"] for one in both] == ["cannot be told", "cannot be told", "", "confirmed"]
