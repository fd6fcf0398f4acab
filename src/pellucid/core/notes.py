"""What a person should know and need not act on, said once on the standard error."""

import sys
from functools import cache

__all__ = ["tell"]


@cache
def tell(sentence: str) -> None:
    """Say a sentence on the standard error, the first time that it comes up in this process.

    Of processes that train together the first alone speaks.

    Args:
        sentence: what is said; starts in lower case and ends without a full stop.

    >>> tell("3 layers are frozen")
    """
    dist = sys.modules.get("torch.distributed")  # where nobody has loaded torch, nothing trains
    if dist is None or not (dist.is_available() and dist.is_initialized() and dist.get_rank() > 0):
        print(f"pellucid: {sentence}", file=sys.stderr)
