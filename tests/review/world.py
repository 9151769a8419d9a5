"""A publisher on fakes: a finished review of pull request 12, and what it found."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nightdesk.domain.intents.review import review_intent
from nightdesk.domain.task import Target
from nightdesk.services.outbox_rows import Outcome
from nightdesk.services.task_changes import TaskChanges
from tests.fakes.kill import KillSwitch
from tests.fakes.pulls import HEAD, FakePull, FakePulls
from tests.publisher.world import TASK, PublisherWorld
from tests.review.examples import CART, LOGO, finding

REVIEW_ROW = "github#0001#review#1"
TARGET = Target(repo="octo-org/widgets", repo_id=501, number=12, kind="pull_request", head_sha=HEAD)


def changes_of(pull: FakePull, **target: Any) -> TaskChanges:
    """The changes of a task about this pull request."""
    return TaskChanges(FakePulls({12: pull}), "t-1", replace(TARGET, **target))


class ReviewWorld(PublisherWorld):
    """`PublisherWorld` whose task is about a pull request with two changed files."""

    def __init__(self) -> None:
        super().__init__()
        self.pull = FakePull(files=(CART, LOGO))
        self.github.pulls[12] = self.pull
        self.origin(target=TARGET, intents=(("review", 1),))

    def found(
        self, *findings: Mapping[str, Any], summary: str = "Not yet.", row: str = REVIEW_ROW
    ) -> None:
        """The row of a session that ended with these findings."""
        proposed = [{"name": "finding", "head": HEAD, **one} for one in findings]
        intent = review_intent(summary, proposed)
        self.intends({k: v for k, v in intent.items() if k != "name"}, row=row)

    def publish_review(self, switch: KillSwitch | None = None) -> Outcome:
        return self.publish(REVIEW_ROW, switch)

    @property
    def publication(self) -> str | None:
        return self.tasks.tasks[TASK].publication

    def earlier_review(self, *findings: Mapping[str, Any]) -> None:
        """A review of another task of ours, posted some time ago."""
        earlier = ReviewWorld()
        earlier.github.pulls[12] = self.pull
        earlier.pull = self.pull
        earlier.found(*(findings or (finding(),)))
        row = earlier.row(REVIEW_ROW)
        earlier.outbox.rows.clear()
        earlier.intends(row.payload, row="github#0007#review#1")
        assert earlier.publish("github#0007#review#1") is Outcome.DONE
