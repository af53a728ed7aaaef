"""Lightning callbacks that save, record and show training."""

from .checkpoints import Checkpoints
from .divergence import Divergence
from .figures import Figures
from .gradients import Gradients
from .history import History
from .monitors import Monitors
from .progress import Progress
from .stopping import Stopping
from .train_start import Beginning
from .training_state import TrainingState

__all__ = [
    "Beginning",
    "Checkpoints",
    "Divergence",
    "Figures",
    "Gradients",
    "History",
    "Monitors",
    "Progress",
    "Stopping",
    "TrainingState",
]
