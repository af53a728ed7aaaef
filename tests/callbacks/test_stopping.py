"""Signals during training, without a process of its own."""

import signal
from collections.abc import Iterator

import pytest

from littlenets.callbacks import Stopping


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request: pytest.FixtureRequest) -> Iterator[int]:
    """A signal, whose handler is put back afterwards."""
    before = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, before)


def test_a_second_signal_is_for_the_handler_of_before(number: int):
    received = []

    def handler(*_: object) -> None:
        received.append(number)

    signal.signal(number, handler)
    stopping = Stopping()
    stopping.on_train_start(None, None)
    signal.raise_signal(number)
    assert (stopping.received, received) == (number, [])
    signal.raise_signal(number)
    assert received == [number]


@pytest.mark.parametrize(
    "end", [lambda one: one.on_train_end(None, None), lambda one: one.on_exception(None, None, None)]
)
def test_after_the_training_the_handlers_are_those_of_before(number: int, end):
    before = signal.getsignal(number)
    stopping = Stopping()
    stopping.on_train_start(None, None)
    assert signal.getsignal(number) is not before
    end(stopping)
    assert signal.getsignal(number) is before
