"""Measures of maps and networks: functions on batched tensors, one value per image, no reduction.

A file per property: `sparsity` (of the map alone), `faithfulness` and `removal` (does the map point at what the
network uses), `stability` (does the map change when the image hardly does), `robustness` and `autoattack` (does the
prediction), `masking` (was the attack too weak to tell), `curvature` (does the gradient), `sanity` (would a random
network have the same map), `scores` (are the predictions right); `definitions` says in words what every number means.
Names are loaded on first use, so that reading `definitions` imports no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
