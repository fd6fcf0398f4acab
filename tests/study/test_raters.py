"""Synthetic raters: what they depend on, what an effect does, and what they leave as it was."""

import numpy as np
import pytest

from pellucid.core.errors import InputError
from pellucid.study.design import Question
from pellucid.study.raters import Variation, raters, simulated

NO_VARIATION = Variation(person=0.0, image=0.0, person_by_condition=0.0)


def test_an_answer_is_a_function_of_what_it_is_for(make_study) -> None:
    study = make_study(3)
    first, again = raters(study, 5, {"smoothed": 0.4}, 7), raters(study, 3, {"smoothed": 0.4}, 7)
    asked = [(condition, image) for condition in study.conditions for image in range(6)]
    forwards = [first[2](condition, image, "trust") for condition, image in asked]
    backwards = [again[2](condition, image, "trust") for condition, image in reversed(asked)]
    assert forwards == backwards[::-1]
    assert forwards != [raters(study, 3, {}, 8)[2](condition, image, "trust") for condition, image in asked]


@pytest.mark.parametrize("points", [5, 7])
def test_every_point_is_used_and_no_other(make_study, points: int) -> None:
    made = simulated(make_study(2, points=points), 40)
    assert {one.value for one in made.answers} == set(map(float, range(1, points + 1)))


def test_an_effect_shifts_its_condition_alone(make_study) -> None:
    study = make_study(3, crossing="full", images=20)
    none, some = (simulated(study, 40, effect).ratings("trust").values for effect in ({}, {"smoothed": 0.8}))
    np.testing.assert_array_equal(none[:, :2], some[:, :2])
    assert (some[:, 2] >= none[:, 2]).all()
    assert 0.8 < (some[:, 2] - none[:, 2]).mean() < 1.5  # 0.8 of 7 / 4 points a unit, less at the ends


def test_without_variation_answers_differ_by_noise_alone(make_study) -> None:
    made = simulated(make_study(2, crossing="full", images=30), 30, variation=NO_VARIATION)
    values = made.ratings("trust").values
    by_person, by_image = values.mean(axis=(1, 2)), values.mean(axis=(0, 1))
    noise = values.std()
    assert by_person.std() == pytest.approx(noise / np.sqrt(60), rel=0.4)
    assert by_image.std() == pytest.approx(noise / np.sqrt(60), rel=0.4)
    varied = simulated(make_study(2, crossing="full", images=30), 30).ratings("trust").values
    assert varied.mean(axis=(1, 2)).std() > 3 * by_person.std()
    assert varied.mean(axis=(0, 1)).std() > 3 * by_image.std()


def test_rotation_shows_each_image_once(make_study) -> None:
    values = simulated(make_study(3, images=6), 9).ratings("trust").values
    there = ~np.isnan(values)
    assert (there.sum(axis=1) == 1).all()
    assert (there.sum(axis=0) == 3).all()


def test_choices_and_guesses_follow_the_effect(make_study) -> None:
    best = Question(name="best", kind="choice", text={"en": "Which?"})
    guess = Question(name="guess", kind="guess", text={"en": "What?"})
    study = make_study(2, others=(best, guess), show_prediction=False)
    made = raters(study, 60, {"adversarial": 1.0})
    chosen = [one.choose(image, "best") for one in made for image in range(5)]
    assert 0.65 < chosen.count("adversarial") / len(chosen) < 0.9
    right = {
        condition: np.mean([one.guesses_right(condition, image, "guess") for one in made for image in range(5)])
        for condition in study.conditions
    }
    assert right["adversarial"] > right["regular"] + 0.1
    with pytest.raises(InputError, match="'best' is a choice"):
        made[0]("regular", 0, "best")


def test_all_are_marked_as_synthetic(make_study) -> None:
    assert all(one.synthetic for one in simulated(make_study(2), 5).participants)


def test_mistakes_are_told(make_study) -> None:
    with pytest.raises(InputError, match="at least 1, got 0"):
        raters(make_study(2), 0)
    with pytest.raises(InputError, match="no condition is named 'blurred'; there are regular, adversarial"):
        raters(make_study(2), 5, {"blurred": 1.0})
