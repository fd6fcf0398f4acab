"""Ground truth: images made here from seeds, each with the mask of what decides its class.

A module for each set. They are read like every dataset, ``pellucid.data.load(Data(name="truth:beside"), "train")``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
