"""A scheduled task of a repository from its due time to the issue that it opens: the repository
is read from, and the issue opened on, the simulator over HTTP.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.credentials.personal import PersonalWriteToken
from nightdesk.adapters.github.publishing import GithubPublishing
from nightdesk.adapters.github.snapshots import GithubSnapshots
from nightdesk.domain.github_ports import RepositoryToken
from nightdesk.domain.outbox import OutboxRow, OutboxState
from nightdesk.domain.ports import TaskStore
from nightdesk.domain.specialist import ScheduleTrigger
from nightdesk.domain.task import TaskStatus
from nightdesk.services.answer_token import TokenBrokerPorts, answer_token
from nightdesk.services.publish_intents import publish_row
from nightdesk.services.publisher_ports import PublisherPorts
from nightdesk.services.run_schedules import SchedulerPorts, run_schedules
from nightdesk.services.run_session import run_session
from tests.engine.world import ENRICHER, World
from tests.fakes.clock import FakeClock
from tests.fakes.due_times import FakeDueTimes
from tests.fakes.model import calls, says
from tests.fakes.secrets import FakeRepositoryTokens
from tests.fakes.tracked_comments import FakeTrackedComments
from tests.github_simulator.conftest import (
    EVERYTHING,
    Github,
    github,
    repository_path,
    shared_simulator,
)

__all__ = ["github", "repository_path", "shared_simulator"]

NAME = "octo-org/widgets"
PLANNED = replace(
    ENRICHER,
    schedules=(ScheduleTrigger(cron="0 * * * *", repo=NAME),),
    tools=("read_file", "list_files", "read_issue"),
    intents=(("comment", 1), ("issue", 1), ("labels", 1), ("pull_request", 1)),
)


class Brokered:
    """`TaskTokens` by the broker's own rule."""

    def __init__(self, tasks: TaskStore, tokens: FakeRepositoryTokens) -> None:
        self._ports = TokenBrokerPorts(tasks=tasks, tokens=tokens)

    def token_for(self, task_id: str) -> RepositoryToken:
        answer = answer_token(task_id, self._ports)
        return RepositoryToken(token=answer["token"], repo=answer["repo"])


@pytest.fixture
def world() -> World:
    """The task of one due time waits."""
    world = World()
    world.specialists.specialists = [PLANNED]
    ports = SchedulerPorts(
        tasks=world.tasks,
        due_times=FakeDueTimes(),
        specialists=world.specialists,
        wake_ups=world.wake_ups,
        clock=world.clock,
        dice=world.dice,
        workspace_id="default",
    )
    run_schedules(ports)
    world.clock.advance(timedelta(hours=1))
    assert len(run_schedules(ports)) == 1
    return world


def test_it_reads_the_repository_and_opens_one_issue(world: World, github: Github) -> None:
    (task_id,) = world.tasks.tasks
    token = github.client("nightdesk-bot", permissions=EVERYTHING).token
    assert token is not None
    client = GithubClient(api_url=github.server.url, clock=FakeClock())
    tokens = FakeRepositoryTokens(token)
    world.model.will(
        calls(("list_files", {}), ("read_file", {"path": "src/app.py"}), ("read_issue", {})),
        calls(("propose_issue", {"title": "It leaks", "body": "See `src/app.py`."}), first_id=4),
        says("One issue proposed."),
    )

    claimed = world.claim(task_id)
    assert claimed is not None
    executor = replace(
        world.executor(),
        snapshots=GithubSnapshots(client, Brokered(world.tasks, tokens)),
    )
    hand_over_at = world.clock.now() + timedelta(minutes=14)
    run_session(claimed.task, claimed.origin, ports=executor, hand_over_at=hand_over_at)

    assert world.task(task_id).status is TaskStatus.COMPLETED
    assert tokens.asked == [(NAME, 0)]
    offered = {tool.name for tool in world.model.requests[0].tools}
    assert offered == {"list_files", "read_file", "propose_issue"}
    said = str(world.model.requests[1].messages)
    assert "src/app.py" in said
    assert [row.row for row in world.outbox.due(now=world.clock.now(), limit=9)] == [
        "github#0001#issue#1"
    ]

    publisher = PublisherPorts(
        outbox=world.outbox,
        tasks=world.tasks,
        github=GithubPublishing(client, PersonalWriteToken(client, read=lambda: token)),
        tracked=FakeTrackedComments(),
        clock=world.clock,
    )
    publish_row(task_id, "github#0001#issue#1", publisher)
    publish_row(task_id, "github#0001#issue#1", publisher)
    ours = [
        issue
        for issue in github.repository.issues.values()
        if issue.author.login == "nightdesk-bot"
    ]
    assert [issue.title for issue in ours] == ["It leaks"]

    # Whatever else stood in the outbox, or in the origin, finds no issue to go to.
    world.tasks.origins[task_id] = replace(claimed.origin, intents=PLANNED.intents)
    for intent in ("comment", "labels", "pull_request"):
        row = f"github#0001#{intent}#1"
        made = OutboxRow(
            task_id=task_id, row=row, payload={"body": "x"}, created_at=world.clock.now()
        )
        world.outbox.put(made)
        publish_row(task_id, row, publisher)
        refused = world.outbox.get(task_id, row)
        assert refused is not None
        assert refused.state is OutboxState.DEAD
        assert "no issue" in refused.last_error
