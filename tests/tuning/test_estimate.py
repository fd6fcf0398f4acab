from hypothesis import given, strategies as st

from pellucid.tuning.estimate import TRAINING, spending


@given(
    st.lists(st.floats(0.01, 5), min_size=1, max_size=3),
    st.integers(1, 20_000),
    st.integers(1, 256),
    st.floats(10, 7200),
)
def test_training_never_takes_more_than_its_share(step, images, batch_size, seconds) -> None:
    spent = spending(step, images=images, batch_size=batch_size, seconds=seconds, epochs=None, most=10)
    least = 4 * sum(step)  # a few steps are made whatever they take
    assert 1 <= spent.epochs <= 10 and 1 <= spent.images <= images
    assert spent.training <= max(TRAINING * seconds, least) + 1e-6
    assert spent.measuring >= (1 - TRAINING) * seconds - 1e-6


def test_epochs_that_are_chosen_are_kept() -> None:
    spent = spending([1.0], images=3200, batch_size=32, seconds=10, epochs=3, most=10)
    assert (spent.epochs, spent.images, spent.training) == (3, 3200, 300)
