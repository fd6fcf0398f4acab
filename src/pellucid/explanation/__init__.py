"""Explain single images and say how far each map can be trusted: the trust card. Names are loaded on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.explanation.batch import Summary, explain
    from pellucid.explanation.card import Card, Figure, MapCard
    from pellucid.explanation.examination import Examination
    from pellucid.explanation.judgement import Judgement, judge
    from pellucid.explanation.reference import Reference
    from pellucid.explanation.subject import Subject

__all__ = [
    "Card",
    "Examination",
    "Figure",
    "Judgement",
    "MapCard",
    "Reference",
    "Subject",
    "Summary",
    "explain",
    "judge",
]

_MODULE_OF = {
    "Card": "card",
    "Examination": "examination",
    "Figure": "card",
    "Judgement": "judgement",
    "MapCard": "card",
    "Reference": "reference",
    "Subject": "subject",
    "Summary": "batch",
    "explain": "batch",
    "judge": "judgement",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
