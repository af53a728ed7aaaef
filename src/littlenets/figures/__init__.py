"""What a network learned, as pictures: tensors in, a ``matplotlib.figure.Figure`` out.

One function a figure, in modules named by what they show. They use nothing else of the package and nothing global of
matplotlib's: no pyplot, no backend, no settings. Importing this module imports no matplotlib.
"""

#: The figures by name, in the order in which a run draws them: what ``figures.only`` takes.
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
