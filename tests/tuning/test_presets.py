import json
from collections import OrderedDict
from typing import get_args

import pytest
from torch import nn

from pellucid import Experiment, Regular
from pellucid.core.errors import InputError
from pellucid.tuning.plan import NAMES, Tune
from pellucid.tuning.presets import Family, Size, family_of, size_of, smoothed_stage, tuning_presets
from pellucid.tuning.presets_table import table


def test_every_family_and_size_has_every_preset() -> None:
    assert len(tuning_presets()) == len(get_args(Family)) * len(get_args(Size)) * len(NAMES)
    for one in tuning_presets():
        made = one.applied_to(Experiment(), side=96, stage="layer1")
        assert made.method != Regular() or made.activation or made.smoothing
        assert made.smoothing is None or made.smoothing.init == "zero"
        assert one.evidence is None or one.evidence.startswith("results/")


def test_no_block_where_no_layer_fits() -> None:
    blocks = [one for one in tuning_presets() if one.composition.filter != "off"]
    assert all(one.applied_to(Experiment(), side=96, stage=None).smoothing is None for one in blocks)


def test_families_are_told_by_layers() -> None:
    relu = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.ReLU(), nn.Sigmoid())
    smooth = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU())
    own = type("QuickGELU", (nn.Identity,), {})
    assert family_of(nn.Sequential(nn.Conv2d(3, 4, 3), own(), own(), nn.LeakyReLU())) == "smooth"
    vit = nn.Sequential(nn.MultiheadAttention(4, 2), nn.GELU())
    assert [family_of(one) for one in (relu, smooth, vit)] == ["relu", "smooth", "vit"]
    assert [size_of(side) for side in (28, 63, 64, 159, 160, 500)] == ["small"] * 2 + ["medium"] * 2 + ["large"] * 2


class Halving(nn.Module):
    """A block that pads, then halves the map."""

    def __init__(self) -> None:
        super().__init__()
        self.pad, self.conv = nn.ZeroPad2d(1), nn.Conv2d(4, 4, 3, stride=2)

    def forward(self, x):
        return self.conv(self.pad(x))


def test_the_smoothed_stage_is_a_whole_block() -> None:
    stem = nn.Conv2d(3, 4, 1)
    blocks = nn.Sequential(OrderedDict(stem=stem, one=Halving(), two=Halving(), three=Halving(), pool=nn.Flatten()))
    assert smoothed_stage(blocks, (3, 32, 32)) == "two"  # not the padding inside the third, which is as large
    inside = nn.Sequential(OrderedDict(features=blocks[:4], head=nn.Flatten()))
    assert smoothed_stage(inside, (3, 32, 32)) == "features.two"
    assert smoothed_stage(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (3, 2, 2)) is None


def test_the_table_says_what_is_a_guess() -> None:
    rows = json.loads(table("json"))
    tuned = [row for row in rows if row["command"] == "tune"]
    assert len(tuned) == len(tuning_presets())
    for row, one in zip(tuned, tuning_presets(), strict=True):
        assert row["rests on"] == (one.evidence or "a first guess, not searched")
    text = " ".join(table().split())
    assert all(row["preset"] in text and row["made of"] in text and row["rests on"] in text for row in rows)
    with pytest.raises(InputError, match="text or json"):
        table("yaml")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"preset": "best"}, "preset"), ({"minutes": 0}, "minutes must be positive"),
        ({"network": ""}, "network must name one"), ({"epochs": 0}, "epochs must be at least 1"),
        ({"composites": -1}, "composites must be at least 0"), ({"channels": 4}, "channels must be 1 or 3, got 4"),
        ({"validation": 0}, r"validation must be a share of the photographs in \(0, 1\), such as 0.2, got 0"),
        ({"mean": (0.5,)}, "mean and std are given together"),
    ],
)  # fmt: skip
def test_a_plan_refuses_what_cannot_be(wrong, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        Tune(**({"photos": "photos", "network": "efficientnet-lite0"} | wrong))
