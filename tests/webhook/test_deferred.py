"""What the webhook cannot decide in time waits for the poller; nothing is lost or done twice."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from threading import Event
from typing import Any

import pytest

from nightdesk.domain.deferred_events import GIVEN_UP_AFTER
from nightdesk.domain.errors import NightdeskError, TryLaterError, UnavailableError
from nightdesk.domain.github_ports import GithubNotFoundError, Repository
from nightdesk.domain.repository_rules import NO_RULES, RepositoryRules
from nightdesk.domain.specialist import EventTrigger
from nightdesk.services.bounded_gate import BoundedGateReader
from tests.fakes.clock import FakeClock
from tests.fakes.gate_reader import FakeGateReader
from tests.fakes.github import REPO, issue_facts
from tests.fakes.kill import Kill, KillSwitch
from tests.webhook.world import WebhookWorld, as_in_feed, issue, payload

MINUTE = timedelta(minutes=1)
OPENED = payload("opened", issue=issue(12))
DOWN = UnavailableError("GitHub: 502")


@pytest.fixture
def deferred(world: WebhookWorld) -> WebhookWorld:
    """A deployment that polls nothing, and one event that waits."""
    world.settings = replace(world.settings, repos="")
    world.source.issues[12] = issue_facts(12)
    world.gate_reader.failures = [DOWN]
    answer = world.deliver("issues", OPENED)
    assert answer.status is HTTPStatus.ACCEPTED
    assert answer.body == {"ok": True, "taskIds": [], "state": "deferred"}
    assert world.agents() == []
    world.clock.advance(timedelta(seconds=1))
    return world


def outcomes(world: WebhookWorld, number: int = 12) -> list[tuple[str, str]]:
    """Newest first."""
    found = world.decisions.of(REPO.full_name, number)
    return [(outcome.result, outcome.detail) for d in found for outcome in d.outcomes]


# The drain ------------------------------------------------------------------------------------


def test_the_next_poll_imports_it_though_no_repository_is_polled(deferred: WebhookWorld) -> None:
    assert deferred.status()["deferredEvents"] == 1
    answer = deferred.poll()

    assert deferred.agents() == ["enricher"]
    (task,) = deferred.tasks.tasks.values()
    assert task.trigger_source.value == "webhook"
    assert answer["deferred"] == {
        "eventsProcessed": 1,
        "eventsSkipped": 0,
        "skipped": {},
        "eventsWaiting": 0,
    }
    assert [result for result, _ in outcomes(deferred)] == ["task", "deferred"]
    assert deferred.status()["deferredEvents"] == 0
    assert "deferred" not in deferred.poll()


def test_what_may_happen_again_waits_like_the_rest(world: WebhookWorld) -> None:
    world.wants("asker", EventTrigger(event="issues", actions=("labeled",)))
    world.source.issues[12] = issue_facts(12, labels=("review",))
    world.gate_reader.failures = [DOWN]
    labelled = issue(12, created_at="2026-11-01T12:00:00Z")
    sent = payload("labeled", label={"name": "review"}, issue=labelled)

    assert world.deliver("issues", sent).body["state"] == "deferred"
    world.clock.advance(timedelta(seconds=1))
    world.poll()

    assert world.agents() == ["asker"]


def test_a_redelivery_meanwhile_makes_the_task_and_the_drain_none(deferred: WebhookWorld) -> None:
    assert len(deferred.deliver("issues", OPENED).body["taskIds"]) == 1
    assert deferred.poll()["deferred"]["skipped"] == {"already_started": 1}
    assert (deferred.agents(), deferred.deferred.rows) == (["enricher"], {})


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (lambda world: world.source.issues.update({12: issue_facts(12, state="closed")}), "closed"),
        (lambda world: world.source.issues.clear(), "gone"),
        (
            lambda world: setattr(world.source, "repo", replace(REPO, id=999)),
            "other_repository",
        ),
    ],
    ids=["closed", "deleted", "another repository of this name"],
)
def test_the_issue_is_looked_at_as_it_is_now(
    deferred: WebhookWorld, now: Callable[[WebhookWorld], None], reason: str
) -> None:
    now(deferred)
    assert deferred.poll()["deferred"]["skipped"] == {reason: 1}
    assert (deferred.agents(), deferred.deferred.rows) == ([], {})
    assert outcomes(deferred)[0][0] == reason


def test_what_fails_again_waits_longer_each_time(deferred: WebhookWorld) -> None:
    tried = []
    for minute in range(70):
        deferred.gate_reader.failures = [DOWN]
        if "deferred" in deferred.poll():
            tried.append(minute)
        deferred.clock.advance(MINUTE)
    assert tried == [0, 1, 3, 7, 15, 31, 61]


def test_the_wait_that_github_wants_is_kept(world: WebhookWorld) -> None:
    world.settings = replace(world.settings, repos="")
    world.source.issues[12] = issue_facts(12)
    limited = TryLaterError("GitHub: 429", retry_after=timedelta(minutes=10))
    world.gate_reader.failures = [limited]
    world.deliver("issues", OPENED)
    asked = len(world.gate_reader.calls)
    for _ in range(10):
        world.poll()
        world.clock.advance(MINUTE)
    assert len(world.gate_reader.calls) == asked

    world.gate_reader.failures = [replace_wait(limited, 30)]
    world.poll()
    for _ in range(30):
        assert "deferred" not in world.poll()
        world.clock.advance(MINUTE)
    world.poll()
    assert world.agents() == ["enricher"]


def replace_wait(error: TryLaterError, minutes: int) -> TryLaterError:
    return TryLaterError(str(error), retry_after=timedelta(minutes=minutes))


def test_after_a_day_it_is_given_up_and_people_can_read_why(deferred: WebhookWorld) -> None:
    for _ in range(int(GIVEN_UP_AFTER / MINUTE) // 10 + 4):
        deferred.gate_reader.failures = [DOWN]
        deferred.poll()
        deferred.clock.advance(10 * MINUTE)
    assert deferred.deferred.rows == {}
    assert outcomes(deferred)[0] == ("given_up", "GitHub: 502")
    deferred.gate_reader.failures = []
    deferred.poll()
    assert deferred.agents() == []


def test_events_that_always_fail_do_not_hold_up_others(world: WebhookWorld) -> None:
    world.settings = replace(world.settings, repos="")
    for number in range(1, 9):
        world.gate_reader.failures = [DOWN]
        world.deliver("issues", payload("opened", issue=issue(number)))
        world.clock.advance(timedelta(seconds=1))
        world.source.issues[number] = issue_facts(number)
    whole = world.source.issue

    def issue_of(repo: str, number: int) -> Any:
        if number < 6:
            raise UnavailableError("GitHub: 500")
        return whole(repo, number)

    world.source.issue = issue_of  # type: ignore[method-assign]
    world.poll()
    world.poll()
    assert len(world.agents()) == 3


def test_an_event_that_breaks_the_poller_does_not_break_the_next_poll(
    deferred: WebhookWorld,
) -> None:
    deferred.gate_reader.found = None  # type: ignore[assignment] # a defect
    with pytest.raises(AttributeError):
        deferred.poll()
    assert deferred.status()["deferredEvents"] == 1
    deferred.poll()  # it waits


def test_a_repository_that_is_gone_ends_its_events(deferred: WebhookWorld) -> None:
    def gone(repo: str) -> Repository:
        raise GithubNotFoundError(f"{repo}: 404")

    deferred.source.repository = gone  # type: ignore[method-assign]
    assert deferred.poll()["deferred"]["skipped"] == {"gone": 1}


# Any fault at any call ------------------------------------------------------------------------


class Fails(KillSwitch):
    """The call fails, before or after its effect, and the process goes on."""

    def __init__(self, calls: int, error: NightdeskError, *, after_effect: bool) -> None:
        super().__init__(calls, after_effect=after_effect)
        self._error: NightdeskError | None = error

    def run(self, name: str, call: Callable[[], Any]) -> Any:
        try:
            return super().run(name, call)
        except Kill:
            error, self._error, self._calls = self._error, None, None
            if error is None:
                raise
            raise error from None


ERRORS: dict[str, NightdeskError | None] = {
    "killed": None,
    "unavailable": UnavailableError("no answer"),
    "limited": TryLaterError("429", retry_after=timedelta(minutes=3)),
}


def switch_of(error: NightdeskError | None, calls: int, *, after: bool) -> KillSwitch:
    if error is None:
        return KillSwitch(calls, after_effect=after)
    return Fails(calls, error, after_effect=after)


def deliver(world: WebhookWorld, switch: KillSwitch | None = None) -> bool:
    """Whether GitHub was told that all is well."""
    try:
        answer = world.deliver_bytes("issues", json.dumps(OPENED).encode(), switch)
    except Kill:
        return False
    return answer.status is HTTPStatus.ACCEPTED


def poll(world: WebhookWorld, switch: KillSwitch | None = None) -> None:
    try:
        world.poll(switch)
    except Kill:
        world.clock.advance(MINUTE)  # the lease of the dead


@pytest.mark.parametrize("polled", [False, True], ids=["webhook-alone", "polled-too"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("gate", [None, DOWN], ids=["well", "down"])
def test_it_is_one_task_whatever_fails_in_webhook_and_drain(
    *, error: NightdeskError | None, after: bool, polled: bool, gate: NightdeskError | None
) -> None:
    places = 0
    for webhook_place in range(14):
        for drain_place in range(0, 20, 1 if webhook_place in {0, 3} else 6):
            world = begin(polled=polled, gate=gate)
            switch = switch_of(error, webhook_place, after=after)
            told = deliver(world, switch)
            places = max(places, len(switch.made))
            if not told:  # a person presses "redeliver"; or the poll finds it
                assert polled or deliver(world)
            poll(world, switch_of(error, drain_place, after=after))
            for _ in range(12):
                world.clock.advance(MINUTE)
                poll(world)
            deliver(world)
            assert world.agents() == ["enricher"], (webhook_place, drain_place)
            assert world.deferred.rows == {}, (webhook_place, drain_place)
    assert places > 1


def begin(*, polled: bool, gate: NightdeskError | None) -> WebhookWorld:
    world = WebhookWorld()
    world.source.issues[12] = issue_facts(12)
    if polled:
        world.watch()
        late = {"updated_at": world.clock.now().isoformat().replace("+00:00", "Z")}
        sent = payload("opened", issue=issue(12, **late))
        world.source.events.append(as_in_feed("e1", "IssuesEvent", sent))
    else:
        world.settings = replace(world.settings, repos="")
    world.gate_reader.failures = [gate]
    return world


# The time that reading may take ---------------------------------------------------------------


class Hanging(FakeGateReader):
    def __init__(self) -> None:
        super().__init__()
        self.over = Event()

    def rules(self, repo: Repository) -> RepositoryRules:
        super().rules(repo)
        self.over.wait(5)
        return NO_RULES


def test_reading_ends_in_time_though_nothing_answers() -> None:
    reader, limit = Hanging(), timedelta(milliseconds=30)
    with ThreadPoolExecutor(1) as pool:
        bounded = BoundedGateReader(reader, pool, clock=FakeClock(), limit=limit)
        began = time.monotonic()
        with pytest.raises(UnavailableError, match=r"not answered within 0\.03 s"):
            bounded.rules(REPO)
        assert time.monotonic() - began < 1
        reader.over.set()


def test_reads_share_the_time() -> None:
    clock, reader = FakeClock(), FakeGateReader()
    with ThreadPoolExecutor(1) as pool:
        bounded = BoundedGateReader(reader, pool, clock=clock, limit=timedelta(milliseconds=600))
        bounded.rules(REPO)
        clock.advance(timedelta(milliseconds=600))
        with pytest.raises(UnavailableError):
            bounded.changed_paths(REPO.full_name, 12)
    assert reader.calls == ["rules octo-org/widgets"]
