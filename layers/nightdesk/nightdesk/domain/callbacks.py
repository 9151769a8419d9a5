"""Callbacks on their way out: what is sent, what an answer means, and the ports that send.

Nothing of an answer but its status is ever kept: a receiver may send our own secrets back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Protocol

from nightdesk.domain.errors import PermanentError, TransientError, TryLaterError

#: Waits before the next try, by number of tries made: eight tries within twelve hours.
NOTIFY_AFTER = tuple(
    timedelta(seconds=seconds) for seconds in (5, 60, 300, 900, 3_600, 3 * 3_600, 7 * 3_600)
)
#: A wait is up to this much shorter or longer, so that receivers that were down for many of our
#: callbacks do not get all of them at once.
JITTER = 0.2
#: What a receiver that asks to wait may ask for.
LONGEST_RETRY_AFTER = timedelta(hours=1)

#: Answers below 500 after which another try may succeed.
_PASSING = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
_ASKS_TO_WAIT = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_OK, _REDIRECTS, _REFUSALS, _FAILURES = 200, 300, 400, 500


class RefusedAddressError(PermanentError):
    """The receiver's name leads to an address that callbacks must not reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequest:
    """One POST. Its headers and URL may hold secrets, so neither is in its repr."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """The status; `retry_after` if the receiver asked for a wait in seconds."""

    status: int
    retry_after: timedelta | None = None


class CallbackSender(Protocol):
    """Makes one try, within a bounded time. Follows no redirect."""

    def send(self, request: CallbackRequest) -> CallbackAnswer:
        """Raises:
        RefusedAddressError: its address is not a public one.
        UnavailableError: no connection, no valid certificate, no answer in time. The message
            names the host and the kind of failure, nothing else.
        """
        ...


class CallbackKey(Protocol):
    """The deployment's one key, from which every workspace's signing secret is derived."""

    def read(self) -> str:
        """The key; "" when there is none.

        Raises:
            UnavailableError: where it is kept does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent, the same at each try. `media_type` is its Content-Type."""

    text: str = field(repr=False)
    media_type: str = "application/json"


def check_answer(answer: CallbackAnswer, host: str) -> None:
    """Return if the receiver has taken the callback.

    2xx is taken. 410, every other 4xx and every redirect is final: the same request would be
    refused again, or belongs elsewhere. 408, 425, 429 and 5xx may pass.

    Raises:
        PermanentError, TransientError, TryLaterError: what to do with the delivery.
    """
    status, said = answer.status, f"{host} answered {answer.status}"
    if _OK <= status < _REDIRECTS:
        return
    if status in _ASKS_TO_WAIT and answer.retry_after is not None:
        wait = min(max(answer.retry_after, timedelta(seconds=1)), LONGEST_RETRY_AFTER)
        raise TryLaterError(said, retry_after=wait)
    if status in _PASSING or status >= _FAILURES:
        raise TransientError(said)
    if _REDIRECTS <= status < _REFUSALS:
        raise PermanentError(f"{said}: redirects are not followed")
    raise PermanentError(said)


def wait_after(tries: int, jitter: float) -> timedelta | None:
    """How long to wait after the `tries`-th failed try; None = it was the last.

    `jitter` is from [0, 1).
    """
    if tries > len(NOTIFY_AFTER):
        return None
    return NOTIFY_AFTER[tries - 1] * (1 + JITTER * (2 * jitter - 1))
