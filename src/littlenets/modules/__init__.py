"""The tasks: LightningModules that know a loss and metrics, and train any network that fits."""

from .base import Step, SupervisedModule
from .binary import BinaryClassification
from .multiclass import MulticlassClassification
from .optimization import Schedule
from .regression import Regression

__all__ = ["BinaryClassification", "MulticlassClassification", "Regression", "Schedule", "Step", "SupervisedModule"]
