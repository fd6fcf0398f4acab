"""What columns mean: complete, storable, readable without torch."""

import dataclasses
import json
import subprocess
import sys

import pytest

import pellucid.metrics
from pellucid import InputError
from pellucid.metrics import DERIVED, Column, column_name, columns
from pellucid.metrics.definitions import COLUMNS, DEFAULT, EXTRA, FAMILIES, select

MEASURED = [
    "gini", "entropy", "size_kb", "aopc_morf", "aopc_lerf", "morf_curve", "lerf_curve", "ris", "ros",
    "stability_coverage",
]  # fmt: skip


def test_columns_of_the_vanilla_gradient() -> None:
    assert list(columns()) == ["index", "label", "prediction", "score", "robust_correct", *MEASURED]


def test_columns_of_three_saliency_methods() -> None:
    table = columns(saliency=("vanilla_gradient", "smoothgrad", "integrated_gradients"), stability=("smoothgrad",))
    assert "ris" not in table
    assert "ris/integrated_gradients" not in table
    assert [name for name in table if name.endswith("/smoothgrad")] == [f"{name}/smoothgrad" for name in MEASURED]
    assert "morf_curve/integrated_gradients" in table
    assert table["gini/integrated_gradients"].title == "Gini index (integrated gradients)"
    assert table["gini/smoothgrad"].definition == table["gini"].definition


def test_settings_are_kept_where_they_matter() -> None:
    table = columns(parameters={"aopc_morf": {"steps": 20}, "stability": {"sigma": 0.05}, "robustness": {"eps": 0.1}})
    assert {name: dict(column.parameters) for name, column in table.items() if column.parameters} == {
        "robust_correct": {"eps": 0.1},
        "entropy": {"bins": 256},
        "size_kb": {"codec": "JPEG", "quality": 75},
        "aopc_morf": {"steps": 20},
        "ris": {"form": "norm", "noise": "gaussian", "sigma": 0.05},
        "ros": {"form": "norm", "noise": "gaussian", "sigma": 0.05},
        "stability_coverage": {"noise": "gaussian", "sigma": 0.05},
    }
    assert not columns()["robust_correct"].parameters


def test_selection() -> None:
    assert select() == select(["default"]) == tuple(name for name in COLUMNS if name in DEFAULT)
    assert set(select(["all"])) == {name for name in COLUMNS if COLUMNS[name].family != "prediction"} - set(EXTRA)
    assert set().union(*(select([family]) for family in FAMILIES)) == set(select(["all"]))
    assert select(["autoattack_correct"]) == ("autoattack_correct",)
    assert select(["clean_accuracy", "auc"]) == ()
    assert select(["robust_accuracy"]) == ("robust_correct",)
    # A measure over noisy images of the same prediction never stands without the share of them that had it.
    for name in select(["stability", "similarity"]):
        assert any(other.startswith("stability_coverage") for other in select([name])), name
    assert select(["area_between"]) == ("aopc_morf", "aopc_lerf", "area_between", "morf_curve", "lerf_curve")


@pytest.mark.parametrize(
    ("name", "hint"), [("ginni", "did you mean gini?"), ("qqqqqq", "`pellucid metrics` lists them")]
)
def test_an_unknown_metric_is_one_sentence(name: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        select(["gini", name])
    assert str(caught.value) == f"unknown metric '{name}'; {hint}"


@pytest.mark.parametrize(("name", "column"), [*COLUMNS.items(), *DERIVED.items()])
def test_a_definition_is_one_sentence_and_storable(name: str, column: Column) -> None:
    assert column.title
    assert column.title != name
    assert column.definition.endswith(".")
    assert ". " not in column.definition
    assert column.direction in ("higher", "lower", "none")
    assert Column(**json.loads(json.dumps(dataclasses.asdict(column)))) == column


def test_column_name() -> None:
    assert column_name("ris") == column_name("ris", "vanilla_gradient") == "ris"
    assert column_name("ris", "mine") == "ris/mine"


def test_definitions_import_no_torch() -> None:
    code = "import sys; from pellucid.metrics import columns; columns(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_loads() -> None:
    for name in pellucid.metrics.__all__:
        assert getattr(pellucid.metrics, name) is not None
    with pytest.raises(AttributeError, match="attribute lasso"):
        _ = pellucid.metrics.lasso


def test_a_stability_measure_says_what_becomes_of_infinite_values() -> None:
    for name in select(["stability"]):
        assert name.startswith("stability_coverage") or "infinite" in COLUMNS[name].definition
