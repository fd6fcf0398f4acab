"""Which metrics names ask for; what columns mean: complete, storable, readable without torch."""

import dataclasses
import inspect
import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch

import pellucid.metrics
from pellucid import Case, Column, Evaluation, InputError, Metric
from pellucid.metrics import (
    COLUMNS,
    DERIVED,
    FAMILIES,
    ROAD,
    LocalLipschitz,
    MapSimilarity,
    MaskingProbes,
    MaxSensitivity,
    PerturbationCurves,
    RelativeStability,
    column_name,
    local_lipschitz,
    map_similarity,
    perturbation_curves,
    relative_stability,
    road,
)
from pellucid.metrics.column import column_from
from pellucid.metrics.families.robustness import CHECKS
from pellucid.metrics.measure import measured
from pellucid.metrics.suite import DEFAULT, EXTRA, meanings, select

MEASURED = [
    "gini", "entropy", "size_kb", "aopc_morf", "aopc_lerf", "morf_curve", "lerf_curve", "ris", "ros",
    "stability_coverage",
]  # fmt: skip


PREDICTED = ["index", "label", "prediction", "score", "probability", "brier", "negative_log_likelihood"]


def columns(names=("default",), **methods) -> dict[str, Column]:
    return {name: column for name, (_, column) in meanings(select(names), **methods).items()}


def selected(names) -> tuple[str, ...]:
    """The columns that a choice of names asks for, in the order of the table."""
    chosen = {name for metric in select(names) for name in metric.columns}
    return tuple(name for name in COLUMNS if name in chosen)


def test_columns_of_the_vanilla_gradient() -> None:
    assert list(columns()) == [*PREDICTED, "robust_correct", *CHECKS, *MEASURED]


def test_columns_of_three_saliency_methods() -> None:
    table = columns(saliency=("vanilla_gradient", "smoothgrad", "integrated_gradients"), stability=("smoothgrad",))
    assert "ris" not in table
    assert "ris/integrated_gradients" not in table
    assert [name for name in table if name.endswith("/smoothgrad")] == [f"{name}/smoothgrad" for name in MEASURED]
    assert "morf_curve/integrated_gradients" in table
    assert table["gini/smoothgrad"] == table["gini"] == COLUMNS["gini"]


def test_the_settings_are_those_of_the_metric() -> None:
    curves, stability = PerturbationCurves(steps=7, fill="mean"), RelativeStability(noise="one-sided", draws=3)
    table = meanings(select([curves, stability]))
    told = {name: dict(metric.settings(name)) for name, (metric, _) in table.items()}
    assert told["aopc_morf"] == told["morf_curve"] == {
        "fraction": 0.2, "steps": 7, "repeats": 5, "region": None, "fill": "mean", "score": "probability",
    }  # fmt: skip
    assert told["ris_one_sided"] == {"noise": "one-sided", "between": (0.02, 0.2), "draws": 3, "eps_min": 1e-6}


def test_selection() -> None:
    assert selected(["default"]) == tuple(name for name in COLUMNS if name in (*DEFAULT, *CHECKS))
    assert set(selected(["all"])) == {name for name in COLUMNS if COLUMNS[name].family != "prediction"} - set(EXTRA)
    assert set().union(*(selected([family]) for family in FAMILIES)) == set(selected(["all"]))
    assert selected(["autoattack_correct"]) == ("autoattack_correct",)
    assert selected(["clean_accuracy", "auc"]) == ()
    assert selected(["robust_accuracy"]) == ("robust_correct", *CHECKS)
    # A measure over noisy images of the same prediction never stands without the share of them that had it.
    for name in selected(["stability", "similarity"]):
        assert any(other.startswith("stability_coverage") for other in selected([name])), name
    assert selected(["area_between"]) == ("aopc_morf", "aopc_lerf", "area_between", "morf_curve", "lerf_curve")


@pytest.mark.parametrize("name", COLUMNS)
def test_what_is_asked_for_is_what_is_given(name: str) -> None:
    if COLUMNS[name].family == "prediction":
        return
    assert name in selected([name])
    (metric,) = [metric for metric in select([name]) if name in metric.columns]
    assert metric.only(metric.columns) == metric, "asking for all that a metric has changes nothing"


def test_a_default_stands_in_one_place() -> None:
    for function, metric in (
        (perturbation_curves, PerturbationCurves()),
        (relative_stability, RelativeStability()),
        (map_similarity, MapSimilarity()),
        (road, ROAD()),
        (local_lipschitz, LocalLipschitz()),
    ):
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(function).parameters.items()
            if name in {field.name for field in dataclasses.fields(metric)} - {"orders"} and name != "layer"
        }
        assert defaults == {name: getattr(metric, name) for name in defaults}
        assert defaults


def test_settings_of_an_evaluation_change_what_follows_them() -> None:
    given = {"sigma": 0.1, "draws": 3, "fraction": 0.5, "robust_eps": 0.3, "restarts": None}
    changed = [
        metric.overridden(given) for metric in select(["ris", "aopc_morf", "robust_accuracy", "max_sensitivity"])
    ]
    robust, curves, stability, sensitivity = changed
    assert (stability.sigma, stability.draws, curves.fraction) == (0.1, 3, 0.5)
    assert (robust.eps, robust.restarts, sensitivity.draws) == (0.3, 1, MaxSensitivity.draws)


@dataclass(frozen=True, kw_only=True)
class Peak(Metric):
    scale: float = 1.0
    columns = {"peak": Column(title="Peak", question="How bright is the brightest pixel?", direction="higher")}

    def __call__(self, case):
        return {"peak": self.scale * case.heatmap.flatten(1).amax(1)}


def test_a_metric_of_ones_own_is_named_by_its_import_path() -> None:
    (metric,) = select([f"{__name__}.Peak"])
    assert metric == Peak()
    assert select(["gini", Peak(scale=2.0)])[1] == Peak(scale=2.0)
    assert list(meanings(select(["gini", Peak()]), saliency=("vanilla_gradient", "mine")))[len(PREDICTED):] == [
        "gini", "peak", "gini/mine", "peak/mine",
    ]  # fmt: skip
    assert measured(Peak(scale=2.0), Case(given=torch.eye(2)[None])) == {"peak": torch.tensor([2.0])}


class NoColumns(Metric):
    columns = {}

    def __call__(self, case):
        return {}


class Taken(Peak):
    columns = {"gini": Column(title="Mine")}


class Nowhere(Peak):
    about = "maps"


class Follower(Peak):
    follows = {"sigma": "noise"}


class Together(Peak):
    columns = {"peak": Column(title="Peak", aggregate="statistic")}


class Apart(Peak):
    aggregates = {"peak_by_level": Column(title="Ratio", aggregate="ratio of means", of=("peak", "level"))}


class Accurate(Peak):
    aggregates = {"clean_accuracy": Column(title="Mine", of=("peak",))}


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ("my_package.Peak", "cannot import 'my_package.Peak'"),
        (
            "pellucid.metrics.gini",
            "'pellucid.metrics.gini' is not a metric: it must be a subclass of pellucid.Metric",
        ),
        (NoColumns(), "NoColumns must name its columns, such as"),
        (Taken(), "the column 'gini' of Taken is one of pellucid's own; give it another name"),
        (Nowhere(), "about of Nowhere must be one of network, map, noisy maps, got 'maps'"),
        (Follower(), "Follower follows a setting by its field 'noise', but has no such field"),
        (Together(), "the aggregate of the column 'peak' of Together must be mean, share or ratio of means;"),
        (Apart(), "'peak_by_level' of Apart is made of 'level', which is none of its columns"),
        (Accurate(), "the column 'clean_accuracy' of Accurate is one of pellucid's own; give it another name"),
        (3, "metrics must be names or pellucid.Metric objects, got 3"),
    ],
)
def test_what_is_no_metric_is_told(choice, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        select(["gini", choice])
    assert str(caught.value).startswith(sentence)


def test_two_metrics_of_one_column_are_told() -> None:
    with pytest.raises(InputError, match="both have the column 'aopc_morf'; ask for one"):
        select([PerturbationCurves(), PerturbationCurves(fill="mean")])


def test_a_setting_that_parts_two_metrics_of_one_column_is_told() -> None:
    # Coverage is a column of both. The setting changes the metric that was named, not the one that was given.
    metrics = ("ris", MapSimilarity())
    assert Evaluation(metrics=metrics).chosen()[0].columns.keys() & MapSimilarity().columns.keys()
    with pytest.raises(InputError, match="both have the column 'stability_coverage'; ask for one"):
        Evaluation(metrics=metrics, sigma=0.3)
    assert Evaluation(metrics=("ris", "map_ssim"), sigma=0.3).chosen()[1].sigma == 0.3


def test_probes_transfer_from_the_network_of_the_evaluation() -> None:
    probes = MaskingProbes(probes=("transfer",), transfer="runs/other")
    assert Evaluation(metrics=(probes,), transfer="runs/other").chosen() == (probes,)
    for transfer in (None, "runs/third"):
        with pytest.raises(InputError, match=f"is the evaluation's transfer {transfer}, got runs/other"):
            Evaluation(metrics=(probes,), transfer=transfer)


def test_a_column_is_made_of_as_many_as_its_aggregate_takes() -> None:
    assert Column(title="Right", aggregate="share", of=("a", "b")).of == ("a", "b")
    with pytest.raises(InputError, match=r"^a mean is made of at most 1 columns in `of`, got \['a', 'b'\]$"):
        Column(title="Peak", of=("a", "b"))


def test_a_metric_with_settings_takes_the_place_of_its_name() -> None:
    metrics = select(["aopc_morf", "aopc_random", PerturbationCurves(fill="mean", orders=("morf",))])
    assert [(metric.orders, metric.fill) for metric in metrics] == [(("random",), "uniform"), (("morf",), "mean")]


class Shapeless(Peak):
    def __call__(self, case):
        return {"peak": case.heatmap}


class Nameless(Peak):
    def __call__(self, case):
        return {"peek": case.heatmap.flatten(1).amax(1)}


class Listless(Peak):
    def __call__(self, case):
        return case.heatmap.flatten(1).amax(1)


class Numberless(Peak):
    def __call__(self, case):
        return {"peak": [1.0]}


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        (Shapeless(), "'peak' of Shapeless must have shape (1,), a number for each image, got (1, 2, 2)"),
        (Nameless(), "Nameless must return the columns that it names, peak, got peek"),
        (Listless(), "Listless must return a dictionary of column name to tensor, got Tensor"),
        (Numberless(), "'peak' of Numberless must be a tensor, got list"),
    ],
)
def test_what_a_metric_gives_is_held_against_what_it_names(metric: Metric, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        measured(metric, Case(given=torch.eye(2)[None]))
    assert str(caught.value) == sentence


def test_a_metric_that_needs_a_network_says_so() -> None:
    with pytest.raises(
        InputError, match="this metric needs model, a torch.nn.Module from images to logits, which was not given"
    ):
        measured(PerturbationCurves(region=1, steps=1, fraction=0.5), Case(given=torch.eye(2)[None]))


def test_what_was_not_given_is_never_read_as_zeros() -> None:
    case = Case(given=torch.eye(2)[None])
    assert len(case) == 1 and case.has("given") and not case.has("x")
    for name in ("model", "x", "label", "index"):
        with pytest.raises(InputError, match=f"this metric needs {name}, .*, which was not given"):
            getattr(case, name)
    with pytest.raises(InputError, match="needs heatmap, or model, x and saliency to make it, which were not given"):
        _ = Case(label=torch.tensor([0])).heatmap


def test_road_of_a_random_order_is_measured_on_request_alone() -> None:
    random = {"road_random", "road_random_curve"}
    assert not random & {*selected(["all"]), *selected(["faithfulness"])}
    assert set(selected(["road_random"])) == random
    assert set(ROAD(orders=("random",)).columns) == random
    with pytest.raises(InputError, match="orders must be among morf, lerf, random, got 'best'"):
        ROAD(orders=("best",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ginni", "did you mean gini?"),
        ("qqqqqq", "`pellucid metrics` lists them; your own is named as package.module.Name"),
    ],
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
    assert column_from(json.loads(json.dumps(column.as_dict()))) == column


def test_column_name() -> None:
    assert column_name("ris") == column_name("ris", "vanilla_gradient") == "ris"
    assert column_name("ris", "mine") == "ris/mine"


def test_definitions_import_no_torch() -> None:
    code = "import sys; from pellucid.metrics import COLUMNS; len(COLUMNS); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_loads() -> None:
    for name in pellucid.metrics.__all__:
        assert getattr(pellucid.metrics, name) is not None
    with pytest.raises(AttributeError, match="attribute lasso"):
        _ = pellucid.metrics.lasso


def test_a_stability_measure_says_what_becomes_of_infinite_values() -> None:
    for name in selected(["stability"]):
        assert name.startswith("stability_coverage") or "infinite" in COLUMNS[name].definition
