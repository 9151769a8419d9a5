from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from nightdesk.domain.errors import TryLaterError, UnavailableError
from nightdesk.domain.github_ports import Account, Change, Changes, Repository
from nightdesk.domain.specialist import EventTrigger
from nightdesk.services.polling.new_events import FEED_EVENTS
from nightdesk.services.reconcile import EVERY, OVERLAP
from tests.fakes.clock import NOON
from tests.fakes.github import AUTHOR, FakeEventSource, issue_event, issue_facts
from tests.poller.world import PollerWorld

PUSHED = EventTrigger(event="pull_request", actions=("opened", "synchronize"))
ONLY_OPENED = EventTrigger(event="pull_request", actions=("opened",))


def changed_issue(number: int, at: datetime, *, updated: datetime | None = None) -> Change:
    item = replace(issue_event("", number, at), id="")
    return Change(item=item, facts=issue_facts(number), updated_at=updated or at)


def changed_pull(number: int, at: datetime, head: str, *, updated: datetime) -> Change:
    payload: dict[str, Any] = {
        "action": "opened",
        "pull_request": {"id": 2_000 + number, "number": number, "head": {"sha": head}},
    }
    item = replace(issue_event("", number, at), type="PullRequestEvent", payload=payload)
    facts = issue_facts(number, is_pull_request=True)
    return Change(item=item, facts=facts, updated_at=updated, head_sha=head)


def next_turn(world: PollerWorld) -> dict[str, Any]:
    world.clock.advance(EVERY)
    return world.poll_one()


def test_an_issue_that_the_feed_never_shows_is_found_in_the_list(world: PollerWorld) -> None:
    world.watch()
    world.source.changed = [changed_issue(12, world.clock.now())]

    result = next_turn(world)

    assert (result["eventsReconciled"], result["eventsFound"], result["eventsProcessed"]) == (
        1,
        1,
        1,
    )
    assert world.agents() == ["enricher"]


@pytest.mark.parametrize("first", ["feed", "list"])
def test_feed_and_list_make_one_task(world: PollerWorld, first: str) -> None:
    world.watch()
    now = world.clock.now()
    in_list = changed_issue(12, now)
    if first == "feed":
        world.happens(12)
        world.poll()
        world.source.changed = [in_list]
    else:
        world.source.changed = [in_list]
        next_turn(world)
        world.happens(12)
    next_turn(world)
    assert world.agents() == ["enricher"]


def test_what_was_made_before_watching_starts_nothing_however_it_changes(
    world: PollerWorld,
) -> None:
    world.source.changed = [changed_issue(1, NOON - timedelta(days=400))]
    world.watch()
    for _ in range(3):
        changed = changed_issue(1, NOON - timedelta(days=400), updated=world.clock.now())
        world.source.changed = [changed, changed_issue(2, NOON - timedelta(seconds=1))]
        next_turn(world)
    assert world.agents() == []


def test_lists_are_read_every_few_minutes_and_not_by_each_poll(world: PollerWorld) -> None:
    world.poll()
    for _ in range(10):
        world.clock.advance(timedelta(minutes=1))
        world.poll()
    assert world.source.lists_read == [NOON - OVERLAP] * 2


def test_many_repositories_take_their_turns(world: PollerWorld) -> None:
    repos = ["octo-org/widgets", *(f"o/r{number}" for number in range(299))]
    world.settings = replace(world.settings, repos=",".join(repos))
    for _ in range(10):
        world.poll()
        world.clock.advance(timedelta(minutes=5))
    assert world.source.lists_read == []
    world.poll()
    assert len(world.source.lists_read) == 1


def test_the_cursor_stays_when_a_list_cannot_be_read(world: PollerWorld) -> None:
    class Broken(FakeEventSource):
        def changes(self, repo: Repository, since: datetime, **more: Any) -> Changes:
            if self.lies:
                raise UnavailableError("GitHub: 502")
            return super().changes(repo, since, **more)

    world.source = Broken(lies=True)
    world.watch()
    world.source.changed = [changed_issue(12, world.clock.now())]
    assert next_turn(world)["error"] == "GitHub: 502"
    assert world.agents() == []
    world.source.lies = False
    next_turn(world)
    assert world.agents() == ["enricher"]


def test_a_rate_limit_leaves_the_lists_alone(world: PollerWorld) -> None:
    world.watch()
    world.source.failures = [TryLaterError("GitHub: 429", retry_after=timedelta(minutes=1))]
    assert next_turn(world)["error"] == "GitHub: 429"
    assert world.source.lists_read == []


# Pushes ---------------------------------------------------------------------------------------


def test_a_push_to_a_pull_request_is_seen_by_its_head(world: PollerWorld) -> None:
    world.wants("reviewer", PUSHED)
    world.wants("greeter", ONLY_OPENED)
    world.watch()
    opened = world.clock.now()
    for head in ("a", "a", "b", "b"):
        updated = opened if head == "a" else world.clock.now()
        world.source.changed = [changed_pull(13, opened, head * 40, updated=updated)]
        next_turn(world)
    assert world.agents() == ["greeter", "reviewer", "reviewer"]
    events = {o.trigger.event for o in world.tasks.origins.values() if o.trigger}
    assert events == {"pull_request.opened", "pull_request.synchronize"}


def test_a_pull_request_that_was_pushed_to_before_it_was_seen_is_not_opened_twice(
    world: PollerWorld,
) -> None:
    world.wants("greeter", ONLY_OPENED)
    world.wants("reviewer", PUSHED)
    world.watch()
    opened = world.clock.now()
    by_feed = changed_pull(13, opened, "a" * 40, updated=opened)
    world.source.issues[13] = issue_facts(13)
    world.source.events.append(replace(by_feed.item, id="e13"))
    later = opened + timedelta(minutes=1)
    world.source.changed = [changed_pull(13, opened, "b" * 40, updated=later)]
    next_turn(world)
    assert world.agents() == ["greeter", "reviewer", "reviewer"]


def test_a_head_that_stays_is_no_push(world: PollerWorld) -> None:
    world.wants("pushed", EventTrigger(event="pull_request", actions=("synchronize",)))
    world.watch()
    opened = world.clock.now()
    for _ in range(3):
        world.source.changed = [changed_pull(13, opened, "a" * 40, updated=opened)]
        next_turn(world)
    assert world.agents() == []


def test_pull_requests_that_were_open_before_watching_start_with_their_next_push(
    world: PollerWorld,
) -> None:
    world.wants("reviewer", PUSHED)
    world.watch()
    old = NOON - timedelta(days=9)
    world.source.changed = [changed_pull(13, old, "a" * 40, updated=old)]
    next_turn(world)
    assert world.agents() == []
    world.source.changed = [changed_pull(13, old, "b" * 40, updated=world.clock.now())]
    next_turn(world)
    assert world.agents() == ["reviewer"]


# Gaps -----------------------------------------------------------------------------------------


def test_a_feed_without_a_known_event_is_a_gap_that_is_made_good_at_once(
    world: PollerWorld,
) -> None:
    world.watch()
    world.happens(1)
    world.poll()
    checked = world.clock.now()
    world.clock.advance(timedelta(minutes=1))
    world.source.changed = [changed_issue(900, world.clock.now())]
    stranger = Account(id=AUTHOR.id, login=AUTHOR.login)
    for number in range(FEED_EVENTS):
        world.happens(2 + number, action="pinned", actor=stranger)

    result = world.poll_one()

    assert (result["gap"], result["eventsReconciled"]) == (True, 1)
    (state,) = world.status()["repositories"]
    assert state["gaps"] == [{"from": iso(checked), "to": iso(world.clock.now())}]
    world.happens(500)
    assert "gap" not in next_turn(world)


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
