"""Figures of sweeps: their artists hold what was given."""

import io
import statistics
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from littlenets.figures.sweep_axes import LEVELS, Levels, Scale, end_of_scale
from littlenets.figures.sweep_curves import sweep_curves
from littlenets.figures.sweep_metric import sweep_pair, sweep_seeds, sweep_setting


def rendered(figure: Figure) -> Axes:
    """The main axes of a figure that can be saved."""
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure.axes[0]


def lines(axes: Axes, label: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_label() == label]


def points(found: list[Line2D]) -> list[tuple[float, float]]:
    return sorted((float(x), float(y)) for line in found for x, y in line.get_xydata())


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


class TestMetricOverASetting:
    def test_points_and_line_are_the_runs(self):
        rates, metrics = [0.1, 0.001, 0.01], [0.5, 3.0, 1.0]
        axes = rendered(sweep_setting(rates, metrics, setting="optimizer.lr", metric="val/loss"))
        assert points(lines(axes, "runs")) == sorted(zip(rates, metrics, strict=True))
        # A line goes from left to right, whatever the order of the jobs.
        (line,) = lines(axes, "means")
        assert line.get_xydata().tolist() == [[0.001, 3.0], [0.01, 1.0], [0.1, 0.5]]
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("optimizer.lr", "val/loss")
        assert axes.get_xscale() == "log"
        assert [text.get_text() for text in axes.get_xticklabels()] == ["0.001", "0.01", "0.1"]

    def test_means_and_deviations_over_seeds(self):
        values, metrics = [1, 1, 1, 2, 2], [1.0, 2.0, 4.0, 5.0, 5.5]
        axes = rendered(sweep_setting(values, metrics, setting="x", metric="m", averaged=["seed"]))
        (line,) = lines(axes, "means")
        means = [statistics.fmean(metrics[:3]), statistics.fmean(metrics[3:])]
        np.testing.assert_allclose(line.get_xydata(), [[1, means[0]], [2, means[1]]])
        (bars,) = (collection for collection in axes.collections if isinstance(collection, LineCollection))
        expected = [
            [[x, mean - statistics.stdev(group)], [x, mean + statistics.stdev(group)]]
            for x, mean, group in ((1, means[0], metrics[:3]), (2, means[1], metrics[3:]))
        ]
        np.testing.assert_allclose(bars.get_segments(), expected)
        assert "standard deviation over seed" in axes.get_title("left")

    def test_deviations_over_other_settings_are_not_drawn_as_errors(self):
        axes = rendered(sweep_setting([1, 1, 2, 2], [1.0, 2, 3, 4], setting="x", metric="m", averaged=["lr"]))
        assert not axes.collections
        assert axes.get_title("left") == "line: mean over lr"

    @pytest.mark.parametrize("rising", [False, True])
    def test_diverged_runs_stand_where_the_metric_is_worst(self, rising: bool):
        axes = rendered(sweep_setting([1, 2, 3], [0.4, 0.5, None], setting="x", metric="m", rising=rising))
        (crosses,) = lines(axes, "beyond")
        ((x, height),) = crosses.get_xydata()
        assert x == 3
        assert height < 0.1 if rising else height > 0.9  # as a share of the axis
        assert points(lines(axes, "runs")) == [(1, 0.4), (2, 0.5)]
        # No run's own point is in their row.
        low, high = axes.get_ylim()
        shares = [(y - low) / (high - low) for _, y in points(lines(axes, "runs"))]
        assert min(shares) > height + 0.03 if rising else max(shares) < height - 0.03
        assert "×: diverged" in axes.get_title("left")

    def test_another_setting_in_colours(self):
        values, lines_of = [1, 2, 1, 2], [200, 200, 100, 100]
        figure = sweep_setting(
            values, [1.0, 2.0, 3.0, 4.0], setting="x", metric="m", lines=lines_of, line_setting="trainer.max_epochs"
        )
        first, second = lines(rendered(figure), "means")
        assert first.get_xydata().tolist() == [[1, 3], [2, 4]]
        assert second.get_xydata().tolist() == [[1, 1], [2, 2]]
        assert texts(figure) == ["100", "200"]
        assert figure.legends[0].get_title().get_text() == "trainer.max_epochs"
        handles = figure.legends[0].get_lines()
        assert [handle.get_color() for handle in handles] == [first.get_color(), second.get_color()]
        assert first.get_color() != second.get_color()

    def test_names_have_places_and_no_line_between_them(self):
        figure = sweep_setting(["spiral", None, "linear"], [1.0, 2.0, 3.0], setting="model", metric="m")
        axes = rendered(figure)
        assert points(lines(axes, "runs")) == [(0, 1), (1, 2), (2, 3)]
        assert [text.get_text() for text in axes.get_xticklabels()] == ["spiral", "null", "linear"]
        assert not lines(axes, "means")

    def test_what_was_about_to_diverge_does_not_flatten_the_rest(self):
        axes = rendered(sweep_setting([1, 2, 3, 4], [2.0, 1.0, 3.0, 1e14], setting="x", metric="m"))
        assert axes.get_ylim()[1] < 10
        (crosses,) = lines(axes, "beyond")
        assert crosses.get_xdata().tolist() == [4]
        assert "off the scale" in axes.get_title("left")

    @pytest.mark.parametrize("metrics", [[-3.0, -2.0, -1.0], [0.0, 0.0, 0.0], [7.0, 7.0, 7.0], [-1.0, 0.0, 50.0]])
    @pytest.mark.parametrize("rising", [False, True])
    def test_all_points_are_inside(self, metrics: list[float], rising: bool):
        axes = rendered(sweep_setting([1, 2, 3], metrics, setting="x", metric="m", rising=rising))
        low, high = axes.get_ylim()
        assert low < min(metrics)
        assert max(metrics) < high
        assert not lines(axes, "beyond")

    def test_losses_over_decades_have_a_logarithmic_axis(self):
        scales = [
            rendered(sweep_setting([1, 2, 3], metrics, setting="x", metric="m")).get_yscale()
            for metrics in ([1e-4, 1e-2, 1.0], [0.5, 0.6, 0.7], [0.0, 1.0, 100.0], [-1.0, 1.0, 100.0])
        ]
        assert scales == ["log", "linear", "linear", "linear"]


class TestHeatMap:
    def figure(self, **settings: Any) -> Figure:
        x, y = [0.01, 0.1, 0.01, 0.1, 0.1], [100, 100, 200, 200, 200]
        return sweep_pair(
            x,
            y,
            [4.0, None, 2.0, 1.0, 3.5],
            x_setting="lr",
            y_setting="epochs",
            metric="m",
            averaged=["seed"],
            **settings,
        )

    def test_cells_are_means_and_their_numbers(self):
        axes = rendered(self.figure())
        np.testing.assert_array_equal(axes.images[0].get_array().filled(np.nan), [[4.0, np.nan], [2.0, 2.25]])
        assert axes.images[0].origin == "lower"
        found = {text.get_position(): text.get_text() for text in axes.texts}
        assert found == {(0, 0): "4", (1, 0): "diverged", (0, 1): "2", (1, 1): "2.25"}
        assert [text.get_text() for text in axes.get_xticklabels()] == ["0.01", "0.1"]
        assert [text.get_text() for text in axes.get_yticklabels()] == ["100", "200"]

    @pytest.mark.parametrize(("rising", "best"), [(False, (0, 1)), (True, (0, 0))])
    def test_the_best_is_framed(self, rising: bool, best: tuple[int, int]):
        axes = rendered(self.figure(rising=rising))
        (frame,) = (patch for patch in axes.patches if isinstance(patch, Rectangle) and not patch.get_fill())
        assert (frame.get_x() + 0.5, frame.get_y() + 0.5) == best

    def test_the_given_best_is_framed(self):
        (axes, *_) = sweep_pair(
            [1, 2, 2], [5, 5, 6], [1.0, 3.0, 2.0], x_setting="a", y_setting="b", metric="m", best=2
        ).axes
        (frame,) = (patch for patch in axes.patches if isinstance(patch, Rectangle) and not patch.get_fill())
        assert (frame.get_x() + 0.5, frame.get_y() + 0.5) == (1, 1)

    def test_bright_is_good(self):
        def brightness(rising: bool, value: float) -> float:
            return sum(rendered(self.figure(rising=rising)).images[0].to_rgba(value)[:3])

        assert brightness(False, 2.0) > brightness(False, 4.0)
        assert brightness(True, 2.0) < brightness(True, 4.0)

    def test_cells_without_a_run_are_white_and_partly_diverged_ones_say_so(self):
        figure = sweep_pair([1, 2, 2], [1, 2, 2], [1.0, 3.0, None], x_setting="a", y_setting="b", metric="m")
        axes = rendered(figure)
        assert {text.get_position(): text.get_text() for text in axes.texts} == {(0, 0): "1", (1, 1): "3\n1 diverged"}
        assert not [patch for patch in axes.patches if patch.get_hatch()]


def test_seeds_with_mean_and_deviation():
    metrics = [1.0, 2.0, 4.0, None]
    axes = rendered(sweep_seeds([0, 1, 2, 3], metrics, metric="test/acc", rising=True))
    assert points(lines(axes, "runs")) == [(0, 1), (1, 2), (2, 4)]
    (mean,) = lines(axes, "mean")
    assert set(mean.get_ydata()) == {statistics.fmean(metrics[:3])}
    (band,) = (patch for patch in axes.patches if patch.get_label() == "deviation")
    np.testing.assert_allclose(
        (band.get_y(), band.get_y() + band.get_height()),
        [statistics.fmean(metrics[:3]) + sign * statistics.stdev(metrics[:3]) for sign in (-1, 1)],
    )
    assert lines(axes, "beyond")[0].get_xdata().tolist() == [3]


class TestCurves:
    def curves(self, axes: Axes) -> list[np.ndarray]:
        (found,) = (collection for collection in axes.collections if isinstance(collection, LineCollection))
        return [np.asarray(segment) for segment in found.get_segments()]

    def test_all_curves_are_there_in_the_colours_of_the_legend(self):
        curves = [([1, 2, 3], [3.0, 2.0, 1.0]), ([1, 2], [3.0, 2.5]), ([1, 2, 3], [3.0, 1.0, 0.5])]
        figure = sweep_curves(curves, loss="train/loss", diverged=[False] * 3, colours=[1, 2, 1], colour_setting="x")
        axes = rendered(figure)
        for segment, (epochs, losses) in zip(self.curves(axes), curves, strict=True):
            np.testing.assert_array_equal(segment, np.column_stack([epochs, losses]))
        (collection,) = axes.collections
        one, two, one_again = map(tuple, collection.get_colors())
        assert one == one_again != two
        assert texts(figure) == ["1", "2"]
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "train/loss")

    def test_a_diverging_curve_is_shown_until_it_leaves_and_stretches_nothing(self):
        calm = list(range(1, 11)), [10.0 / epoch for epoch in range(1, 11)]
        wild = list(range(1, 8)), [10.0**epoch for epoch in range(1, 8)]
        axes = rendered(
            sweep_curves([calm, wild], loss="l", diverged=[False, True], colours=[1, 2], colour_setting="x")
        )
        high = axes.get_ylim()[1]
        assert 10 < high < 1000
        _, leaving = self.curves(axes)
        assert leaving[-1, 1] == pytest.approx(high)
        assert len(leaving) < len(wild[0])
        # Where the straight line between two epochs crosses the edge.
        before, after = int(leaving[-2, 0]), int(leaving[-2, 0]) + 1
        assert leaving[-1, 0] == pytest.approx(before + (high - 10.0**before) / (10.0**after - 10.0**before))
        ((x, y),) = (line.get_xydata()[0] for line in axes.lines if line.get_marker() == "x")
        assert (x, y) == pytest.approx(tuple(leaving[-1]))

    @pytest.mark.parametrize("last", [float("inf"), float("nan"), 3e38])
    def test_whatever_a_diverged_run_ends_with(self, last: float):
        curves = [([1, 2, 3], [5.0, 4.0, 3.0]), ([1, 2], [5.0, last]), ([1], [last])]
        axes = rendered(sweep_curves(curves, loss="l", diverged=[False, True, True]))
        assert np.isfinite(axes.get_ylim()).all()
        assert axes.get_ylim()[1] < 100

    def test_all_diverged(self):
        wild = list(range(1, 8)), [10.0**epoch for epoch in range(1, 8)]
        axes = rendered(sweep_curves([wild, wild], loss="l", diverged=[True, True], colours=["a", "b"]))
        assert all(len(curve) >= 3 for curve in self.curves(axes))

    def test_a_run_that_grows_beyond_measure_counts_as_leaving(self):
        curves = [([1, 2, 3], [5.0, 4.0, 3.0]), ([1, 2, 3], [5.0, 5e9, 5e28])]
        axes = rendered(sweep_curves(curves, loss="l", diverged=[False, False], colours=[1, 2]))
        assert axes.get_ylim()[1] < 100

    def test_runs_of_one_setting_have_their_median(self):
        curves = [([1, 2], [3.0, 1.0]), ([1, 2], [5.0, 2.0]), ([1, 2], [4.0, 9.0])]
        axes = rendered(sweep_curves(curves, loss="l", diverged=[False] * 3))
        (median,) = lines(axes, "median")
        assert median.get_xydata().tolist() == [[1, 4], [2, 2]]

    def test_many_levels_have_a_colour_bar(self):
        rates = [10 ** (-4 + n / 10) for n in range(LEVELS + 5)]
        curves = [([1, 2], [1.0, rate]) for rate in rates]
        figure = sweep_curves(curves, loss="l", diverged=[False] * len(rates), colours=rates, colour_setting="lr")
        rendered(figure)
        _, bar = figure.axes
        assert bar.get_ylabel() == "lr"
        assert bar.get_ylim() == pytest.approx((rates[0], rates[-1]))
        assert bar.get_yscale() == "log"

    def test_epochs_are_logarithmic_where_runs_differ_much(self):
        def scale(*lengths: int) -> str:
            curves = [(list(range(1, length + 1)), [1.0] * length) for length in lengths]
            return rendered(sweep_curves(curves, loss="l", diverged=[False] * len(lengths))).get_xscale()

        assert [scale(100, 200), scale(100, 1000), scale(3, 20), scale(5000)] == ["linear", "log", "linear", "log"]


@pytest.mark.parametrize(
    ("values", "logarithmic", "in_places"),
    [
        ([0.0001, 0.001, 0.01], True, False),
        ([100, 200, 1000], True, False),
        ([16, 32, 64, 128], True, False),
        ([1, 2, 3, 4, 5], False, False),
        ([100, 200, 300, 1000], True, False),
        ([10, 100], True, False),
        ([1, 3], False, False),
        ([-1, 1], False, False),
        ([0.0, 0.5, 1.0], False, False),
        ([0, 0.001, 0.01, 0.1], False, True),
        ([True, False], False, True),
        ([1, 2, None], False, True),
        (["a"], False, True),
        ([[1], [1, 2]], False, True),
        ([5], False, False),
        ([1.0, float("inf")], False, True),
    ],
    ids=str,
)
def test_axes_suit_the_values(values: list[Any], logarithmic: bool, in_places: bool):
    scale = Scale(values)
    assert (scale.logarithmic, scale.in_places) == (logarithmic, in_places)
    assert [scale.at(value) for value in values] == (list(range(len(values))) if in_places else values)


def test_levels_are_told_apart():
    for values in ([0.1, 0.01, 0.001], ["a", "b", "c", "d"], list(range(LEVELS)), [True, False], [1, None]):
        levels = Levels([*values, *values])
        assert len(levels) == len(values)
        assert len({levels.colour(value) for value in values}) == len(values)
    assert Levels([3, 1, 2]).values == [1, 2, 3]
    assert Levels(["z", "a"]).values == ["z", "a"]


@pytest.mark.parametrize(
    ("values", "end"),
    [
        ([1.0, 2.0, 3.0], 3.0),
        ([1.0, 2.0, 3.0, 1e14], 3.0),
        ([1.0, 2.0, 3.0, 1e14, 1e30], 3.0),
        # Of two or three, neither is the exception; nor is one good run among bad ones.
        ([1e-9, 1.0], 1.0),
        ([1e-9, 1.0, 2.0, 3.0], 3.0),
        ([0.0, 0.0, 0.0, 5.0], 5.0),
    ],
)
def test_the_end_of_the_scale(values: list[float], end: float):
    assert end_of_scale(values) == end
