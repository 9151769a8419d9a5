"""Make each call of a scenario go wrong in each way, and see that it is borne.

A scenario is something that Nightdesk does on GitHub, written as a `Play`: `turn` is one try, as
the schedule, the sweeper or the engine would make it, and the harness calls it once a minute of
simulated time. It is run undisturbed first, which tells the calls it makes; then once for each
call with one fault at that call. After each run:

- every wait that GitHub asked for was kept: no request came before its end;
- no turn sent a request more often than the undisturbed run does: no tight loop;
- what was to be done is there exactly once, if the fault is one that passes; otherwise at most
  once, and the play says why.

To add a scenario, append one line to SCENARIOS in `scenarios.py`:
`Scenario("review", ReviewPlay)`, where `ReviewPlay(stage)` prepares everything up to the first
turn. What only reads is a line too: `reading("diff", lambda stage: …)`. The stage has the
simulator (`stage.github`), a clock that is the simulator's own, and a client and a token.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

from local.github_simulator.request_log import LoggedRequest
from nightdesk.adapters.github.client import GithubClient, Timeouts
from nightdesk.domain.errors import NightdeskError, PermanentError, TryLaterError
from tests.fakes.clock import FakeClock
from tests.github_simulator.conftest import EVERYTHING, NOON, Github

MINUTE = timedelta(minutes=1)
MOST_TURNS = 40
#: Long for a simulator on loopback, however busy the machine is.
PATIENT = Timeouts(connect=5.0, read=10.0)
HASTY = Timeouts(connect=5.0, read=0.25)
SLOW_SECONDS = 0.35


class Play(Protocol):
    """One run of a scenario."""

    def turn(self) -> None:
        """Try once. What the machinery bears must not be raised."""
        ...

    def is_over(self) -> bool:
        """Whether nothing more is going to be tried."""
        ...

    def effects(self) -> int:
        """How often what was to be done is there."""
        ...

    def reason(self) -> str:
        """What people are told when something went wrong."""
        ...


class StageClock(FakeClock):
    """The simulator's clock, as a `Clock`."""

    def __init__(self, github: Github) -> None:
        super().__init__()
        self._github = github

    def now(self) -> datetime:
        return self._github.clock()

    def advance(self, duration: timedelta) -> None:
        self._github.clock.tick(seconds=max(duration, timedelta(0)).total_seconds())


@dataclass
class Stage:
    """What a play works with."""

    github: Github
    timeouts: Timeouts = PATIENT

    @cached_property
    def clock(self) -> StageClock:
        return StageClock(self.github)

    @cached_property
    def token(self) -> str:
        client = self.github.client("nightdesk-bot", permissions=EVERYTHING)
        assert client.token is not None
        return client.token

    @cached_property
    def client(self) -> GithubClient:
        return GithubClient(
            api_url=self.github.server.url, clock=self.clock, timeouts=self.timeouts
        )

    def let_github_finish(self) -> None:
        """A request that we gave up on still runs there; the next try comes seconds later."""
        entries = self.github.server.state.requests.entries
        while any(entry.fault == "delay" and entry.status is None for entry in entries):
            time.sleep(0.01)


@dataclass(frozen=True)
class Scenario:
    """`begin` prepares all that comes before the first call that is to go wrong.

    `asks_why`: after a 422 one thing is read once more, to say what is missing.
    """

    name: str
    begin: Callable[[Stage], Play]
    asks_why: bool = False


def reading(
    name: str, make: Callable[[Stage], Callable[[], object]], *, asks_why: bool = False
) -> Scenario:
    """A scenario of one read. It is repeated as the engine repeats it: after the wait that the
    error asks for, and never after a permanent error.
    """
    return Scenario(name, lambda stage: _Reading(stage.clock, make(stage)), asks_why)


@dataclass
class _Reading:
    clock: FakeClock
    read: Callable[[], object]
    _not_before: datetime = NOON
    _done: int = 0
    _ended: bool = False
    _errors: list[str] = field(default_factory=list)

    def turn(self) -> None:
        if self.clock.now() < self._not_before:
            return
        try:
            self.read()
            self._done += 1
        except TryLaterError as error:
            self._errors.append(str(error))
            self._not_before = self.clock.now() + error.retry_after
        except NightdeskError as error:
            self._errors.append(str(error))
            self._ended = isinstance(error, PermanentError)

    def is_over(self) -> bool:
        return self._done > 0 or self._ended

    def effects(self) -> int:
        return self._done

    def reason(self) -> str:
        return "; ".join(self._errors)


# Faults ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """`until`: the time before which GitHub wants to hear nothing, from the time of the fault.
    `passes`: whether a later try can succeed.
    """

    name: str
    order: dict[str, Any]
    until: Callable[[datetime], datetime] = lambda at: at
    passes: bool = True
    timeouts: Timeouts = PATIENT


def _after(seconds: int) -> Callable[[datetime], datetime]:
    return lambda at: at + timedelta(seconds=seconds)


_RESET = NOON + timedelta(minutes=25)
_SECONDARY = {
    "message": "You have exceeded a secondary rate limit.",
    "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
}
_SPENT = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(_RESET.timestamp()))}


def _status(status: int, **more: Any) -> dict[str, Any]:
    return {"kind": "status", "status": status, "body": {"message": "as ordered"}, **more}


FAULTS = (
    Fault("lost before its effect", {"kind": "drop_before"}),
    Fault("lost after its effect", {"kind": "drop_after"}),
    Fault("timeout", {"kind": "delay", "seconds": SLOW_SECONDS}, timeouts=HASTY),
    Fault("500", _status(500)),
    Fault("502 in HTML", _status(502, body="<h1>Bad gateway</h1>")),
    Fault("502 after its effect", _status(502, after=True)),
    Fault("503", _status(503)),
    Fault("403 with Retry-After", _status(403, headers={"Retry-After": "90"}), _after(90)),
    Fault(
        "403 with Retry-After after its effect",
        _status(403, headers={"Retry-After": "90"}, after=True),
        _after(90),
    ),
    Fault("429 with Retry-After", _status(429, headers={"Retry-After": "200"}), _after(200)),
    Fault("429", _status(429), _after(60)),
    Fault("secondary limit", _status(403, body=_SECONDARY), _after(60)),
    Fault("primary limit", _status(403, headers=_SPENT), lambda _: _RESET),
    Fault("403", _status(403), passes=False),
    Fault("404", _status(404), passes=False),
    Fault("410", _status(410), passes=False),
    Fault("422", _status(422), passes=False),
)


# Running --------------------------------------------------------------------------------------


@dataclass
class Run:
    """What happened: the requests of each turn, in order."""

    play: Play
    turns: list[list[LoggedRequest]] = field(default_factory=list)

    @property
    def requests(self) -> list[LoggedRequest]:
        return [entry for turn in self.turns for entry in turn]


def run(stage: Stage, scenario: Scenario, fault: Fault | None = None, call: int = 0) -> Run:
    """Play it to its end, with the fault at the call of that number (from 0)."""
    play = scenario.begin(stage)
    log = stage.github.server.state.requests
    seen = log.count
    if fault is not None:
        stage.github.control("POST", "/faults", {**fault.order, "skip": call})
    done = Run(play)
    for _ in range(MOST_TURNS):
        play.turn()
        stage.let_github_finish()
        done.turns.append([entry for entry in log.entries if entry.number > seen])
        seen = log.count
        if play.is_over():
            break
        stage.clock.advance(MINUTE)
    stage.github.server.state.faults.clear()
    return done


def assert_borne(scenario: Scenario, clean: Run, disturbed: Run, fault: Fault) -> None:
    """Hold a run with a fault against the run without."""
    hit = next((entry for entry in disturbed.requests if entry.fault), None)
    assert hit is not None, "the fault hit no call"
    early = [
        f"{entry.method} {entry.path}"
        for entry in disturbed.requests
        if entry.number > hit.number and entry.at < fault.until(hit.at)
    ]
    assert not early, f"sent before the wait was over: {early}"
    most = max(map(_repeated, clean.turns)) + (scenario.asks_why and fault.name == "422")
    assert max(map(_repeated, disturbed.turns)) <= most, "a call was repeated within a turn"
    effects, reason = disturbed.play.effects(), disturbed.play.reason()
    assert disturbed.play.is_over(), f"never came to an end: {reason}"
    if fault.passes:
        assert effects == 1, f"{effects} effects: {reason}"
    else:
        assert effects <= 1, f"{effects} effects: {reason}"
        assert effects or reason, "nothing was done, and nobody is told why"


def _repeated(turn: list[LoggedRequest]) -> int:
    counts = Counter((entry.method, entry.path, entry.query, entry.body) for entry in turn)
    return max(counts.values(), default=0)
