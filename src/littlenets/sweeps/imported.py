"""What every worker process needs and takes seconds to import: imported once, before the workers are forked."""

from ..fast_imports import fast_imports

with fast_imports():
    from ..speed.threads import limit_threads
    from ..training import train

__all__ = ["limit_threads", "train"]
