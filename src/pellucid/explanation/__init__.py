"""Explain single images and say how far each map can be trusted: the trust card. Names are loaded on first use."""

from typing import Any

import lazy_loader

_loaded, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "Subject":  # the old name of ExplainedNetwork
        from pellucid.explanation import explained_network

        return explained_network.Subject
    return _loaded(name)
