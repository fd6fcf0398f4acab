"""What people read: one YAML file per language."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from pellucid.core.errors import InputError

__all__ = ["class_names", "language_names", "pages", "wording"]


@cache
def _file(language: str) -> dict[str, Any]:
    path = files("pellucid.study").joinpath("languages", f"{language}.yaml")
    if language not in language_names() or not path.is_file():
        raise InputError(f"there is no language {language!r}; there are {', '.join(language_names())}")
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


@cache
def language_names() -> tuple[str, ...]:
    """Codes of the languages with a file, ``en`` first.

    >>> language_names()
    ('en', 'de')
    """
    codes = [path.name.removesuffix(".yaml") for path in files("pellucid.study").joinpath("languages").iterdir()]
    return tuple(sorted((name for name in codes if "." not in name), key=lambda name: (name != "en", name)))


def pages(language: str) -> dict[str, str]:
    """Words around a study, by name.

    Raises:
        InputError: there is no file of that language.

    >>> pages("de")["continue"]
    'Weiter'
    """
    words: dict[str, str] = _file(language)["pages"]
    return words | {"language_name": _file(language)["language"]}


def class_names(classes: Sequence[str], language: str) -> tuple[str, ...]:
    """Class names as participants read them; a name that the language's file does not know stays as it is.

    >>> class_names(("Ankle boot", "axolotl"), "de")
    ('Stiefelette', 'axolotl')
    """
    known: dict[str, str] = _file(language).get("classes") or {}
    return tuple(known.get(name, name) for name in classes)


def wording(*keys: str | int, languages: tuple[str, ...]) -> dict[str, Any]:
    """A default text of a study in every language.

    >>> wording("questions", "trust", "low", languages=("en", "de"))
    {'en': 'not at all', 'de': 'gar nicht'}
    """
    texts = {}
    for language in languages:
        value: Any = _file(language)["study"]
        for key in keys:
            value = value[key]
        texts[language] = tuple(value) if isinstance(value, list) else value
    return texts
