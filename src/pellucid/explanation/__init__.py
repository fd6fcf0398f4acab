"""Explain single images and say how far each map can be trusted: the trust card. Names are loaded on first use."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
