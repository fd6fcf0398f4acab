"""An export folder read back, and what is said of one that cannot be."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from pellucid.core.errors import InputError
from pellucid.study.design import Question
from pellucid.study.raters import simulated
from pellucid.study.responses import Answer, Responses, _option, read_responses

GUESS = Question(name="guess", kind="guess", text={"en": "What did it answer?"})
BEST = Question(name="best", kind="choice", text={"en": "Which is best?"})


@pytest.fixture
def responses(make_study) -> Responses:
    study = make_study(3, names=("trust",), images=6, others=(GUESS, BEST), show_prediction=False)
    made = simulated(study, 4, seed=1)
    first = made.answers[0]
    others = (
        replace(first, question="guess", value=1.0, position="0"),
        replace(first, question="best", value=float("nan"), choice="smoothed", condition="", stimulus=""),
    )
    people = tuple(replace(one, expertise={"vision": "some"}) for one in made.participants)
    answers = tuple(replace(one, correct=one.image != "3", seconds=2.5) for one in (*made.answers, *others))
    return replace(made, participants=people, answers=answers, withdrawn=3)


def test_what_was_written_is_read(responses: Responses, make_export, tmp_path: Path) -> None:
    read = read_responses(make_export(tmp_path / "export", responses))
    assert read.study == responses.study
    assert read.participants == responses.participants
    assert [replace(one, value=0) for one in read.answers] == [replace(one, value=0) for one in responses.answers]
    for question in ("trust", "guess", "best"):
        np.testing.assert_array_equal(read.ratings(question).values, responses.ratings(question).values)
    assert read.withdrawn == 3
    assert len(read.registration) == 64
    assert read.changed == ()


def test_parquet_is_read_as_csv_is(responses: Responses, make_export, tmp_path: Path) -> None:
    folder = make_export(tmp_path / "export", responses)
    from_csv = read_responses(folder)
    for name in ("answers", "participants"):
        pyarrow.parquet.write_table(pyarrow.csv.read_csv(folder / f"{name}.csv"), folder / f"{name}.parquet")
        (folder / f"{name}.csv").unlink()
    read = read_responses(folder)
    assert [(one.participant, one.image, one.condition) for one in read.answers] == [
        (one.participant, one.image, one.condition) for one in from_csv.answers
    ]
    assert read.participants == from_csv.participants


def test_ratings_lie_where_they_were_given(responses: Responses) -> None:
    ratings = responses.ratings("trust")
    assert ratings.values.shape == (4, 3, 6)
    for one in responses.answers:
        if one.question == "trust":
            where = (
                ratings.participants.index(one.participant),
                ratings.conditions.index(one.condition),
                ratings.images.index(one.image),
            )
            assert ratings.values[where] == one.value
    assert (~np.isnan(ratings.values)).sum() == 4 * 6  # each image once a participant
    assert ratings.complete.all()


def test_means_are_over_images(responses: Responses) -> None:
    ratings = responses.ratings("trust")
    first = [one for one in responses.answers if one.participant == "synthetic-0" and one.question == "trust"]
    for at, condition in enumerate(ratings.conditions):
        assert ratings.means[0, at] == np.mean([one.value for one in first if one.condition == condition])
    pair = ratings.pair("smoothed", "regular")
    np.testing.assert_array_equal(pair, ratings.means[:, [2, 0]])


def test_a_choice_counts_one_for_the_chosen_and_a_guess_if_right(responses: Responses) -> None:
    best = responses.ratings("best").values[0, :, 0]
    assert best.tolist() == [0, 0, 1]
    guess = responses.ratings("guess").values
    assert np.nansum(guess) == 1


def test_answers_about_wrong_predictions_alone(responses: Responses) -> None:
    assert responses.ratings("trust", correct=False).images == ("3",)
    assert "3" not in responses.ratings("trust", correct=True).images


def test_checks_are_no_answers(responses: Responses, make_export, tmp_path: Path) -> None:
    folder = make_export(tmp_path / "export", responses)
    _edit(folder, 0, question="attention_1", kind="attention", answer="2", condition="")
    assert len(read_responses(folder).answers) == len(responses.answers) - 1


def test_a_study_changed_after_freezing_is_noticed(responses: Responses, make_export, tmp_path: Path) -> None:
    folder = make_export(tmp_path / "export", responses)
    text = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(text.replace("alpha: 0.05", "alpha: 0.1"))
    assert read_responses(folder).changed == ("study.yaml",)


def test_an_answer_about_the_person_is_a_position_even_where_words_are_numbers() -> None:
    years = ("1", "2", "3", "10")
    assert [_option(str(position), years, 2) for position in range(4)] == list(years)
    assert [_option(text, ("none", "some"), 2) for text in ("", "some", "0")] == ["", "some", "none"]
    with pytest.raises(InputError, match="line 2: expertise must be in 0 to 1, got '2'"):
        _option("2", ("none", "some"), 2)


def test_only_some_participants(responses: Responses) -> None:
    some = responses.only(["synthetic-2"])
    assert {one.participant for one in some.answers} == {"synthetic-2"}
    assert some.withdrawn == responses.withdrawn


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": "9"}, "line 2: an answer to 'trust' must be in 1 to 7, got '9'"),
        ({"answer": "2.5"}, "must be in 1 to 7, got '2.5'"),
        ({"answer": "much"}, "must be a number, got 'much'"),
        ({"condition": "best"}, "condition must be one of regular, adversarial, smoothed, got 'best'"),
        ({"question": "joy"}, "question must be one of trust, guess, best, got 'joy'"),
        ({"participant": "nobody"}, "'nobody' is not among the participants"),
        ({"synthetic": "false"}, "synthetic in one file and not in the other"),
        ({"synthetic": "perhaps"}, "must be true or false, got 'perhaps'"),
        ({"seconds": "soon"}, "must be a number, got 'soon'"),
    ],
)
def test_values_that_cannot_be(responses: Responses, make_export, tmp_path: Path, change, said: str) -> None:
    folder = make_export(tmp_path / "export", responses)
    _edit(folder, 0, **change)
    with pytest.raises(InputError, match=said):
        read_responses(folder)


def test_an_answer_is_there_twice(responses: Responses, make_export, tmp_path: Path) -> None:
    twice = replace(responses, answers=(*responses.answers, responses.answers[0]))
    with pytest.raises(InputError, match="'synthetic-0' answered 'trust' about .* twice"):
        read_responses(make_export(tmp_path / "export", twice))


def test_files_that_are_not_there(responses: Responses, make_export, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not an export of a study: it has no study.yaml"):
        read_responses(tmp_path)
    folder = make_export(tmp_path / "export", responses)
    (folder / "export.json").write_text("[]")
    with pytest.raises(InputError, match="must be JSON with a number"):
        read_responses(folder)
    (folder / "export.json").write_text(json.dumps({"withdrawn": 0}))
    text = (folder / "participants.csv").read_text()
    (folder / "participants.csv").write_text(text.replace("completed", "done"))
    with pytest.raises(InputError, match="has no column 'completed'"):
        read_responses(folder)
    (folder / "participants.csv").unlink()
    with pytest.raises(InputError, match=r"neither participants.csv nor participants.parquet"):
        read_responses(folder)


def test_expertise_is_read_by_position(responses: Responses, make_export, tmp_path: Path) -> None:
    numbered = replace(
        responses, participants=tuple(replace(one, expertise={"vision": "2"}) for one in responses.participants)
    )
    read = read_responses(make_export(tmp_path / "export", numbered))
    assert {one.expertise["vision"] for one in read.participants} == {"a lot"}
    wrong = replace(
        responses, participants=tuple(replace(one, expertise={"vision": "3"}) for one in responses.participants)
    )
    with pytest.raises(InputError, match="must be in 0 to 2, got '3'"):
        read_responses(make_export(tmp_path / "wrong", wrong))


def test_an_answer_knows_no_condition_where_several_were_shown(responses: Responses) -> None:
    chosen: Answer = responses.answers[-1]
    assert (chosen.condition, chosen.choice) == ("", "smoothed")


def _edit(folder: Path, at: int, **change: str) -> None:
    path = folder / "answers.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[at] |= change
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
