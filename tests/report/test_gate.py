"""The gate: its grammar, its verdicts against networks that are equal, better, worse, and its files."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st

from pellucid.cli import main
from pellucid.core.errors import InputError
from pellucid.report.gate import FEWEST, check, is_met
from pellucid.report.gate_formats import github, table, write_junit
from pellucid.report.requirement import Requirement, parse
from pellucid.report.table import summarise
from pellucid.runs.evaluated import read_run
from pellucid.runs.subgroups import Subgroup
from pellucid.statistics.shares import images_to_show

ROOT = Path(__file__).parents[2]
GOOD = (0.89, 0.10, 0.56, 13e-3, 0.20, 1.9, 8.0)
WORSE = (0.60, 0.05, 0.30, 60e-3, 0.05, 5.0, 8.0)
ISSUE = "aopc_lerf<=1.1x, gini>=-0.02, clean_accuracy>=-0.01"


@pytest.fixture
def three(make_run):
    """A baseline, an equal network and a deliberately worse one."""
    return (
        make_run("baseline", means=GOOD, images=200),
        make_run("equal", means=GOOD, images=200),
        make_run("worse", means=WORSE, images=200),
    )


def verdicts(run, baseline, text):
    return [one.verdict for one in check(run, baseline, parse(text))]


def test_a_run_is_as_good_as_itself(three) -> None:
    baseline = three[0]
    assert verdicts(baseline, baseline, "gini>=0, gini<=0, aopc_lerf<=1x, aopc_lerf>=1x") == ["pass"] * 4


def test_equal_answers_prove_no_more_than_their_number_can(three) -> None:
    """The same 200 answers leave a difference of 1.9 points open, whatever share, score or multiple is asked for."""
    baseline = three[0]
    for text in ("clean_accuracy>=-0.02", "robust_accuracy>=-0.02", "balanced_accuracy>=-0.15"):
        assert verdicts(baseline, baseline, text) == ["pass"], text
    for text in ("clean_accuracy>=-0.01", "accuracy>=-0.01", "accuracy>=0.99x", "robust_accuracy>=-0.018", "f1>=-0.01"):
        assert verdicts(baseline, baseline, text) == ["not enough images to tell"], text
    (one,) = check(baseline, baseline, parse("clean_accuracy>=-0.01"))
    assert one.found.low == pytest.approx(-(1.959964**2) / (200 + 1.959964**2), rel=1e-5)


def test_it_is_said_how_many_images_would_tell(three) -> None:
    baseline, equal, _ = three
    (one,) = check(baseline, baseline, parse("clean_accuracy>=-0.01"))
    assert one.images_needed == 381
    assert one.reason == "the interval of 200 images holds the bound; about 381 like these would tell"
    (one,) = check(equal, baseline, parse("aopc_lerf<=1.01x"))
    assert one.images_needed > 200 and f"about {one.images_needed:,} like these" in " ".join(table([one]).split())
    assert json.loads(table([one], "json"))[0]["images_needed"] == one.images_needed
    (one,) = check(baseline, baseline, parse("clean_accuracy>=0"))
    assert (one.images_needed, one.reason) == (None, "the interval of 200 images holds the bound")
    (one,) = check(baseline, baseline, parse("clean_accuracy>=-0.05"))
    assert (one.verdict, one.images_needed) == ("pass", None)


@pytest.mark.parametrize(("unit", "scale"), [("", 1.0), ("%", 100.0)])
@pytest.mark.parametrize("answers", ["all", "none", "some"])
def test_somebodys_own_yes_or_no_is_counted(three, unit, scale, answers) -> None:
    """A metric that says nothing of shares: right within five guesses, twice for the same images."""
    baseline = three[0]
    values = {"all": np.ones(200), "none": np.zeros(200), "some": np.arange(200) % 4 > 0}[answers]
    rows = pq.read_table(baseline / "rows.parquet")
    info = json.loads(rows.schema.metadata[b"pellucid"])
    info["columns"]["top_five"] = {"title": "Top five", "unit": unit, "scale": scale, "of_map": False}
    rows = rows.append_column("top_five", pa.array(values.astype(np.float32)))
    pq.write_table(rows.replace_schema_metadata({b"pellucid": json.dumps(info)}), baseline / "rows.parquet")
    (one,) = check(baseline, baseline, parse("top_five>=-0.01"))
    assert (one.verdict, one.images_needed) == ("not enough images to tell", 381)
    found = summarise(read_run(baseline))["top_five"]
    assert found.high > found.low


def test_the_help_says_how_many_images_a_margin_needs(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for margin in (0.01, 0.02):
        alike, often = images_to_show(margin), images_to_show(margin, differing=0.05)
        assert f" {alike} " in said and f" {often:,}" in said


def test_the_pages_say_how_many_images_their_gate_needs() -> None:
    alike, often = images_to_show(0.1), images_to_show(0.1, differing=0.15)
    assert f"takes {alike} to {often} test photographs or more" in " ".join((ROOT / "docs/tune.md").read_text().split())
    assert "have 400 photographs for that" in (ROOT / "README.md").read_text()
    quick = " ".join((ROOT / "docs/index.md").read_text().split())
    assert f"takes {alike} test photographs if" in quick and f"and {often} if they differ on 15 of 100" in quick
    assert often < 0.2 * 400 and "a fifth of 400 photographs is enough" in quick


def test_a_worse_network_fails_and_an_equal_one_passes(three, tmp_path) -> None:
    baseline, equal, worse = three
    assert verdicts(worse, baseline, ISSUE) == ["fail", "fail", "fail"]
    assert verdicts(equal, baseline, "aopc_lerf<=1.5x, gini>=-0.02, clean_accuracy>=-0.1") == ["pass"] * 3


def test_verdicts_follow_the_paired_interval(three) -> None:
    baseline, _, worse = map(read_run, three)
    found = worse.measures["gini"].difference(worse, baseline)
    inside, below, above = found.mean, found.low - 1e-6, found.high + 1e-6
    expected = {
        (">=", below): "pass",
        (">=", inside): "not enough images to tell",
        (">=", above): "fail",
        ("<=", below): "fail",
        ("<=", inside): "not enough images to tell",
        ("<=", above): "pass",
    }
    for (relation, bound), verdict in expected.items():
        (one,) = check(worse.path, baseline.path, [Requirement("gini", relation, bound, False)])
        assert (one.verdict, one.found) == (verdict, found)
        assert one.run == summarise(worse)["gini"].mean and one.baseline == summarise(baseline)["gini"].mean


def test_a_multiple_is_the_ratio_of_means(three) -> None:
    baseline, _, worse = map(read_run, three)
    (one,) = check(worse.path, baseline.path, parse("aopc_lerf<=1.1x"))
    assert one.found.mean == pytest.approx(worse.values("aopc_lerf").mean() / baseline.values("aopc_lerf").mean())
    assert (
        verdicts(worse.path, baseline.path, "clean_accuracy>=0.2x, robust_accuracy<=40x, gini/smoothgrad<=1x")
        == ["pass"] * 3
    )


def test_a_multiple_of_what_may_be_zero_is_not_told(three) -> None:
    baseline, equal, _ = three
    rows = pq.read_table(baseline / "rows.parquet")
    place = rows.column_names.index("aopc_lerf")
    zero = pa.array(np.tile([-1e-3, 1e-3], 100).astype(np.float32))
    pq.write_table(rows.set_column(place, "aopc_lerf", zero), baseline / "rows.parquet")
    (one,) = check(equal, baseline, parse("aopc_lerf<=1.1x"))
    assert one.verdict == "not enough images to tell" and "not clearly above 0" in one.reason


def test_few_images_tell_nothing(make_run) -> None:
    few, other = (make_run(name, images=FEWEST - 1) for name in ("few", "other"))
    (one,) = check(few, other, parse("gini>=-1"))
    assert one.verdict == "not enough images to tell" and "19 images" in one.reason


def test_more_images_tell(make_run) -> None:
    decided = []
    for images in (30, 1000):
        runs = [make_run(f"{name}{images}", means=GOOD, images=images) for name in ("a", "b")]
        decided.append(verdicts(*runs, "gini>=-0.004")[0])
    assert decided == ["not enough images to tell", "pass"]


@pytest.mark.parametrize("undecided", ["fail", "pass"])
def test_the_gate_opens_when_nothing_fails(three, undecided) -> None:
    baseline, equal, worse = three
    passed = check(equal, baseline, parse("gini>=-0.02"))
    open_ = check(worse, baseline, [Requirement("gini", ">=", passed[0].run * 0 - 0.26, False)])
    middle = [one for one in open_ if one.verdict == "not enough images to tell"]
    failed = check(worse, baseline, parse("gini>=0"))
    assert middle and is_met(passed, undecided=undecided)
    assert is_met([*passed, *middle], undecided=undecided) == (undecided == "pass")
    assert not is_met([*passed, *failed], undecided=undecided)


@given(
    st.sampled_from(["gini", "aopc_lerf", "ris/smoothgrad", "clean_accuracy"]),
    st.sampled_from(["<=", ">="]),
    st.floats(1e-3, 1e3),
    st.booleans(),
)
def test_what_is_written_is_read_again(metric, relation, bound, multiple) -> None:
    one = Requirement(metric, relation, float(f"{bound:g}"), multiple)
    of_part = replace(one, subgroup=Subgroup("site", "Bern, CH"))
    assert parse(f"{one}, {of_part}") == [one, of_part]
    assert parse(str(one)) == [one]
    assert parse(f" {one} , {one}") == [one, one]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "nothing to require"),
        (" , ", "nothing to require"),
        ("gini", "METRIC<=NUMBER"),
        ("gini=0.1", "METRIC<=NUMBER"),
        ("gini>0", "METRIC<=NUMBER"),
        ("gini>=high", "METRIC<=NUMBER"),
        ("gini>=1e999", "METRIC<=NUMBER"),
        ("gini>=-1x", "above 0"),
        ("gini>=0x", "above 0"),
        ("gini>=0 aopc_lerf<=1", "METRIC<=NUMBER"),
    ],
)
def test_what_is_no_requirement(text, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        parse(text)


def test_metrics_and_runs_that_do_not_fit(three, make_run) -> None:
    baseline, equal, _ = three
    with pytest.raises(InputError, match="has no metric 'gin'; did you mean gini[?] It has "):
        check(equal, baseline, parse("gin>=0"))
    with pytest.raises(InputError, match="has no metric 'xyz'; it has "):
        check(equal, baseline, parse("xyz>=0"))
    with pytest.raises(InputError, match="is not a mean over images, so a ratio has no meaning; require a difference"):
        check(equal, baseline, parse("aopc_rel>=1x"))
    with pytest.raises(InputError, match="different images"):
        check(make_run("short", images=50), baseline, parse("gini>=0"))


@pytest.mark.parametrize("text", ["clean_accuracy>=-2", "clean_accuracy<=3"])
def test_points_that_are_written_as_shares_are_refused(three, text) -> None:
    with pytest.raises(InputError, match="is no bound: two shares of images never differ by more than 1; write two"):
        check(three[1], three[0], parse(text))
    with pytest.raises(InputError, match="clean_accuracy >= 70 is no bound: a share of images is never above 1"):
        check(three[1], None, parse("clean_accuracy>=70"))


def test_the_command_line(three, tmp_path, capsys) -> None:
    baseline, equal, worse = map(str, three)
    words = ["--baseline", baseline, "--require", "aopc_lerf<=1.5x, gini>=-0.02"]
    assert main(["check", equal, *words]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["Requirement", "Baseline", "Run", "Found", "[95", "%]", "Images", "Verdict"]
    junit = tmp_path / "deep" / "junit.xml"
    assert main(["check", worse, *words, "--junit", str(junit), "--github"]) == 1
    out = capsys.readouterr().out
    assert out.count("FAIL") == 2 and out.count("::error title=pellucid check::") == 2
    suite = ElementTree.parse(junit).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    undecided = ["--baseline", baseline, "--require", "clean_accuracy>=0"]
    assert main(["check", equal, *undecided]) == 1
    assert main(["check", equal, *undecided, "--undecided", "pass", "--format", "json"]) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--baseline {b}", "require"),
        ("--require gini>=0", "without --baseline a requirement bounds the value itself"),
        ("--baseline {b} --require gini>=0 --undecided maybe", "undecided must be fail or pass, got 'maybe'"),
        ("--baseline {b} --require gini>=0 --format xml", "format must be one of text, markdown, json, got 'xml'"),
        ("--baseline nowhere --require gini>=0", "no run directory"),
    ],
)
def test_mistakes_are_one_sentence(three, capsys, words, sentence) -> None:
    assert main(["check", str(three[1]), *words.format(b=three[0]).split()]) == 2
    *notes, said = capsys.readouterr().err.splitlines()
    assert sentence in said and all(note.startswith("pellucid: note: ") for note in notes)


def test_runs_of_one_name_may_be_checked(three, tmp_path) -> None:
    baseline, equal, _ = three
    other = tmp_path / "elsewhere" / "baseline"
    other.parent.mkdir()
    equal.rename(other)
    assert verdicts(other, baseline, "gini>=-0.02") == ["pass"]


def test_without_a_baseline_a_bound_is_of_the_value_itself(three) -> None:
    good, _, worse = three
    text = "clean_accuracy>=0.7, gini>=0.5, ris<=100"
    found = check(good, None, parse(text))
    assert [one.verdict for one in found] == ["pass"] * 3 and all(one.absolute for one in found)
    run = read_run(good)
    assert [one.found for one in found] == [
        run.measures[name].interval(run) for name in ("clean_accuracy", "gini", "ris")
    ]
    assert [one.verdict for one in check(worse, None, parse(text))][:2] == ["fail", "fail"]
    mean = found[0].run
    (undecided,) = check(good, None, parse(f"clean_accuracy>={mean - 0.01:.4f}"))
    assert undecided.verdict == "not enough images to tell" and "like these would tell" in undecided.reason
    assert undecided.images_needed > 200
    told = json.loads(table([undecided], "json"))[0]
    assert (told["absolute"], told["baseline"]) == (True, None) and told["found"]["mean"] == pytest.approx(mean)
    assert "+" not in table(found, "markdown") and "baseline –" not in github([undecided])


@pytest.mark.parametrize("text", ["gini>=-0.02", "gini>=0", "ris<=1.1x"])
def test_a_bound_that_needs_a_baseline_is_refused_without_one(three, text) -> None:
    with pytest.raises(InputError, match="without --baseline a requirement bounds the value itself, so .* no meaning"):
        check(three[0], None, parse(text))


def test_requirements_may_stand_in_a_file(three, tmp_path, capsys) -> None:
    file = tmp_path / "gate.txt"
    file.write_text("# what we promised\nclean_accuracy>=0.7  # of all\n\ngini>=0.5, ris<=100\n", encoding="utf-8")
    words = ["check", str(three[0])]
    assert main([*words, "--require", f"@{file}"]) == 0
    assert main([*words, "--require", "clean_accuracy>=0.7, gini>=0.5, ris<=100"]) == 0
    first, second = capsys.readouterr().out.split("Requirement")[1:]
    assert first == second and "clean_accuracy >= 0.7" in first
    assert main(["check", str(three[2]), "--require", f"@{file}"]) == 1
    capsys.readouterr()
    for content, said in ((None, f"there is no file {file} with requirements"), (b"\xff\xfe\xff", "no text in UTF-8"),
                          (b"# nothing\n", "there is nothing to require")):  # fmt: skip
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        assert main([*words, "--require", f"@{file}"]) == 2
        assert said in capsys.readouterr().err


def test_files_say_what_the_table_says(three, tmp_path) -> None:
    baseline, _, worse = three
    outcomes = check(worse, baseline, parse("gini>=0, gini<=0, clean_accuracy<=1, gini>=-0.26"))
    plain = json.loads(table(outcomes, "json"))
    assert [one["verdict"] for one in plain] == [one.verdict for one in outcomes]
    assert table(outcomes, "markdown").count("\n") == 5
    for undecided, kinds in (("fail", ["error", "notice", "notice", "error"]), ("pass", ["error", "notice", "notice"])):
        lines = github(outcomes, undecided=undecided).splitlines()
        assert [line.split()[0].strip(":") for line in lines][: len(kinds)] == kinds
        assert all("%" not in line or "%25" in line for line in lines)
        file = write_junit(outcomes, tmp_path / f"{undecided}.xml", name="<a & b>\x00", undecided=undecided)
        odd = [replace(outcomes[0], caveats=("run\x1b: a weak attack",))]
        ElementTree.parse(write_junit(odd, tmp_path / "odd.xml", name="a", undecided=undecided))
        suite = ElementTree.parse(file).getroot()[0]
        assert [len(case) for case in suite] == [1, 0, 0, 1]
        assert suite.get("skipped") == str(int(undecided == "pass"))
