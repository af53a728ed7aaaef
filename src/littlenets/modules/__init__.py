"""Tasks: LightningModules that define loss and metrics and train any network with a suitable output."""

from .base import Step, SupervisedModule
from .binary import BinaryClassification
from .multiclass import MulticlassClassification
from .optimization import Schedule
from .regression import Regression

__all__ = ["BinaryClassification", "MulticlassClassification", "Regression", "Schedule", "Step", "SupervisedModule"]
