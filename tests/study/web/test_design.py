"""study.yaml: what is written is read, and every mistake in it is one sentence with its place."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pellucid.core.errors import InputError
from pellucid.study.folder import freeze, read_study, write_study
from pellucid.study.language import language_names, pages
from pellucid.study.outline import outline


def test_what_is_written_is_read(template: Path, tmp_path: Path) -> None:
    study = read_study(template)
    write_study(study, tmp_path / "study.yaml")
    assert read_study(tmp_path) == study
    assert (tmp_path / "study.yaml").read_bytes() == (template / "study.yaml").read_bytes()


def test_texts_of_several_lines_are_blocks_that_a_person_can_edit(template: Path) -> None:
    text = (template / "study.yaml").read_text()
    assert "  text:\n    en: |\n      We ask for your judgement" in text
    assert "\\n" not in text


def test_the_outline_tells_the_design_and_the_next_command(template: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(template, folder)
    told = outline(folder)
    assert "regular, smoothed, scaat" in told and "3 pictures to rate and 3 comparisons" in told
    assert "sufficiency (friedman), trust (friedman)" in told and "about 5 minutes, 14 pages" in told
    assert told.endswith(f"pellucid study serve {folder} --preview")
    freeze(folder)
    assert outline(folder).endswith(f"pellucid study serve {folder}")


def at(content: Any, path: list[Any], value: Any) -> None:
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (
            ["questions", 0, "kind"],
            "slider",
            r"questions\[0\]\.kind must be one of likert, choice, guess, got 'slider'",
        ),
        (["questions", 0, "points"], 6, "question sufficiency: points must be 5 or 7, got 6"),
        (["questions", 0, "points"], "7", r"questions\[0\]\.points must be a whole number, got '7'"),
        (["questions", 0, "anchors"], None, "question sufficiency needs anchors"),
        (["questions", 0, "name"], "Sufficiency!", "a name begins with a letter .* got 'Sufficiency!'"),
        (["questions", 0, "name"], "trust", "the name 'trust' is used twice"),
        (["questions", 0, "name"], "seconds", "the name 'seconds' is one of the study's own pages or fields; take an"),
        (["checks", 0, "name"], "instructions", "the name 'instructions' is one of the study's own pages or fields"),
        (["abandoned_after_hours"], float("inf"), "abandoned_after_hours must be at least 0 and at most 8760, got inf"),
        (["questions", 0, "text"], {"en": "x"}, "sufficiency: text has no text in the language 'de'; there are en"),
        (["questions", 0, "text"], "x", r"questions\[0\]\.text must be a mapping such as"),
        (["questions", 2, "kind"], "guess", "preference asks to guess the prediction; set show_prediction to false"),
        (["questions"], [], "asks at least one question"),
        (["checks", 0, "correct"], 9, "bright: correct must be a position from 0 to 2, got 9"),
        (
            ["checks", 0, "options"],
            {"en": ["a", "b"], "de": ["a"]},
            "bright: options must be two or more, equally many",
        ),
        (["images"], 4, "multiple of the number of conditions .3., .* got 4; take 3 or 6, or crossing full"),
        (["conditions"], ["a", "a"], "two or more different names"),
        (["completion_url"], "http://x", "completion_url must begin with https://, got 'http://x'"),
        (["completion_url"], "https://x\" onclick='", "completion_url must begin with https://"),
        (["exclusions", "max_straight_lining"], 1.5, "max_straight_lining must be at least 0 and at most 1, got 1.5"),
        (["exclusions", "max_attention_failures"], -1, "max_attention_failures must be at least 0, got -1"),
        (["tests", 0, "question"], "beauty", "no question is named 'beauty'"),
        (["tests", 0, "test"], "wilcoxon", "with 3 conditions the test of sufficiency is friedman, got wilcoxon"),
        (["tests", 0, "alpha"], 5.0, "alpha must be between 0 and 1, got 5.0"),
        (["tests", 0, "equivalence"], 0, "equivalence must be a positive number"),
        (["languages"], [], "languages must name at least one"),
        (["consent"], "I agree", "consent must be given by its fields version, text, got 'I agree'"),
        (["consent"], {"version": "1"}, "consent lacks the field text"),
        (["colour"], "red", "Study has no field 'colour'; it has title"),
        (["break_every"], True, "break_every must be a whole number, got True"),
        (["checks"], "none", "checks must be a list, got 'none'"),
    ],
)
def test_a_mistake_is_named_by_its_place(
    template: Path, tmp_path: Path, path: list[Any], value: Any, sentence: str
) -> None:
    content = yaml.safe_load((template / "study.yaml").read_text())
    at(content, path, value)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=sentence):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a: [", "cannot be read as YAML"), ("", "Study must be given by its fields"), ("- 1", "must be given by")],
)
def test_what_is_no_study_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_study(tmp_path)
    with pytest.raises(InputError, match="there is no"):
        read_study(tmp_path / "elsewhere")


def test_every_language_has_every_word_and_the_same_blanks() -> None:
    import re

    first = pages("en")
    for language in language_names():
        assert pages(language).keys() == first.keys()
        for name, words in pages(language).items():
            assert sorted(re.findall(r"{\w+}", words)) == sorted(re.findall(r"{\w+}", first[name])), (language, name)
