"""The article's statements, and functions that judge from runs whether they hold.

Of the article itself only the recipes and some numbers are known (quoted in the field ``article``). The other
statements express the topics of its chapters in sentences that a run can contradict.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from .measured_runs import Record, UnmeasuredError, with_value
from .measuring import accuracy_further_out, certainty_far_outside, saturated_share


@dataclass(frozen=True)
class Verdict:
    """The result for a statement.

    Args:
        value: the measured numbers, as a text.
        holds: whether the statement holds; None if the runs do not show it.
    """

    value: str
    holds: bool | None


@dataclass(frozen=True)
class Statement:
    """A sentence that is true or false.

    Args:
        name: identifier of the statement.
        experiment: choice of ``conf/experiment/`` whose runs are used to judge the statement.
        text: the sentence.
        judge: function that takes these runs, in the order of their numbers, and returns the verdict.
        article: the number that the article reports, if it is known.
    """

    name: str
    experiment: str
    text: str
    judge: Callable[[list[Record]], Verdict]
    article: str = ""


def verdict(statement: Statement, records: list[Record]) -> Verdict:
    """Return the verdict on a statement; it is undecided if there are no runs, or if they lack a number.

    Args:
        statement: the statement.
        records: runs of its experiment.
    """
    if not records:
        return Verdict("no run", None)
    try:
        return statement.judge(records)
    except UnmeasuredError as reason:
        return Verdict(str(reason), None)


def _approaches(records: list[Record]) -> Verdict:
    run = records[0]
    weights, biases = run.column("weight"), run.column("bias")
    value = f"weight {weights[0]:.2f} → {weights[-1]:.3f}, bias {biases[0]:.2f} → {biases[-1]:.3f}"
    nearer = abs(weights[-1] - 2) < abs(weights[0] - 2) and abs(biases[-1]) < abs(biases[0])
    return Verdict(value, nearer)


def _halves(records: list[Record]) -> Verdict:
    losses = [records[0].after(epochs, "train/loss") for epochs in (100, 200, 300)]
    ratios = [after / before for before, after in pairwise(losses)]
    value = f"{', '.join(f'{loss:.4f}' for loss in losses)}: times {' and '.join(f'{ratio:.2f}' for ratio in ratios)}"
    # The article's ratios are 0.51 and 0.51. The losses depend on the initial weights, but their ratios do not.
    return Verdict(value, all(0.45 <= ratio <= 0.55 for ratio in ratios))


def _not_there_yet(records: list[Record]) -> Verdict:
    answer = _answer_at_20(records[0])
    return Verdict(f"f(20) = {answer:.2f}", abs(answer - 40) > 0.5)


def _patience(records: list[Record]) -> Verdict:
    answer = _answer_at_20(records[0])
    # The tolerance covers the article's last digit and the precision of float32 near 40.
    return Verdict(f"f(20) = {answer:.5f}", abs(answer - 39.99997) < 1.5e-5)


def _answer_at_20(run: Record) -> float:
    """Return the network's prediction for x = 20 in its test, in its own precision."""
    below = run.metric("weight") * 20 + run.metric("bias") < 40
    return 40 - run.metric("test/mae") if below else 40 + run.metric("test/mae")


def _small_rate_is_slow(records: list[Record]) -> Verdict:
    rates = ("0.001", "0.01", "0.05")
    losses = [with_value(records, "optimizer.lr", rate).after(200, "train/loss") for rate in rates]
    value = ", ".join(f"{loss:.2g} at {rate}" for loss, rate in zip(losses, rates, strict=True))
    return Verdict(f"loss {value}", losses[0] > losses[1] > losses[2])


def _large_rate_diverges(records: list[Record]) -> Verdict:
    run = with_value(records, "optimizer.lr", "0.1")
    if run.status == "diverged":
        return Verdict(f"diverged in epoch {run.epochs:,}", True)
    return Verdict(f"{run.status}, loss {run.metric('train/loss'):.2g}", False)


def _more_steps(records: list[Record]) -> Verdict:
    runs = {text: with_value(records, "data.batch_size", size) for text, size in _KINDS.items()}
    losses = [run.after(200, "train/loss") for run in runs.values()]
    value = ", ".join(f"{loss:.2g} ({text})" for loss, text in zip(losses, runs, strict=True))
    return Verdict(f"loss {value}", losses[0] > losses[1] > losses[2])


def _noisier(records: list[Record]) -> Verdict:
    runs = {text: with_value(records, "data.batch_size", size) for text, size in _KINDS.items()}
    rises = {
        text: 100 * sum(after > before for before, after in pairwise(run.column("train/loss"))) / (run.epochs - 1)
        for text, run in runs.items()
        if run.epochs > 1
    }
    if len(rises) < len(runs):
        raise UnmeasuredError("the runs have one epoch")
    value = ", ".join(f"{share:.0f}% ({text})" for text, share in rises.items())
    full, *others = rises.values()
    return Verdict(f"epochs in which the loss rose: {value}", full < min(others))


_KINDS = {"all five": "null", "two": "2", "one": "1"}


def _all_right(records: list[Record]) -> Verdict:
    run = records[0]
    train, test = run.metric("train/acc"), run.metric("test/acc")
    first = run.first_epoch("train/acc", 1.0)
    when = "" if first is None else f" (first in epoch {first:,})"
    return Verdict(f"{_percent(train)} of the training points{when}, {_percent(test)} of new ones", train == 1.0)


def _fills_the_plane(records: list[Record]) -> Verdict:
    certainty, share = certainty_far_outside(records[0].folder)
    value = f"{_percent(certainty)} sure on average; more than 90% sure on {_percent(share)} of that area"
    return Verdict(value, certainty > 0.9)


def _guesses_further_out(records: list[Record]) -> Verdict:
    share = accuracy_further_out(records[0].folder)
    # Guessing is right for half of the points.
    return Verdict(f"{_percent(share)} right on the next turn", share < 0.65)


def _sigmoid_is_later(records: list[Record]) -> Verdict:
    epochs = {name: _all_right_in(with_value(records, _ACTIVATION, name)) for name in _ACTIVATIONS}
    losses = {name: with_value(records, _ACTIVATION, name).after(50, "train/loss") for name in _ACTIVATIONS}
    value = ", ".join(f"{name} epoch {epochs[name]:,} ({losses[name]:.2g})" for name in _ACTIVATIONS)
    later = epochs["sigmoid"] > max(epochs["relu"], epochs["tanh"])
    return Verdict(f"all right in, and loss after 50 epochs: {value}", later)


def _relu_is_fastest(records: list[Record]) -> Verdict:
    epochs = {name: _all_right_in(with_value(records, _ACTIVATION, name)) for name in _ACTIVATIONS}
    value = ", ".join(f"{name} in epoch {epoch:,}" for name, epoch in epochs.items())
    return Verdict(f"all right: {value}", epochs["relu"] == min(epochs.values()))


def _saturates(records: list[Record]) -> Verdict:
    shares = {name: saturated_share(with_value(records, _ACTIVATION, name).folder) for name in _ACTIVATIONS}
    value = ", ".join(f"{name} {_percent(share)}" for name, share in shares.items())
    return Verdict(f"without a gradient to speak of, at the end: {value}", shares["tanh"] > 0.1 < shares["sigmoid"])


_ACTIVATION = "model.network.activation"
_ACTIVATIONS = ("relu", "tanh", "sigmoid")


def _both_losses_learn(records: list[Record]) -> Verdict:
    shares = {name: with_value(records, "model.module.loss", name).metric("train/acc") for name in ("bce", "mse")}
    value = ", ".join(f"{_percent(share)} with {name.upper()}" for name, share in shares.items())
    return Verdict(value, min(shares.values()) == 1.0)


def _bce_is_sooner(records: list[Record]) -> Verdict:
    bce, mse = (_all_right_in(with_value(records, "model.module.loss", name)) for name in ("bce", "mse"))
    return Verdict(f"all right in epoch {bce:,} with BCE, {mse:,} with MSE", bce < mse)


def _all_right_in(run: Record) -> int:
    epoch = run.first_epoch("train/acc", 1.0)
    if epoch is None:
        raise UnmeasuredError(f"not all points became right in {run.epochs:,} epochs")
    return epoch


def _useless_on_lines(records: list[Record]) -> Verdict:
    arms, lines = records[0].metric("test/acc"), records[0].metric("colour_lines/acc")
    # Guessing is right for a third of the points; with less than half right, the network is useless.
    return Verdict(f"{_percent(lines)} on the lines, {_percent(arms)} on the arms", arms > 0.9 and lines < 0.5)


def _over(least: float) -> Callable[[list[Record]], Verdict]:
    def judge(records: list[Record]) -> Verdict:
        data = records[0].results.get("data")
        if data != "mnist":
            return Verdict(f"trained on {data} instead, as MNIST was not to be had", None)
        share = records[0].metric("test/acc")
        return Verdict(f"{_percent(share)} of the 10,000 test images", share > least)

    return judge


def _percent(share: float) -> str:
    """Return a percentage with up to two decimal places, rounded down so that 100% means all."""
    return f"{int(share * 10_000 + 1e-6) / 100:.4g}%"


STATEMENTS = (
    Statement(
        "approaches",
        "linear_200_epochs",
        "Steps down the gradient bring a weight and a bias, drawn at random, towards 2 and 0.",
        _approaches,
        "they approach 2 and 0",
    ),
    Statement(
        "not_there_yet",
        "linear_200_epochs",
        "After 200 epochs the line still misses at x = 20, far outside of its five points.",
        _not_there_yet,
    ),
    Statement(
        "halves",
        "linear_100000_epochs",
        "The loss halves about every 100 epochs (after 100, 200 and 300).",
        _halves,
        "0.0173, 0.0088, 0.0045",
    ),
    Statement(
        "patience",
        "linear_100000_epochs",
        "After 100,000 epochs the answer at x = 20 is right to four digits behind the point.",
        _patience,
        "f(20) = 39.99997",
    ),
    Statement(
        "small_rate",
        "linear_learning_rates",
        "A small learning rate learns slowly, a larger one faster.",
        _small_rate_is_slow,
    ),
    Statement(
        "large_rate",
        "linear_learning_rates",
        "Too large a learning rate does not learn at all: each step lands further away than it started.",
        _large_rate_diverges,
    ),
    Statement(
        "more_steps",
        "gradient_descent_kinds",
        "Smaller batches make more steps an epoch, and so learn more an epoch.",
        _more_steps,
    ),
    Statement(
        "noisier",
        "gradient_descent_kinds",
        "The full batch goes steadily down; smaller batches waver.",
        _noisier,
    ),
    Statement(
        "two_arms",
        "spiral_two_arms",
        "Two hidden layers get every point of the two arms right.",
        _all_right,
        "all points right",
    ),
    Statement(
        "far",
        "spiral_two_arms",
        "The two regions fill the whole plane: the network is sure of itself where it never saw a point.",
        _fills_the_plane,
        "two regions that fill the plane",
    ),
    Statement(
        "further_out",
        "spiral_two_arms",
        "Where the arms would go on for another turn, it is right no more often than by guessing.",
        _guesses_further_out,
    ),
    Statement(
        "sigmoid",
        "spiral_activations",
        "Hidden layers of sigmoids learn later than those of ReLU or tanh.",
        _sigmoid_is_later,
    ),
    Statement(
        "relu",
        "spiral_activations",
        "ReLU, which cannot saturate on its positive side, is the fastest of the three.",
        _relu_is_fastest,
    ),
    Statement(
        "saturates",
        "spiral_activations",
        "Tanh and sigmoid saturate: a part of their units, more than a tenth, ends where the curve is flat.",
        _saturates,
    ),
    Statement(
        "both_losses",
        "spiral_mse_against_bce",
        "Binary cross entropy and the mean squared error can both teach the two arms.",
        _both_losses_learn,
    ),
    Statement(
        "bce_sooner",
        "spiral_mse_against_bce",
        "Binary cross entropy, made for probabilities, gets there sooner.",
        _bce_is_sooner,
    ),
    Statement(
        "three_arms",
        "spiral_three_arms",
        "With one output a class, the same kind of network tells three arms apart.",
        _all_right,
        "three regions that follow the arms",
    ),
    Statement(
        "lines",
        "spiral_on_lines",
        "What learnt the arms is useless on the same colours laid out as lines.",
        _useless_on_lines,
        "useless on lines",
    ),
    Statement(
        "digits",
        "mnist_digits",
        "Two convolutions and two linear layers read over 98% of digits that they never saw.",
        _over(0.98),
        "over 98%",
    ),
    Statement(
        "fast",
        "mnist_fast",
        "Two passes over the data with a narrower network reach 99% (this project's own).",
        _over(0.99),
    ),
)
