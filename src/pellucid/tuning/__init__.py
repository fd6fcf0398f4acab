"""A pretrained network and photographs of your own: tuned, held against a control, measured, reported."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
