"""Indexed image datasets: what a person chooses, where the files are, and batches on the training device.

Names are loaded on first use, so that listing and fetching datasets imports no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
