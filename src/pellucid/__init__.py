"""Train image classifiers with saliency maps you can trust, and test the maps.

The public names stand in ``__init__.pyi`` and are loaded on first use, so that ``pellucid --help`` and the report
import no torch.
"""

import lazy_loader

from pellucid._moved import install

__version__ = "0.1.0"

install()
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
