"""Figures about a trained network: functions that take tensors and return a ``matplotlib.figure.Figure``.

Each function draws one figure; the modules are named by what they show. They use nothing else of this package and no
global state of matplotlib: no pyplot, no backend, no rcParams. Importing this module does not import matplotlib.
"""

#: Names of the figures in the order in which a run draws them: the valid values of ``figures.only``.
NAMES = (
    "loss",
    "accuracy",
    "parameters",
    "fit",
    "surface",
    "data",
    "regions",
    "far",
    "lines",
    "moments",
    "neurons",
    "predictions",
    "mistakes",
    "confusion",
    "kernels",
    "feature_maps",
    "network",
    "activations",
    "saturation",
)
