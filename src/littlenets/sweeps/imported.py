"""Import what all worker processes need, once before they are forked, since it takes seconds."""

from ..fast_imports import fast_imports

with fast_imports():
    from ..speed.threads import limit_threads
    from ..training import train

__all__ = ["limit_threads", "train"]
