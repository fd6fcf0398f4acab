"""How people come and how they leave: an ID once, screening, quotas, endings with their codes, second tries."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from pellucid.core.errors import InputError
from pellucid.study.approval import approval_list
from pellucid.study.design import Study
from pellucid.study.folder import read_study
from pellucid.study.recruitment import Ending, Quota, Recruitment
from pellucid.study.store import Store
from pellucid.study.web import application

Visit = Callable[..., Any]
MakeStudy = Callable[..., Path]
OpenStore = Callable[..., Store]
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
ENDINGS = {
    name: Ending(code=name.upper(), url=f"https://example.org/{name}?id={{id}}")
    for name in ("screened_out", "full", "failed_checks")
}


@pytest.fixture
def serving(make_study: MakeStudy, open_store: OpenStore) -> Callable[..., Starlette]:
    """The application of a study with changes to its design and to its recruitment."""

    def make(changes: dict[str, Any] | None = None, **recruitment: Any) -> Starlette:
        folder = make_study("recruited", recruitment=Recruitment(**{**ENDINGS, **recruitment}), **(changes or {}))
        return application(folder, open_store(folder))

    return make


def right(visitor: Any, study: Study) -> dict[str, str]:
    """The page's answers, with the right ones to checks."""
    answers: dict[str, str] = visitor.answers()
    return answers | {check.name: str(check.correct) for check in study.checks if check.name in answers}


def finish(visitor: Any, study: Study) -> Any:
    while visitor.page.step:
        visitor.post("/study", right(visitor, study))
    return visitor


def test_an_id_takes_part_once_and_its_owner_goes_on(visit: Visit, store: Store) -> None:
    first = visit()
    assert "ID 5f1a. It is stored" in first.get("/consent", params={"PROLIFIC_PID": "5f1a"}).text
    first.agree(PROLIFIC_PID="5f1a").go_on()
    assert first.get("/consent", params={"PROLIFIC_PID": "5f1a"}).page.step == "instructions"
    other = visit()
    form = other.get("/consent", params={"PROLIFIC_PID": "77"}).page.hidden | {"decision": "agree"}
    assert other.get("/consent", params={"PROLIFIC_PID": "5f1a"}).page.title == "This ID has been used already"
    assert other.post("/consent", form | {"PROLIFIC_PID": "5f1a"}).page.title == "This ID has been used already"
    assert len(store.participants()) == 1
    assert (
        first.get("/consent", params={"PROLIFIC_PID": "88"}).page.title == "Consent"
    )  # the next person in a laboratory


def test_who_has_finished_sees_the_code_again(visit: Visit) -> None:
    visitor = visit().agree(PROLIFIC_PID="5f1a").go_to("never")
    assert visitor.get("/consent", params={"PROLIFIC_PID": "5f1a"}).page.title == "Thank you"


def test_the_parameter_of_the_id_can_be_chosen_and_asked_for(
    serving: Callable[..., Starlette], visitor_at: Visit
) -> None:
    app = serving(id_parameter="survey_code", id_required=True)
    assert (
        visitor_at(app).get("/").page.title == visitor_at(app).get("/consent").page.title == "Your link is incomplete"
    )
    assert visitor_at(app).get("/", params={"survey_code": "{{ID}}"}).page.title == "Your link is incomplete"
    assert visitor_at(app).agree(survey_code="a.b-c@d").page.step == "expertise"
    assert app.state.site.store.participants()[0]["recruit_id"] == "a.b-c@d"


@pytest.mark.parametrize(
    ("recruitment", "agent", "window", "said"),
    [
        ({"device": "computer"}, PHONE, {}, "needs a computer"),
        ({"device": "computer"}, "", {"touch": "1"}, "needs a computer"),
        ({"device": "computer"}, "", {"touch": "0"}, ""),
        ({"device": "mobile"}, "", {}, "phones and tablets"),
        ({"device": "mobile"}, PHONE, {}, ""),
        ({"smallest_window": (900, 600)}, "", {"width": "899", "height": "800"}, "Yours has 899 × 800"),
        ({"smallest_window": (900, 600)}, "", {"width": "900", "height": "600"}, ""),
        ({"smallest_window": (900, 600)}, "", {}, ""),  # a browser without JavaScript does not tell
    ],
)
def test_devices_and_windows(
    serving: Callable[..., Starlette],
    visitor_at: Callable[..., Any],
    recruitment: dict[str, Any],
    agent: str,
    window: dict[str, str],
    said: str,
) -> None:
    app = serving(**recruitment)
    visitor = visitor_at(app)
    visitor.client.headers["user-agent"] = agent
    asked = visitor.get("/consent", params=window | {"PROLIFIC_PID": "5f1a"})
    if not said:
        assert asked.page.title == "Consent"
        return
    assert said in asked.text and "SCREENED_OUT" in asked.text
    assert 'href="https://example.org/screened_out?id=5f1a"' in asked.text
    assert 'href="/?PROLIFIC_PID=5f1a&amp;language=en"' in asked.text  # to try again
    assert not app.state.site.store.participants()  # nothing is stored of who did not consent


def test_a_window_is_looked_at_again_with_the_consent(serving: Callable[..., Starlette], visitor_at: Visit) -> None:
    app = serving(smallest_window=(900, 600))
    visitor = visitor_at(app).get("/consent")
    visitor.post("/consent", visitor.page.hidden | {"decision": "agree", "width": "300", "height": "300"})
    assert "at least 900 × 600" in visitor.text and not app.state.site.store.participants()


def test_a_full_study_has_its_code(serving: Callable[..., Starlette], visitor_at: Visit) -> None:
    app = serving({"participants": 1})
    visitor_at(app).agree()
    text = visitor_at(app).agree(PROLIFIC_PID="a").text
    assert "The study is full" in text and "FULL" in text and "full?id=a" in text


def test_a_quota_ends_with_the_code_and_frees_the_place(serving: Callable[..., Starlette], visitor_at: Visit) -> None:
    quota = Quota(question="machine_learning", answers=(0, 1), participants=1)
    app = serving(quotas=(quota,))
    store = app.state.site.store
    assert visitor_at(app).agree().go_on(machine_learning="0").page.step == "instructions"
    late = visitor_at(app).agree().go_on(machine_learning="1")
    assert "The study is full" in late.text and "FULL" in late.text
    assert "The study is full" in late.get("/study").text
    assert visitor_at(app).agree().go_on(machine_learning="2").page.step == "instructions"
    ended = sorted((str(row["outcome"]), str(row["claim"])) for row in store.participants())
    assert ended == [("None", "0"), ("None", "1"), ("full", "None")]


def test_failed_attention_checks_have_their_code(serving: Callable[..., Starlette], visitor_at: Visit) -> None:
    app = serving({"completion_code": "DONE"})
    study = app.state.site.study
    careless = visitor_at(app).agree(PROLIFIC_PID="a").go_to("never")
    assert "FAILED_CHECKS" in careless.text and "DONE" not in careless.text
    careful = finish(visitor_at(app).agree(PROLIFIC_PID="b"), study)
    assert "DONE" in careful.text and "FAILED_CHECKS" not in careful.text


def test_without_a_code_of_their_own_failed_checks_end_like_the_others(
    serving: Callable[..., Starlette], visitor_at: Visit
) -> None:
    app = serving({"completion_code": "DONE"}, failed_checks=Ending())
    assert "DONE" in visitor_at(app).agree().go_to("never").text


def test_comprehension_has_a_second_try_and_an_end(serving: Callable[..., Starlette], visitor_at: Visit) -> None:
    app = serving({"comprehension_tries": 2, "screen_out": True})
    store, study = app.state.site.store, app.state.site.study
    slow = visitor_at(app).agree().go_to("comprehension")
    first = slow.answers()
    slow.post("/study", first)
    assert slow.page.step == "comprehension" and slow.page.title == "Please read the explanation again"
    assert study.instructions["en"].split(".")[0] in slow.text and "This answer was not right" in slow.text
    slow.post("/study", first)  # the same click again is not the second try
    assert slow.page.step == "comprehension"
    slow.post("/study", right(slow, study))
    assert slow.page.step == "trial-1"
    never = visitor_at(app).agree(PROLIFIC_PID="c").go_to("comprehension").go_on().go_on()
    assert "SCREENED_OUT" in never.text and never.get("/study").page.step == ""
    [out] = [row for row in store.participants() if row["outcome"]]
    assert (out["outcome"], out["claim"], out["attempts"]) == ("screened_out", None, 1)
    form = slow.answers()  # who has ended can send nothing more
    assert never.post("/study", form | {"token": first["token"]}).status == 403


def test_practice_is_followed_by_what_it_meant(serving: Callable[..., Starlette], visitor_at: Visit) -> None:
    app = serving({"practice_feedback": True})
    visitor = visitor_at(app).agree().go_to("practice").go_on(trust="6")
    assert visitor.page.step == "feedback-1"
    assert "You chose 6 of 7. 1 means “not at all”, 7 means “completely”." in visitor.text
    assert visitor.text.count('class="ring"') == 2  # in the photograph and in the map
    assert visitor.go_on().page.step == "comprehension"


def test_a_guess_is_told_right_from_wrong_in_the_language_of_the_page(
    serving: Callable[..., Starlette], visitor_at: Visit, template: Path
) -> None:
    study = read_study(template)
    german = ("Katze", "Hund", "Schiff", "Frosch")
    questions = (*study.questions, replace(study.questions[2], name="guess", kind="guess"))
    app = serving(
        {
            "practice_feedback": True,
            "show_prediction": False,
            "questions": questions,
            "class_names": {"de": german},
        }
    )
    shown = app.state.site.sequences.example.prediction
    visitor = visitor_at(app).agree(language="de").go_to("practice")
    assert visitor.page.options["guess"] == list(study.classes)  # what is stored is the same in every language
    assert f'<option value="cat">{german[0]}</option>' in visitor.text
    wrong = next(name for name in study.classes if name != shown)
    visitor.go_on(guess=wrong)
    named = dict(zip(study.classes, german, strict=True))
    assert f"Sie haben „{named[wrong]}“ geraten. Das Netz hat „{named[shown]}“ geantwortet." in visitor.text


def test_whom_to_pay(serving: Callable[..., Starlette], visitor_at: Visit) -> None:
    app = serving({"comprehension_tries": 1, "screen_out": True})
    study, store = app.state.site.study, app.state.site.store
    finish(visitor_at(app).agree(PROLIFIC_PID="good"), study)
    fast = visitor_at(app).agree(PROLIFIC_PID="fast")
    while fast.page.step:
        fast.post("/study", right(fast, study) | {"seconds": "0.1"})
    visitor_at(app).agree(PROLIFIC_PID="=out").go_to("never")
    visitor_at(app).agree(PROLIFIC_PID="out").go_to("never")
    careless = visitor_at(app).agree(PROLIFIC_PID="careless").go_to("comprehension")
    careless.post("/study", right(careless, study)).go_to("never")
    visitor_at(app).agree(PROLIFIC_PID="now").go_on()
    finish(visitor_at(app).agree(PROLIFIC_PID="tester"), study)
    store.set_aside(next(row["id"] for row in store.participants() if row["recruit_id"] == "tester"))
    rows = {row["id"]: row["decision"] for row in csv.DictReader(io.StringIO(approval_list(app.state.site)))}
    assert rows == {"good": "approve", "fast": "review", "out": "return", "careless": "reject", "now": "wait"}


def test_a_preview_says_so_and_stores_nothing(folder: Path, visitor_at: Visit) -> None:
    from pellucid.study.store import opened

    with opened(folder, preview=True) as store:
        visitor = visitor_at(application(folder, store, preview=True)).get("/")
        assert "Preview: nothing is stored." in visitor.text
        assert "Preview: nothing is stored." in visitor.agree().go_to("never").text
        file = Path(str(store.engine.url.database))
        assert file.exists()
    assert not file.exists() and not list(folder.glob("answers*"))


@pytest.mark.parametrize(
    ("recruitment", "sentence"),
    [
        ({"id_parameter": "a b"}, "id_parameter must be a name of letters"),
        ({"id_parameter": "language"}, "other than language, got 'language'"),
        ({"device": "fridge"}, "recruitment.device must be one of any, computer, mobile, got 'fridge'"),
        ({"smallest_window": (0, 100)}, "smallest_window must be at least 1 pixel, got 0"),
        ({"return_after": 4}, "return_after must be 5 to 300 seconds or null, got 4"),
        ({"full": Ending(url="http://x")}, "recruitment.full.url must begin with https://, got 'http://x'"),
        ({"quotas": (Quota(question="age", answers=(0,), participants=1),)}, r"\(machine_learning, explanations\)"),
        ({"quotas": (Quota(question="explanations", answers=(4,), participants=1),)}, "positions from 0 to 3"),
        ({"quotas": (Quota(question="explanations", answers=(), participants=1),)}, "positions from 0 to 3"),
        ({"quotas": (Quota(question="explanations", answers=(0,), participants=-1),)}, "at least 0, got -1"),
    ],
)
def test_a_mistake_is_one_sentence(template: Path, recruitment: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        replace(read_study(template), recruitment=Recruitment(**recruitment))


def test_class_names_are_as_many_as_classes(template: Path) -> None:
    with pytest.raises(InputError, match=re.escape("class_names.de must hold 4 names, got 1")):
        replace(read_study(template), class_names={"de": ("Katze",)})
