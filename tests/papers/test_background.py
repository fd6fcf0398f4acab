"""q against the background: Spearman's correlation, of all pictures and of those of one class."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from pellucid.papers import background
from pellucid.papers.background import by_class, correlation, ranks, with_background

N = 300


@pytest.fixture
def pictures(monkeypatch):
    """Two classes, the second darker; as many black pixels as ``black`` says."""
    random = np.random.default_rng(0)
    label = np.repeat([0, 1], N // 2)
    black = random.integers(0, 300, N) + 400 * label
    images = torch.full((N, 784), 255, dtype=torch.uint8)
    for picture, count in zip(images, black, strict=True):
        picture[:count] = 0

    class Pictures:
        labels = torch.from_numpy(label)
        classes = ("coat", "bag")

        def __len__(self) -> int:
            return N

        def take(self, index):
            return images.view(N, 1, 28, 28)[index]

    monkeypatch.setattr(background, "load", lambda *_: Pictures())
    monkeypatch.setattr(background, "read_experiment", lambda _: SimpleNamespace(dataset=None))
    return label, black


def run(q) -> SimpleNamespace:
    return SimpleNamespace(path=None, q={1: np.zeros(N), 2: np.asarray(q, dtype=np.float32)})


def test_it_is_spearmans_over_the_last_q(pictures) -> None:
    _, black = pictures
    q = black + 100 * np.random.default_rng(1).normal(size=N)
    found = with_background([run(q)], within_class=False)
    assert found.mean == pytest.approx(spearmanr(q.astype(np.float32), black).statistic, abs=1e-6)
    assert found.low < found.mean < found.high and found.n == N


def test_what_only_tells_classes_apart_does_not_count_within_them(pictures) -> None:
    label, _ = pictures
    q = label + 0.1 * np.random.default_rng(1).normal(size=N)
    between, within = (with_background([run(q)], within_class=each) for each in (False, True))
    assert between.low > 0.5
    assert within.low < 0 < within.high


def test_what_follows_the_background_within_a_class_counts(pictures) -> None:
    label, black = pictures
    found = with_background([run(black - 1000 * label)] * 2, within_class=True)
    assert found.mean == pytest.approx(1) and found.low == pytest.approx(1)


def test_classes_of_opposite_sign_are_told_apart(pictures) -> None:
    label, black = pictures
    runs = [run(np.where(label == 0, black, -black))] * 2
    assert abs(with_background(runs, within_class=True).mean) < 0.05
    assert by_class(runs) == pytest.approx({"coat": 1, "bag": -1})


def test_a_q_that_never_moved_goes_with_nothing(pictures) -> None:
    assert with_background([run(np.full(N, 0.5))], within_class=False).n == 0


def test_counting_an_image_twice_is_having_it_twice() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 20))
    weight = random.integers(0, 3, 20)
    twice = np.corrcoef(np.repeat(one, weight), np.repeat(other, weight))[0, 1]
    assert correlation(one, other)(weight[None].astype(float)) == pytest.approx(twice)


def test_ties_share_a_rank() -> None:
    assert ranks(np.array([1.0, 1.0, 5.0]), np.zeros(3)).tolist() == pytest.approx([1 / 3, 1 / 3, 5 / 6])
