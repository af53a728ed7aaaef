"""What is recorded and shown while a network trains."""

from .checkpoints import Checkpoints
from .figures import Figures
from .gradients import Gradients
from .history import History
from .latest import Latest
from .progress import Progress
from .stopping import Stopping

__all__ = ["Checkpoints", "Figures", "Gradients", "History", "Latest", "Progress", "Stopping"]
