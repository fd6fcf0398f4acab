"""The classes that can be chosen at a place of the settings, such as the method of a training."""

from difflib import get_close_matches

from pellucid.cli.fields import Class, find_class
from pellucid.config import import_name
from pellucid.config.trusted import name_typed
from pellucid.core.errors import InputError

__all__ = ["choices_at", "named_class"]


def choices_at(kind: Class, place: str) -> list[Class]:
    """The class that is declared at a place, whatever the classes on the way there are, if several can stand at it."""
    first, _, rest = place.partition(".")
    inner = kind.declared(first)
    if inner is None:
        return []
    if not rest:
        return [] if inner.is_dataclass else [inner]
    ways = [inner] if inner.is_dataclass else list(inner.subclasses().values())
    return [choice for way in ways for choice in choices_at(way, rest)]


def named_class(declared: Class, name: str, place: str) -> Class:
    """The class of a name at a place: one of pellucid's, or a user's own by its import path."""
    known = declared.subclasses()
    own = name.rpartition(".")[2] if name.startswith("pellucid.") else name
    if own in known:
        return known[own]
    if "." not in name and ":" not in name:
        lower = {one.lower(): one for one in known}
        close = get_close_matches(name.lower(), lower, n=1)
        hint = f", did you mean {lower[close[0]]}?" if close else ""
        raise InputError(f"{place} must be one of {', '.join(known)} or an import path, got {name!r}{hint}")
    return _foreign(name)


def _foreign(path: str) -> Class:
    """A class of the user's own, which may be exported from elsewhere than where it is defined."""
    name_typed(path)
    kind = import_name(path)
    try:
        return find_class(f"{kind.__module__}.{kind.__qualname__}")
    except (AttributeError, LookupError, OSError):
        raise InputError(f"{path} is not a class whose source can be read") from None
