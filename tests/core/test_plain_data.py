"""YAML and JSON of strangers are read in bounded time and memory, or refused in a sentence."""

import time

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from pellucid.core.errors import InputError
from pellucid.core.plain_data import parse_yaml, read_json, read_yaml

LAUGHS = "a: &a [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMBS = {
    "billion laughs": (LAUGHS, "more than 200000 values"),
    "laughing mappings": (LAUGHS.replace("[", "{1: [").replace("]\n", "]}\n"), "more than 200000 values"),
    "holds itself": ("a: &a [*a]", r"\*a holds itself"),
    "holds itself further down": ("a: &a {b: [{c: *a}]}", r"\*a holds itself"),
    "deep lists": ("[" * 5000, "more than 64 deep"),
    "deep mappings": ("{a: " * 5000, "more than 64 deep"),
    "a number without end": ("epochs: " + "9" * 5000, "cannot be read as YAML"),
    "a day that is none": ("seed: 2026-02-31", "cannot be read as YAML"),
    "a name twice": ("epochs: 1\nepochs: 2", "'epochs' is given twice in one mapping, line 2"),
    "an object": ("!!python/object/apply:os.getpid []", "could not determine a constructor"),
    "a list as a name": ("? [a]\n: b", "unhashable"),
}


@pytest.mark.parametrize(("text", "said"), BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_at_once(tmp_path, text, said) -> None:
    (tmp_path / "bomb.yaml").write_text(text)
    began = time.process_time()
    with pytest.raises(InputError, match=said):
        read_yaml(tmp_path / "bomb.yaml")
    assert time.process_time() - began < 20


def test_large_files_are_not_read(tmp_path) -> None:
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(1 << 40)  # a sparse file, which takes no room
    with pytest.raises(InputError, match="holds more than 4 MB"):
        read_yaml(tmp_path / "large.yaml")
    with pytest.raises(InputError, match="holds more than 64 MB"):
        read_json(tmp_path / "large.yaml")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(InputError, match="is not JSON"):
        read_json(tmp_path / "deep.json")


def test_values_are_counted_without_aliases_too(monkeypatch) -> None:
    monkeypatch.setattr("pellucid.core.plain_data.NODES", 100)
    assert parse_yaml(f"[{'1,' * 99}]", "") == [1] * 99
    with pytest.raises(InputError, match="it holds more than 100 values"):
        parse_yaml(f"[{'1,' * 100}]", "")


def test_aliases_and_merges_of_a_person_are_read() -> None:
    text = "base: &base {lr: 0.1, name: sgd}\none: *base\ntwo: {<<: *base, lr: 0.2}\nthree: [*base, *base]"
    assert parse_yaml(text, "") == yaml.safe_load(text)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=30)
@given(PLAIN)
def test_what_is_written_is_read(value) -> None:
    assert parse_yaml(yaml.safe_dump(value), "") == value


@given(st.text() | st.text(alphabet="[]{}:*&!?-<> \n'\"ab19.,#|"))
def test_any_text_is_read_as_yaml_reads_it_or_refused(text) -> None:
    try:
        got = parse_yaml(text, "")
    except InputError:
        return
    try:
        expected = yaml.safe_load(text)
    except yaml.YAMLError:
        expected = None
    # libyaml takes a little more, such as a tab behind a number, and for it a lone "!" is an empty text and not null.
    if expected is None or "!" in text:
        expected = yaml.load(text, Loader=yaml.CSafeLoader)
    assert repr(got) == repr(expected)
