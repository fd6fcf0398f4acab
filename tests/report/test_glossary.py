"""Every metric is told with its definition and source."""

import json

import pytest

from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.metrics.suite import COLUMNS, DERIVED, FAMILIES
from pellucid.report import describe

SHOWN = {name for name, column in COLUMNS.items() if column.family != "prediction"} | set(DERIVED)


def test_all_of_them_in_every_form() -> None:
    plain = json.loads(describe(form="json"))
    assert set(plain) == SHOWN
    assert all(column["definition"] and column["family"] in FAMILIES for column in plain.values())
    text, markdown = describe(), describe(form="markdown")
    for name in SHOWN:
        assert f"\n  {name} " in text or f"\n  {name}\n" in text
        assert f"| `{name}` |" in markdown
    assert max(map(len, describe(width=90).splitlines()[:-1])) <= 90


def test_every_metric_but_the_plain_scores_has_a_source() -> None:
    assert {name for name, column in json.loads(describe(form="json")).items() if not column["source"]} == {
        "clean_accuracy"
    }


def test_families_and_names() -> None:
    assert set(json.loads(describe(["curvature"], "json"))) == {
        "gradient_variation",
        "top_hessian_eigenvalue",
        "hessian_trace",
    }
    assert list(json.loads(describe(["gini", "aopc_rel"], "json"))) == ["gini", "aopc_rel"]
    assert set(json.loads(describe(["all"], "json"))) == SHOWN
    assert "gini" in json.loads(describe(["default"], "json"))


def test_mistakes(capsys) -> None:
    with pytest.raises(InputError, match="unknown metric 'ginny'; did you mean gini"):
        describe(["ginny"])
    with pytest.raises(InputError, match="format must be one of text, markdown, json, got 'xml'"):
        describe(form="xml")
    assert main(["metrics", "lime"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["metrics", "gini"]) == 0
    assert "Hurley and Rickard 2009" in capsys.readouterr().out
