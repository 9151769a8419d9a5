"""No event is lost and none is doubled, whatever the feed and the machines do."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.domain.errors import NightdeskError, TryLaterError, UnavailableError
from nightdesk.domain.github_ports import FeedEvent
from tests.fakes.github import FakeEventSource, issue_event, issue_facts
from tests.fakes.kill import Kill, KillSwitch
from tests.poller.world import PollerWorld

PER_PAGE = 4
WINDOW = 3 * PER_PAGE


@dataclass
class Feed:
    """A repository that people are busy in, and a GitHub that shows it late and in disorder."""

    world: PollerWorld
    random: Random
    waiting: list[tuple[datetime, FeedEvent]] = field(default_factory=list)
    numbers: int = 0
    #: Issues whose event stood in the window during a whole poll: these must have a task.
    owed: set[int] = field(default_factory=set)

    def opens(self, count: int, *, late: timedelta) -> None:
        for _ in range(count):
            self.numbers += 1
            self.world.source.issues[self.numbers] = issue_facts(self.numbers)
            at = self.world.clock.now().replace(microsecond=0)
            event = issue_event(str(self.random.getrandbits(40)), self.numbers, at)
            shown = self.world.clock.now() + late * self.random.random()
            self.waiting.append((shown, event))
        self.show()

    def show(self, _page: int = 0) -> None:
        now = self.world.clock.now()
        self.world.source.events += [event for shown, event in self.waiting if shown <= now]
        self.waiting = [(shown, event) for shown, event in self.waiting if shown > now]

    def passes(self, time: timedelta) -> None:
        self.world.clock.advance(time)
        self.show()

    def visible(self) -> set[int]:
        return {event.payload["issue"]["number"] for event in self.world.source.window()}

    def poll(self, switch: KillSwitch | None = None) -> None:
        source = self.world.source
        before, pages = self.visible(), source.pages_served
        try:
            answer = self.world.poll(switch)
        except Kill:
            return
        summary = answer["summary"]
        found = summary["totalEventsProcessed"] + summary["totalEventsSkipped"]
        assert summary["totalEventsFound"] == found
        for result in answer["results"]:
            assert result["eventsSkipped"] == sum(result["skipped"].values())
        if source.pages_served > pages and not any("error" in r for r in answer["results"]):
            self.owed |= before & self.visible()


step = st.one_of(
    st.tuples(st.just("open"), st.integers(1, 3), st.sampled_from([0, 1, 30, 300])),
    st.tuples(st.just("burst"), st.integers(8, 40), st.sampled_from([0, 5])),
    st.tuples(st.just("poll"), st.just(0), st.just(0)),
    st.tuples(st.just("kill"), st.integers(0, 40), st.booleans()),
    st.tuples(st.just("fail"), st.integers(0, 12), st.booleans()),
    st.tuples(st.just("shift"), st.integers(1, 3), st.just(0)),
    st.tuples(st.just("lie"), st.booleans(), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 30), st.just(0)),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.lists(step, min_size=3, max_size=40))
def test_no_event_is_lost_and_no_task_is_doubled(
    seed: int, steps: list[tuple[str, int, int]]
) -> None:
    world = PollerWorld(source=FakeEventSource(per_page=PER_PAGE))
    feed = Feed(world, Random(seed))
    world.watch()
    for name, number, detail in steps:
        _take(feed, name, number, detail)
    world.source.lies = False
    world.source.failures = []
    feed.passes(timedelta(hours=6))
    feed.poll()

    started = [origin.target.number for origin in world.tasks.origins.values() if origin.target]
    assert len(started) == len(set(started))
    assert feed.owed <= set(started)
    assert feed.visible() <= set(started)


def _take(feed: Feed, name: str, number: int, detail: int) -> None:
    match name:
        case "open" | "burst":
            feed.opens(number, late=timedelta(minutes=detail))
        case "poll":
            feed.passes(timedelta(minutes=1))
            feed.poll()
        case "kill":
            feed.passes(timedelta(minutes=7))  # or the lease of the one before holds it off
            feed.poll(KillSwitch(number, after_effect=bool(detail)))
        case "fail":
            _fail(feed, number, limited=bool(detail))
        case "shift":
            _shift(feed, number)
        case "lie":
            feed.world.source.lies = bool(number)
        case _:
            feed.passes(timedelta(minutes=number))


def _fail(feed: Feed, calls: int, *, limited: bool) -> None:
    """A poll whose call to GitHub after `calls` others fails."""
    failure: NightdeskError = UnavailableError("GitHub: 502")
    if limited:
        failure = TryLaterError("limited", retry_after=timedelta(minutes=3))
    feed.world.source.failures = [*[None] * calls, failure]
    feed.passes(timedelta(minutes=7))
    feed.poll()
    feed.world.source.failures = []


def _shift(feed: Feed, count: int) -> None:
    """A poll during which the pages move, because issues are opened between two of them."""

    def opens_between_pages(page: int) -> None:
        if page > 1:
            feed.opens(count, late=timedelta(0))

    feed.world.source.before_page = opens_between_pages
    feed.passes(timedelta(minutes=1))
    feed.poll()
    feed.world.source.before_page = lambda _page: None
