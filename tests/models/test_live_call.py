import time
from collections.abc import Iterator
from datetime import timedelta
from threading import Event, Timer

import pytest

from nightdesk.adapters.models.live_call import LiveCall
from nightdesk.domain.errors import CallAbortedError
from nightdesk.domain.model import CallControl, ModelUnavailableError


class Connection:
    """What `cut` cuts; counts how often."""

    def __init__(self) -> None:
        self.cuts = 0

    def cut(self) -> None:
        self.cuts += 1


def test_the_chunks_come_in_their_order_and_nothing_is_cut() -> None:
    connection = Connection()
    call = LiveCall(lambda: iter("abc"), control=CallControl(), cut=connection.cut)

    assert list(call) == ["a", "b", "c"]
    assert call.ended_well
    assert connection.cuts == 0


def test_a_source_that_nothing_can_wake_is_left_at_once() -> None:
    """As a name lookup or a handshake is: no socket to shut down."""
    forever, control, connection = Event(), CallControl(), Connection()

    def lookup() -> Iterator[bytes]:
        forever.wait(5)
        yield b""

    Timer(0.02, control.abort).start()
    started = time.monotonic()

    with pytest.raises(CallAbortedError):
        list(LiveCall(lookup, control=control, cut=connection.cut))

    assert time.monotonic() - started < 1
    assert connection.cuts
    forever.set()


def test_an_abort_is_told_from_the_error_that_the_cut_causes() -> None:
    control, cut = CallControl(), Event()

    def reading() -> Iterator[bytes]:
        cut.wait(5)
        raise ModelUnavailableError("the connection broke")
        yield b""

    Timer(0.02, control.abort).start()

    with pytest.raises(CallAbortedError):
        list(LiveCall(reading, control=control, cut=cut.set))


def test_an_error_of_the_source_is_raised_to_the_caller() -> None:
    def failing() -> Iterator[str]:
        yield "a"
        raise ModelUnavailableError("broken")

    connection = Connection()
    received: list[str] = []
    call = LiveCall(failing, control=CallControl(), cut=connection.cut)

    with pytest.raises(ModelUnavailableError, match="broken"):
        received.extend(call)

    assert received == ["a"]
    assert not call.ended_well


def test_each_chunk_starts_the_stall_timeout_anew() -> None:
    def steady() -> Iterator[int]:
        for number in range(6):
            time.sleep(0.05)
            yield number

    control = CallControl(stall_timeout=timedelta(milliseconds=250))

    assert len(list(LiveCall(steady, control=control, cut=Connection().cut))) == 6


def test_the_message_tells_a_stall_from_the_total() -> None:
    gone = Event()

    def silent() -> Iterator[bytes]:
        gone.wait(5)
        yield b""

    stalls = CallControl(stall_timeout=timedelta(seconds=0.02))
    ends = CallControl(total_timeout=timedelta(seconds=0.02))

    with pytest.raises(ModelUnavailableError, match="silent for"):
        list(LiveCall(silent, control=stalls, cut=gone.set))
    gone.clear()
    with pytest.raises(ModelUnavailableError, match="longer than"):
        list(LiveCall(silent, control=ends, cut=gone.set))


def test_a_broken_end_after_a_complete_answer_is_no_error() -> None:
    def answering() -> Iterator[str]:
        yield "whole"
        raise ModelUnavailableError("reset")

    call = LiveCall(answering, control=CallControl(), cut=Connection().cut)
    for chunk in call:
        assert chunk == "whole"
        call.expect_end()

    assert not call.ended_well


def test_a_later_abort_does_not_cut_what_has_ended() -> None:
    control, connection = CallControl(), Connection()
    list(LiveCall(lambda: iter("a"), control=control, cut=connection.cut))

    control.abort()

    assert connection.cuts == 0
