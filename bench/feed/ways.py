"""Ways to poll the modelled feed: three that are in use elsewhere, and ours, as it is shipped."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from bench.feed.model import Happening, feed
from nightdesk.domain.github_ports import Change
from tests.fakes.clock import NOON
from tests.fakes.github import FakeEventSource, issue_event, issue_facts
from tests.fakes.kill import Kill, KillSwitch
from tests.poller.world import PollerWorld

MINUTE = timedelta(minutes=1)
#: Of polls: how many are killed somewhere, and how many begin an hour of false "unchanged".
KILLED, LIES = 0.1, 0.01
LIE = timedelta(hours=1)
#: How long GitHub takes for a page of its feed.
PAGE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of all that happened: how many events made nothing, and how many more tasks than one."""

    happened: int
    lost: int
    doubled: int


def _outcome(found: list[Happening], made: Counter[int]) -> Outcome:
    lost = sum(made[h.number] == 0 for h in found)
    return Outcome(len(found), lost, sum(count - 1 for count in made.values() if count > 1))


Pick = Callable[[list[Happening], object], tuple[list[Happening], object]]


def stop_at_last_id(shown: list[Happening], last: object) -> tuple[list[Happening], object]:
    """One page of 30, down to the event that was the first the last time."""
    page = shown[:30]
    ids = [h.id for h in page]
    end = ids.index(str(last)) if last in ids else len(page)
    return page[:end], ids[0] if ids else last


def higher_ids(shown: list[Happening], last: object) -> tuple[list[Happening], object]:
    """One page of 100: what has a higher id than any before."""
    page, highest = shown[:100], int(str(last or 0))
    return [h for h in page if int(h.id) > highest], max([highest, *(int(h.id) for h in page)])


def later_times(shown: list[Happening], last: object) -> tuple[list[Happening], object]:
    """All 300: what happened later than anything before."""
    known = last if isinstance(last, datetime) else None
    picked = [h for h in shown if known is None or h.at > known]
    return picked, max((h.at for h in shown), default=last)


def followed(found: list[Happening], pick: Pick, until: datetime) -> Outcome:
    """Polled each minute, never killed and never lied to: the best that can be said for it."""
    made: Counter[int] = Counter()
    last: object = None
    now = NOON
    while now < until:
        picked, last = pick(feed(found, now), last)
        made.update(h.number for h in picked)
        now += MINUTE
    return _outcome(found, made)


def ours(found: list[Happening], seed: int, until: datetime, *, lists: bool) -> Outcome:
    """The real poller on fakes. One poll in ten is killed before or after some call to
    GitHub or AWS, and now and then GitHub says "unchanged" for an hour, whatever happens.
    """
    world, random = PollerWorld(source=FakeEventSource()), Random(seed)
    events = {h.number: issue_event(h.id, h.number, h.at) for h in found}
    world.source.issues = {h.number: issue_facts(h.number) for h in found}
    changes = {h.number: _change(h) for h in found}
    honest_from = world.clock.now()

    def show() -> None:
        now = world.clock.now()
        world.source.events = [events[h.number] for h in found if h.shown_at <= now]
        if lists:
            world.source.changed = [changes[h.number] for h in found if h.at <= now]

    def shift(_page: int) -> None:
        """Time passes between two pages, and what is shown moves them."""
        world.clock.advance(PAGE)
        show()

    world.source.before_page = shift
    world.poll()
    while world.clock.now() < until:
        world.clock.advance(MINUTE)
        show()
        if random.random() < LIES:
            honest_from = world.clock.now() + LIE
        world.source.lies = world.clock.now() < honest_from
        kill = random.random() < KILLED
        # An unchanged feed takes four calls, a burst hundreds.
        calls, after = random.randrange(random.choice((5, 50))), random.random() < 0.5
        try:
            world.poll(KillSwitch(calls, after_effect=after) if kill else None)
        except Kill:
            continue
    targets = [origin.target for origin in world.tasks.origins.values()]
    return _outcome(found, Counter(target.number for target in targets if target))


def _change(h: Happening) -> Change:
    item = replace(issue_event("", h.number, h.at), id="")
    return Change(item=item, facts=issue_facts(h.number), updated_at=h.at)
