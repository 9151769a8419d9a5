"""What Nightdesk does on GitHub, one scenario each."""

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from nightdesk.adapters.github.credentials.personal import PersonalWriteToken
from nightdesk.adapters.github.events import GithubEventSource
from nightdesk.adapters.github.gate import GithubGateReader
from nightdesk.adapters.github.issues import GithubIssueReader
from nightdesk.adapters.github.publishing import GithubPublishing
from nightdesk.adapters.github.pulls import GithubPullReader
from nightdesk.adapters.github.snapshots import GithubSnapshots
from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.github_ports import Account
from nightdesk.domain.outbox import OutboxState
from nightdesk.domain.task import Target, TaskStatus
from nightdesk.services.poll_repositories import poll_repositories
from nightdesk.services.polling.limits import SharedLimits
from nightdesk.services.publish_intents import publish_row
from nightdesk.services.publisher_ports import PublisherPorts
from nightdesk.services.reconcile import EVERY
from tests.fakes.secrets import FakeRepositoryTokens, FakeTaskTokens
from tests.github_faults.harness import MINUTE, Scenario, Stage, reading
from tests.github_simulator.conftest import REPO
from tests.poller.world import PollerWorld
from tests.publisher.world import COMMENT_ROW, LABELS_ROW, TASK, PublisherWorld
from tests.review.examples import finding
from tests.review.world import REVIEW_ROW
from tests.webhook.world import WebhookWorld
from tests.webhook.world import issue as webhook_issue
from tests.webhook.world import payload as webhook_payload

NAME = REPO.removeprefix("/repos/")


# Polling --------------------------------------------------------------------------------------


class _Polled:
    """A poller on fakes but for GitHub; its effect is the task of one issue."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.world = PollerWorld()
        self.world.clock = stage.clock
        self._said: list[str] = []
        self._quiet = 0

    def poll(self) -> dict[str, Any]:
        ports = self.world.ports()
        tokens = FakeRepositoryTokens(self.stage.token)
        source = GithubEventSource(self.stage.client, tokens, ports.limits)
        gate_reader = GithubGateReader(
            self.stage.client, tokens, ports.limits, clock=self.stage.clock
        )
        ports = replace(ports, source=source, gate_reader=gate_reader)
        deadline = self.stage.clock.now() + 4 * MINUTE
        result: dict[str, Any] = poll_repositories(ports, deadline=deadline)["results"][0]
        return result

    def turn(self) -> None:
        result = self.poll()
        self._said += [result["error"]] if "error" in result else []
        self._said += [reason for reason in result["skipped"] if reason != "unsupported"]
        # A poller never ends: it is over when it has been well for a while.
        self._quiet = 0 if "error" in result else self._quiet + 1

    def is_over(self) -> bool:
        return self.effects() > 0 or self._quiet > 2 * (EVERY / MINUTE)

    def effects(self) -> int:
        return len(self.world.tasks.tasks)

    def reason(self) -> str:
        return "; ".join(self._said)


class PollPlay(_Polled):
    """From the first sight of a repository to the task of an issue that is opened then."""

    _opened = False

    def turn(self) -> None:
        super().turn()
        seen = self.world.states.seen_rows
        if seen and not self._opened:
            self._opened = True
            self.stage.clock.advance(MINUTE)
            self.stage.github.open_issue()
            self.stage.clock.advance(MINUTE)


class ReconcilePlay(_Polled):
    """The feed never shows the issue: the lists do."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.poll()
        stage.clock.advance(EVERY)
        stage.github.control("POST", f"{REPO}/events/irregularity", {"drop": True, "count": 9})
        number = stage.github.open_issue()
        comment = {"author": "ann", "body": "Soon, please."}
        stage.github.control("POST", f"{REPO}/issues/{number}/comments", comment)
        stage.github.open_pull()
        stage.clock.advance(EVERY)


class DrainPlay:
    """The poller imports what a webhook had to leave; nothing is polled or delivered again."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.world = WebhookWorld()
        self.world.clock = stage.clock
        self.world.settings = replace(self.world.settings, repos="")
        self.world.gate_reader.failures = [UnavailableError("GitHub: 500")]
        self._number = stage.github.open_issue()
        repository = stage.github.repository
        found = repository.issues[self._number]
        whole = webhook_payload("opened", issue=webhook_issue(self._number, id=found.id))
        sent = whole | {"repository": {"id": repository.id, "full_name": NAME}}
        assert self.world.deliver("issues", sent).status is HTTPStatus.ACCEPTED
        stage.clock.advance(MINUTE)

    def turn(self) -> None:
        tokens, ports = FakeRepositoryTokens(self.stage.token), self.world.ports()
        client, clock = self.stage.client, self.stage.clock
        reader = GithubGateReader(client, tokens, ports.limits, clock=clock)
        source = GithubEventSource(client, tokens, ports.limits)
        ports = replace(ports, source=source, gate_reader=reader)
        poll_repositories(ports, deadline=clock.now() + 4 * MINUTE)

    def is_over(self) -> bool:
        return not self.world.deferred.rows

    def effects(self) -> int:
        return len(self.world.tasks.tasks)

    def reason(self) -> str:
        found = self.world.decisions.of(NAME, self._number)
        return "; ".join(o.result + o.detail for decision in found for o in decision.outcomes)


# Reading --------------------------------------------------------------------------------------

_TARGET = Target(repo=NAME, repo_id=0, number=1, kind="issue")


def _read_issue(stage: Stage) -> Any:
    number = stage.github.open_issue()
    body = {"author": "bob", "body": "Me too."}
    stage.github.control("POST", f"{REPO}/issues/{number}/comments", body)
    reader = GithubIssueReader(stage.client, FakeTaskTokens(t=stage.token))
    return lambda: reader.read("t", _TARGET)


def _snapshot(stage: Stage) -> Any:
    snapshots = GithubSnapshots(stage.client, FakeTaskTokens(t=stage.token))

    def read() -> None:
        with snapshots.open("t", _TARGET) as snapshot:
            assert any(snapshot.files())

    return read


def _pull_target(stage: Stage) -> Target:
    """An open pull request with a review, at its present head."""
    number = stage.github.open_pull()
    comment = {"path": "src/app.py", "line": 5, "body": "Why?"}
    review = {"author": "ann", "body": "Hm.", "comments": [comment]}
    stage.github.control("POST", f"{REPO}/pulls/{number}/reviews", review)
    pull = stage.github.repository.issues[number].pull
    assert pull is not None
    return Target(
        repo=NAME,
        repo_id=stage.github.repository.id,
        number=number,
        kind="pull_request",
        head_sha=pull.head_sha,
    )


def _read_diff(stage: Stage) -> Any:
    target = _pull_target(stage)
    reader = GithubPullReader(stage.client, FakeTaskTokens(t=stage.token))
    return lambda: reader.diff("t", target)


def _read_what_was_said(stage: Stage) -> Any:
    target = _pull_target(stage)
    reader = GithubPullReader(stage.client, FakeTaskTokens(t=stage.token))
    return lambda: reader.comments("t", target)


def _read_history(stage: Stage) -> Any:
    target = _pull_target(stage)
    reader = GithubPullReader(stage.client, FakeTaskTokens(t=stage.token))
    return lambda: reader.history("t", target, path="src/app.py", limit=5)


def _gate_reader(stage: Stage) -> GithubGateReader:
    tokens = FakeRepositoryTokens(stage.token)
    return GithubGateReader(stage.client, tokens, SharedLimits(stage.clock), clock=stage.clock)


def _read_changed_paths(stage: Stage) -> Any:
    target, reader = _pull_target(stage), _gate_reader(stage)
    return lambda: reader.changed_paths(NAME, target.number)


def _read_permission(stage: Stage) -> Any:
    reader = _gate_reader(stage)
    ann = Account(id=stage.github.server.state.user("ann").id, login="ann")
    return lambda: reader.permission(NAME, ann)


def _read_changes(stage: Stage) -> Any:
    """The list of issues has not changed, so that a comment's issue is read by itself."""
    number, since = stage.github.open_issue(), stage.clock.now() - MINUTE
    stage.github.control(
        "POST", f"{REPO}/issues/{number}/comments", {"author": "bob", "body": "+1"}
    )
    tokens = FakeRepositoryTokens(stage.token)
    source = GithubEventSource(stage.client, tokens, SharedLimits(stage.clock))
    repo = source.repository(NAME)
    etags = (source.changes(repo, since, etags=()).etags[0], "", "")
    return lambda: source.changes(repo, since, etags=etags)


# Writing --------------------------------------------------------------------------------------


STARTED_ROW = "github#0001#started#1"


class _Published:
    """A row of the outbox about issue 1, on fakes but for GitHub."""

    row = COMMENT_ROW
    payload: dict[str, Any]

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.number = stage.github.open_issue()
        self.world = PublisherWorld()
        repo_id = stage.github.repository.id
        target = Target(repo=NAME, repo_id=repo_id, number=self.number, kind="issue")
        self.world.clock = stage.clock
        self.world.origin(target=target, created_at=stage.clock.now())
        self.world.intends(self.payload, row=self.row)
        self.ports = PublisherPorts(
            outbox=self.world.outbox,
            tasks=self.world.tasks,
            github=self.publishing(stage),
            tracked=self.world.tracked,
            clock=stage.clock,
        )

    def publishing(self, stage: Stage) -> GithubPublishing:
        tokens = PersonalWriteToken(stage.client, read=lambda: stage.token)
        return GithubPublishing(stage.client, tokens)

    def turn(self) -> None:
        publish_row(TASK, self.row, self.ports)

    def is_over(self) -> bool:
        return self.world.row(self.row).state is not OutboxState.PENDING

    def reason(self) -> str:
        return self.world.row(self.row).last_error


class CommentPlay(_Published):
    payload = {"body": "Look at **src/app.py**."}  # noqa: RUF012

    def effects(self) -> int:
        return len(self.stage.github.repository.comments)


class _Tracking(_Published):
    """A tracking comment: `rows` in their order, the last one being the result."""

    payload = {"body": "The result."}  # noqa: RUF012
    sent_before = 0

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.world.origin(tracking="task")
        self.world.tasks.tasks[TASK] = replace(
            self.world.tasks.tasks[TASK], status=TaskStatus.RUNNING, fence=1, attempts=1
        )
        self.world.intends({}, row=STARTED_ROW)
        for _ in range(self.sent_before):
            publish_row(TASK, STARTED_ROW, self.ports)
        if self.row == COMMENT_ROW:
            self.world.tasks.tasks[TASK] = replace(
                self.world.tasks.tasks[TASK], status=TaskStatus.COMPLETED
            )


class ProgressPlay(_Tracking):
    """The first look: the comment is written."""

    row = "github#0001#started#1"

    def effects(self) -> int:
        shown = self.stage.github.repository.comments.values()
        return sum("is working on this" in comment.body for comment in shown)


class ReplacedPlay(_Tracking):
    """The result takes the place of what was shown before."""

    sent_before = 1

    def effects(self) -> int:
        shown = list(self.stage.github.repository.comments.values())
        assert len(shown) == 1, shown
        return sum("The result." in comment.body for comment in shown)


class LabelsPlay(_Published):
    row = LABELS_ROW
    payload = {"labels": ["bug"]}  # noqa: RUF012

    def effects(self) -> int:
        return len(self.stage.github.repository.issues[self.number].labels)


class ReviewPlay(_Published):
    """The second review of a pull request: the first one's findings are looked up too."""

    row = REVIEW_ROW

    def __init__(self, stage: Stage) -> None:
        target = _pull_target(stage)
        self.payload = {
            "body": "Not yet.",
            "head": target.head_sha,
            "findings": [finding(path="src/app.py", line=5, title="First")],
        }
        super().__init__(stage)
        self.world.origin(target=target, intents=(("review", 2),))
        publish_row(TASK, self.row, self.ports)
        self.row = "github#0001#review#2"
        fresh = finding(path="src/app.py", line=8, title="Second")
        payload = {**self.payload, "findings": [*self.payload["findings"], fresh]}
        self.world.intends(payload, row=self.row)

    def effects(self) -> int:
        reviews = self.stage.github.repository.reviews.values()
        return sum(review.author.login == "nightdesk-bot" for review in reviews) - 1


class StatusPlay(_Published):
    """A status of a pull request's head; setting it again says the same, and shows once."""

    row = STARTED_ROW
    payload = {}  # noqa: RUF012

    def __init__(self, stage: Stage) -> None:
        target = _pull_target(stage)
        super().__init__(stage)
        self.world.origin(target=target, shows_status=True)

    def effects(self) -> int:
        known = self.stage.github.repository.statuses
        return len({(status.sha, status.context, status.state) for status in known})

    def reason(self) -> str:
        return super().reason() or "the status is left out (see the log)"


class IssuePlay(_Published):
    row = "github#0001#issue#1"
    payload = {"title": "It leaks", "body": "Look.", "labels": ["bug"]}  # noqa: RUF012

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.world.origin(intents=(("issue", 1),))

    def effects(self) -> int:
        known = self.stage.github.repository.issues.values()
        return sum(issue.author.login == "nightdesk-bot" for issue in known)


class PullRequestPlay(_Published):
    """A new and a changed file of the default branch become a branch and a draft pull request."""

    row = "github#0001#pull_request#1"

    def __init__(self, stage: Stage) -> None:
        head = stage.github.repository.ref("refs/heads/main")
        changes = [
            {"path": "docs/notes.md", "new": "A note.\n"},
            {"path": "README.md", "old": "# Widgets", "new": "# Our widgets"},
        ]
        self.payload = {"title": "Note", "body": "Why.", "changes": changes, "base": head}
        super().__init__(stage)
        self.world.origin(intents=(("pull_request", 1),))

    def effects(self) -> int:
        repository = self.stage.github.repository
        branches = [r for r in repository.own_refs if r.startswith("refs/heads/nightdesk/")]
        assert len(branches) <= 1, branches
        return sum(issue.pull is not None for issue in repository.issues.values())


SCENARIOS = (
    Scenario("poll", PollPlay),
    Scenario("reconcile", ReconcilePlay),
    Scenario("deferred event", DrainPlay),
    reading("read issue", _read_issue),
    reading("snapshot", _snapshot),
    reading("changed files", _read_changed_paths),
    reading("permission", _read_permission),
    reading("changes", _read_changes),
    Scenario("comment", CommentPlay),
    Scenario("labels", LabelsPlay),
    reading("diff", _read_diff),
    reading("what was said at its lines", _read_what_was_said),
    reading("history", _read_history),
    Scenario("review", ReviewPlay),
    Scenario("progress", ProgressPlay),
    Scenario("pull request", PullRequestPlay),
    Scenario("new issue", IssuePlay),
    Scenario("status", StatusPlay),
    Scenario("result in the place of progress", ReplacedPlay),
)
