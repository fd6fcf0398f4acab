"""What counts as the same, and folders that appear whole or not at all."""

from pathlib import Path

import numpy as np
import pytest

from pellucid import InputError
from pellucid.exports.parity import compared
from pellucid.exports.whole_folder import whole_folder

IMAGES = np.zeros((3, 1, 2, 2), np.float32)
LOGITS = np.array([[20.0, 0.0], [0.0, 1.0], [0.0, 2.0]], np.float32)


def giving(logits: np.ndarray, alone: np.ndarray | None = None):
    """A file that gives these logits, and others for the first image alone."""
    return lambda x: [logits if len(x) == 3 else logits[:1] if alone is None else alone]


def test_equal_numbers_have_no_difference() -> None:
    parity = compared(giving(LOGITS), IMAGES, [LOGITS], what="f", tolerance=0)
    assert (parity.images, parity.logits, parity.scale, parity.predictions, parity.map) == (3, 0, 20, 0, None)


def test_a_difference_is_relative_to_the_largest_logit_and_told() -> None:
    other = LOGITS + np.float32(0.01)
    parity = compared(giving(other), IMAGES, [LOGITS], what="f", tolerance=1e-3)
    assert parity.logits == pytest.approx(0.01, rel=1e-3) and parity.scale == 20
    with pytest.raises(
        InputError, match=r"f differs .* more than the tolerance of 0.0001 \(largest .* logit 0.01, the"
    ):
        compared(giving(other), IMAGES, [LOGITS], what="f", tolerance=1e-4)


def test_another_prediction_is_counted() -> None:
    other = LOGITS.copy()
    other[1] = [1.1, 1.0]
    assert compared(giving(other), IMAGES, [LOGITS], what="f", tolerance=1).predictions == 1


@pytest.mark.parametrize("wrong", [np.full_like(LOGITS, np.nan), np.full_like(LOGITS, np.inf)])
def test_what_is_not_finite_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match="largest difference of a logit inf"):
        compared(giving(wrong), IMAGES, [LOGITS], what="f", tolerance=1e9)


def test_a_file_that_gives_something_else_for_one_image_is_refused() -> None:
    with pytest.raises(InputError, match="more than the tolerance"):
        compared(giving(LOGITS, LOGITS[1:2]), IMAGES, [LOGITS], what="f", tolerance=1e-4)
    with pytest.raises(InputError, match="gives numbers of shape"):
        compared(giving(LOGITS, LOGITS), IMAGES, [LOGITS], what="f", tolerance=1e-4)


def test_maps_are_judged_together_and_a_hundred_times_less_strictly() -> None:
    drawn = np.full((3, 2, 2), 1e-3, np.float32)
    other = drawn.copy()
    other[0, 0, 0] *= 1.04  # one of the twelve pixels, and of the four of the first image alone

    def run(x: np.ndarray) -> list[np.ndarray]:
        return [LOGITS[: len(x)], other[: len(x)]]

    parity = compared(run, IMAGES, [LOGITS, drawn], what="f", tolerance=1.5e-4)
    assert parity.map == pytest.approx(0.04 * (2 / 16) ** 0.5, rel=1e-3)
    with pytest.raises(InputError, match="the maps differ by 1 %"):
        compared(run, IMAGES, [LOGITS, drawn], what="f", tolerance=1.4e-4)


def test_a_map_that_is_not_finite_is_refused() -> None:
    drawn = np.ones((3, 2, 2), np.float32)
    with pytest.raises(InputError, match="the maps differ by nan %"):
        compared(lambda x: [LOGITS[: len(x)], np.nan * drawn[: len(x)]], IMAGES, [LOGITS, drawn], what="f", tolerance=1)


def test_a_folder_appears_only_when_its_writing_succeeds(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(FileNotFoundError), whole_folder(out) as folder:
        (folder / "a").with_suffix(".txt").write_text("half") and (folder / "b").read_text()
    assert list(tmp_path.iterdir()) == []
    with whole_folder(out) as folder:
        (folder / "a").write_text("first")
    with pytest.raises(FileNotFoundError), whole_folder(out, replace=True, known=("a",)) as folder:
        (folder / "b").read_text()
    assert (out / "a").read_text() == "first"
    with whole_folder(out, replace=True, known=("a",)) as folder:
        (folder / "b").write_text("second")
    assert [path.name for path in out.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    with whole_folder(tmp_path) as folder:
        (folder / "a").write_text("x")
    assert (tmp_path / "a").read_text() == "x"
