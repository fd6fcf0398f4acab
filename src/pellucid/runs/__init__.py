"""A run: its settings, its training, its checkpoint, its evaluation, and the directory that holds them.

Names are loaded on first use, so that reading run directories imports no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
