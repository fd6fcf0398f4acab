from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import yaml

from pellucid import PGD, SCAAT, AdversarialTraining, Evaluation, Experiment, InputError, Regular, SmoothGrad, fgsm
from pellucid.config import Text, from_config, import_name, read_yaml, to_config, write_yaml


class Shape(ABC):
    """A choice among several classes, as a metric is."""

    @abstractmethod
    def area(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Square(Shape):
    side: float = 1.0

    def area(self) -> float:
        return self.side**2


@dataclass(frozen=True, kw_only=True)
class Point:
    x: float
    y: int = 0


@dataclass(frozen=True, kw_only=True)
class Everything:
    shapes: tuple[str | Shape, ...] = ("default",)
    shape: Shape = Square()
    point: Point = Point(x=1.0, y=2)
    points: tuple[Point, ...] = ()
    pair: tuple[float, int] = (0.0, 1)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    folder: Path | None = None
    any: Any = None
    function: Callable[..., Any] = max
    size: Literal["small", "large", 5] = "small"
    whole: bool = False
    open: int | Literal["auto"] | None = None
    answer: Literal["true", "predicted"] = "predicted"


WHERE = f"{__name__}."


@pytest.mark.parametrize(
    "value",
    [
        Everything(),
        Everything(shapes=("gini", Square(side=2.0), "default"), shape=Square(side=3.0)),
        Everything(points=(Point(x=1.5), Point(x=2.0, y=3)), pair=(0.5, 2), words={"en": ("a", "b")}),
        Everything(folder=Path("a/b"), any={"class_path": "left alone"}, size=5, whole=True, open="auto"),
    ],
)
def test_what_is_written_is_read_back(value, tmp_path):
    write_yaml(value, tmp_path / "value.yaml")
    assert from_config(read_yaml(tmp_path / "value.yaml"), Everything) == value
    assert from_config(to_config(value), Everything) == value


def test_names_and_objects_stand_in_one_list():
    plain = to_config(Everything(shapes=("gini", Square(side=2.0))))["shapes"]
    assert plain == ["gini", {"class_path": f"{WHERE}Square", "init_args": {"side": 2.0}}]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"point": {"x": "far"}}, "^point.x must be a number, got 'far'$"),
        ({"point": {"x": True}}, "^point.x must be a number, got True$"),
        ({"point": {"x": "1/0"}}, "^point.x must be a number, got '1/0'$"),
        ({"answer": False}, "^answer must be true or predicted, got False$"),
        ({"point": {"y": 1.5}}, "^point.y must be a whole number, got 1.5$"),
        ({"point": {"z": 1}}, r"^point \(Point\) has no field 'z'; it has x, y$"),
        ({"points": [{"x": 1}, {"y": 1}]}, r"^points\[1\] lacks the field x$"),
        ({"points": [3]}, r"^points\[0\] must be given by its fields x, y, got 3$"),
        ({"points": 3}, "^points must be a list, got 3$"),
        ({"pair": [1]}, r"^pair must be a list of 2 values, got \[1\]$"),
        ({"words": ["a"]}, "^words must be a mapping such as {name: value}, got "),
        ({"words": {"en": "a"}}, "^words.en must be a list, got 'a'$"),
        ({"folder": 3}, "^folder must be a path, got 3$"),
        ({"size": "medium"}, "^size must be one of small, large, 5, got 'medium'$"),
        ({"size": 1}, "^size must be one of"),
        ({"whole": "yes"}, "^whole must be true or false, got 'yes'$"),
        ({"open": "shut"}, "^open must be auto or a whole number, got 'shut'$"),
        ({"shape": {"class_path": "Square", "args": {}}}, "has class_path and init_args, got 'args' beside them"),
        ({"shape": {"class_path": f"{WHERE}Square", "init_args": 3}}, "shape.init_args must hold names and values"),
        ({"shapess": []}, r"^Everything has no field 'shapess', did you mean 'shapes'\? It has shapes, shape, "),
        ([], r"^Everything must be given by its fields shapes, .*, got \[\]$"),
    ],
)
def test_a_mistake_is_told_by_its_place(config, sentence):
    with pytest.raises(InputError, match=sentence):
        from_config(config, Everything)


def test_what_is_left_out_keeps_the_default_of_its_place():
    assert from_config({"point": {"x": 5}}, Everything).point == Point(x=5.0, y=2)
    method = from_config({"method": {"class_path": "SCAAT", "init_args": {"attack": {"eps": 0.1}}}}, Experiment).method
    assert method == SCAAT(attack=PGD(eps=0.1, step_size=4 / 255, steps=4))


@pytest.mark.parametrize("path", ["pellucid.methods.SCAAT", "pellucid.SCAAT", "SCAAT"])
def test_old_and_short_names_of_classes(path):  # warnings are errors
    assert from_config({"method": {"class_path": path, "init_args": {}}}, Experiment).method == SCAAT()
    assert from_config({"method": path}, Experiment).method == SCAAT()


def test_a_function_that_returns_the_declared_class_may_be_named():
    attack = {"class_path": "pellucid.attacks.fgsm", "init_args": {"eps": 0.1}}
    config = {"method": {"class_path": "AdversarialTraining", "init_args": {"attack": attack}}}
    assert from_config(config, Experiment).method == AdversarialTraining(attack=fgsm(eps=0.1))


CALLED: list[Any] = []


def dangerous(*arguments: Any, **options: Any) -> None:
    CALLED.append(arguments)


class Dangerous:
    def __init__(self, *arguments: Any) -> None:
        CALLED.append(arguments)


@pytest.mark.parametrize("named", ["os.system", f"{WHERE}dangerous", f"{WHERE}Dangerous", "pellucid.PGD", "sys.path"])
@pytest.mark.parametrize(
    ("kind", "place"),
    [(Experiment, "method"), (Experiment, "network"), (Experiment, "smoothing"), (Everything, "shape")],
)
def test_nothing_is_called_that_is_not_of_the_declared_kind(monkeypatch, kind, place, named):
    monkeypatch.setattr("os.system", dangerous)
    with pytest.raises(InputError, match=f"^{place} must be a .*, got {named}, which is not one$"):
        from_config({place: {"class_path": named, "init_args": {}}}, kind)
    assert CALLED == []


@pytest.mark.parametrize("named", ["os.system", f"{WHERE}dangerous", "subprocess.Popen"])
def test_nor_where_a_callable_is_accepted(named):
    config = {"saliency": [{"class_path": named, "init_args": {"args": "ls"}}]}
    with pytest.raises(InputError, match=r"^saliency\[0\] must be a pellucid.SaliencyMethod, got "):
        from_config(config, Evaluation)
    assert CALLED == []


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ({"folder": "2024"}, Everything(folder=Path("2024"))),
        ({"folder": "null"}, Everything()),
        ({"point.x": "8/255"}, Everything(point=Point(x=8 / 255, y=2))),
        ({"point.x": "1e-3"}, Everything(point=Point(x=1e-3, y=2))),
        ({"size": "5", "whole": "true"}, Everything(size=5, whole=True)),
        ({"open": "auto"}, Everything(open="auto")),
        ({"open": "7"}, Everything(open=7)),
        ({"pair": "1.5,2"}, Everything(pair=(1.5, 2))),
        ({"shapes": "gini,,ris"}, Everything(shapes=("gini", "ris"))),
        ({"shapes": ",gini, ,ris,"}, Everything(shapes=("gini", "ris"))),
        ({"shapes": "[gini,,ris]"}, Everything(shapes=("gini", "ris"))),
        ({"shapes": ""}, Everything(shapes=())),
        ({"shapes": "['a,,b']"}, Everything(shapes=("a,,b",))),
        ({"shapes": f"[a, {{class_path: {WHERE}Square}}]"}, Everything(shapes=("a", Square()))),
        (
            {"shapes": f"a,{{class_path: {WHERE}Square, init_args: {{side: 2}}}}"},
            Everything(shapes=("a", Square(side=2))),
        ),
        ({"words": "{en: [a, b]}"}, Everything(words={"en": ("a", "b")})),
        ({"answer": "true"}, Everything(answer="true")),
    ],
)
def test_words_of_the_command_line(words, value):
    config: dict[str, Any] = {}
    for name, text in words.items():
        first, _, rest = name.partition(".")
        config[first] = {rest: Text(text)} if rest else Text(text)
    assert from_config(config, Everything) == value


def test_text_that_yaml_takes_for_a_number():
    assert from_config(yaml.safe_load("point: {x: 1e-3}"), Everything).point.x == 1e-3


def test_text_that_yaml_takes_for_a_truth_value():
    assert from_config(yaml.safe_load("answer: true"), Everything) == Everything(answer="true")
    assert from_config({"target": Text("true")}, Evaluation).target == "true"


def test_what_no_file_can_hold_is_refused():
    with pytest.raises(InputError, match=r"^tensor\(1\) cannot be written to a file; give numbers, text, lists"):
        to_config({"settings": [torch.tensor(1)]})
    assert type(to_config(np.float64(0.5))) is float


def test_a_class_or_a_name_where_both_are_accepted():
    words = [Text("SmoothGrad"), Text("vanilla_gradient"), "pellucid.metrics.gini"]
    evaluation = from_config({"saliency": words}, Evaluation)
    assert evaluation.saliency == (SmoothGrad(), "vanilla_gradient", "pellucid.metrics.gini")
    assert from_config({"method": {"class_path": "Regular"}}, Experiment).method == Regular()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("x = (", "SyntaxError: '(' was never closed"),
        ("import no_such_package", "No module named 'no_such_package'; give it as package.module.name"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_sentence(tmp_path, monkeypatch, source, reason):
    (tmp_path / "broken_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    for path in ("broken_module.Peak", "broken_module:Peak"):
        with pytest.raises(InputError) as caught:
            import_name(path)
        assert str(caught.value).startswith(f"cannot import '{path}': {reason}")


def test_a_colon_lets_a_name_be_within_a_class():
    assert import_name("pathlib:Path.cwd") == Path.cwd
