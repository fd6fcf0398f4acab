"""What a state may say of every training image."""

import pytest
import torch
from torch import nn

from pellucid import SCAAT, InputError, Regular
from pellucid.methods.method import sample_numbers


def test_scaat_says_its_q_and_other_methods_nothing() -> None:
    numbers = sample_numbers(SCAAT(q=0.25).init(3, 10), 3)
    assert numbers.keys() == {"q"} and torch.equal(numbers["q"], torch.full((3,), 0.25))
    assert sample_numbers(Regular().init(3, 10), 3) == {}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([torch.zeros(3)], r"must return names and tensors, such as {'q': q}, got list"),
        ({"rows": torch.zeros(3)}, r"must name its numbers by words such as 'q', none of rows, .*; got 'rows'"),
        ({"a b": torch.zeros(3)}, "got 'a b'"),
        ({"../q": torch.zeros(3)}, "got '../q'"),
        ({4: torch.zeros(3)}, "got 4"),
        ({"age": torch.zeros(4)}, r"must give age as a tensor of shape \(3,\), got \(4,\)"),
        ({"age": [0, 1, 2]}, "got list"),
    ],
)
def test_what_no_run_can_store_is_refused(given: object, sentence: str) -> None:
    state = nn.Module()
    state.per_sample = lambda: given  # type: ignore[assignment]
    with pytest.raises(InputError, match=sentence):
        sample_numbers(state, 3)
