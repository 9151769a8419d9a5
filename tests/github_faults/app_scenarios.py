"""What Nightdesk does as a GitHub App: the same as ever, and the calls for its tokens before it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.credentials.app import GithubApp
from nightdesk.adapters.github.credentials.app_tokens import AppTokens
from nightdesk.adapters.github.issues import GithubIssueReader
from nightdesk.adapters.github.publishing import GithubPublishing
from nightdesk.adapters.tokens import BrokeredTokens
from nightdesk.domain.errors import NightdeskError
from nightdesk.domain.functions import FunctionFailedError
from nightdesk.domain.task import Target, TaskStatus
from nightdesk.services.answer_token import TokenBrokerPorts, answer_executor
from tests.github.test_app import APP_ID, PEM, PUBLIC
from tests.github_faults.harness import Scenario, Stage, reading
from tests.github_faults.scenarios import NAME, CommentPlay
from tests.github_simulator.conftest import EVERYTHING
from tests.publisher.world import TASK, PublisherWorld


def app_tokens(stage: Stage) -> AppTokens:
    """Install the App; nothing is asked yet."""
    fields = {
        "id": APP_ID,
        "slug": "night-desk",
        "owner": "octo-org",
        "public_key": PUBLIC,
        "permissions": EVERYTHING,
        "repositories": [NAME],
    }
    stage.github.control("POST", "/apps", fields)
    app = GithubApp(stage.client, app_id=str(APP_ID), private_key=lambda: PEM, clock=stage.clock)
    return AppTokens(app, clock=stage.clock)


class AppCommentPlay(CommentPlay):
    def publishing(self, stage: Stage) -> GithubPublishing:
        tokens = app_tokens(stage)
        client = GithubClient(
            api_url=stage.github.server.url,
            clock=stage.clock,
            timeouts=stage.timeouts,
            renewed=tokens.renewed,
        )
        return GithubPublishing(client, tokens)


@dataclass
class Broker:
    """`Functions` of which one is the token broker; it fails as a function on Lambda does."""

    ports: TokenBrokerPorts

    def invoke(self, name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return answer_executor(payload, self.ports)
        except NightdeskError as error:
            raise FunctionFailedError(f"{name} failed") from error


def issue_reader(stage: Stage) -> Any:
    number = stage.github.open_issue()
    target = Target(repo=NAME, repo_id=stage.github.repository.id, number=number, kind="issue")
    world = PublisherWorld()
    world.origin(target=target)
    world.tasks.tasks[TASK] = replace(world.tasks.tasks[TASK], status=TaskStatus.RUNNING)
    kept = app_tokens(stage)
    ports = TokenBrokerPorts(tasks=world.tasks, tokens=kept, renewed=kept.renewed)
    brokered = BrokeredTokens("broker", clock=stage.clock, functions=Broker(ports))
    client = GithubClient(
        api_url=stage.github.server.url,
        clock=stage.clock,
        timeouts=stage.timeouts,
        renewed=brokered.renewed,
    )
    reader = GithubIssueReader(client, brokered)
    return lambda: reader.read(TASK, target)


APP_SCENARIOS = (
    Scenario("comment as an App", AppCommentPlay, asks_why=True),
    reading("read issue as an App through the broker", issue_reader, asks_why=True),
)
