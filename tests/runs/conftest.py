"""A user's dataset and method in a module of their own, small enough to train in a second."""

import sys
from types import ModuleType

import lightning_fabric.utilities.rank_zero  # noqa: F401  # it asks for the process's rank once, when it is imported
import pytest

MODULE = '''
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from pellucid import Method

CLASSES = {"train": ["ant", "bee", "cat"], "test": ["ant", "bee", "cat"]}
SIDE, SEED = 28, 0


class Pictures(torch.utils.data.Dataset):
    def __init__(self, split):
        self.classes = CLASSES[split]
        self.targets = [i % len(self.classes) for i in range(60)]
        generator = torch.Generator().manual_seed(SEED)
        self.images = torch.randint(0, 256, (60, SIDE, SIDE), dtype=torch.uint8, generator=generator)

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return self.images[i], self.targets[i]


def make(split):
    return None if split == "validation" else Pictures(split)


class Memory(nn.Module):
    def __init__(self, num_samples):
        super().__init__()
        self.register_buffer("last", torch.full((num_samples,), torch.nan))
        self.register_buffer("visits", torch.zeros(num_samples, dtype=torch.int64))

    def per_sample(self):
        return {"last_loss": self.last, "visits": self.visits}


@dataclass(frozen=True)
class Remembering(Method):
    """Plain training that remembers each picture's last loss."""

    def init(self, num_samples, total_steps):
        return Memory(num_samples)

    def loss(self, model, batch, state, *, generator=None):
        losses = F.cross_entropy(model(batch.image), batch.label, reduction="none")
        if state.training:
            state.last[batch.index] = losses.detach()
            state.visits[batch.index] += 1
        return {"loss": losses.mean()}
'''


@pytest.fixture
def users(tmp_path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, whose ``CLASSES``, ``SIDE`` and ``SEED`` a test may change."""
    (tmp_path / "things_of_a_user.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "things_of_a_user", raising=False)
    import things_of_a_user

    return things_of_a_user
