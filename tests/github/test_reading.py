from datetime import timedelta

import pytest

from local.github_simulator.records import Comment
from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.events import GithubEventSource
from nightdesk.adapters.github.issues import COMMENTS_MAX, GithubIssueReader
from nightdesk.adapters.github.snapshots import GithubSnapshots
from nightdesk.domain.errors import ErrorCode, InvalidInputError, PermanentError
from nightdesk.domain.github_ports import GithubNotFoundError, Repository
from nightdesk.domain.task import Target
from nightdesk.services.polling.limits import SharedLimits
from tests.fakes.clock import FakeClock
from tests.fakes.secrets import FakeRepositoryTokens, FakeTaskTokens
from tests.github.conftest import Recorder, disturb
from tests.github_simulator.conftest import REPO, Github, git

NAME = "octo-org/widgets"
TARGET = Target(repo=NAME, repo_id=0, number=1, kind="issue")


@pytest.fixture
def source(api: GithubClient, token: str) -> GithubEventSource:
    return GithubEventSource(api, FakeRepositoryTokens(token), SharedLimits(FakeClock()))


@pytest.fixture
def tokens(token: str) -> FakeTaskTokens:
    return FakeTaskTokens(t1=token)


# Events ---------------------------------------------------------------------------------------


def test_a_repository_is_known_by_its_id_and_present_name(
    source: GithubEventSource, github: Github
) -> None:
    expected = Repository(id=github.repository.id, full_name=NAME, default_branch="main")
    assert source.repository(NAME) == expected
    github.control("POST", f"{REPO}/rename", {"name": "gadgets"})
    assert source.repository(NAME).full_name == "octo-org/gadgets"


def test_events_come_with_all_that_polling_needs(source: GithubEventSource, github: Github) -> None:
    number = github.open_issue(title="It breaks", labels=["bug"])

    page = source.page(NAME, 1)

    (event,) = page.events
    assert (event.type, event.actor.login) == ("IssuesEvent", "ann")
    assert event.repo_id == github.repository.id
    assert event.created_at == github.server.state.now()
    assert event.payload["issue"]["number"] == number
    assert page.poll_interval == timedelta(seconds=60)
    assert (page.is_last, page.moved, page.is_unchanged) == (True, False, False)


def test_an_unchanged_feed_says_so_and_keeps_its_interval(
    source: GithubEventSource, github: Github
) -> None:
    github.open_issue()
    etag = source.page(NAME, 1).etag

    again = source.page(NAME, 1, etag=etag)
    assert (again.is_unchanged, again.poll_interval) == (True, timedelta(seconds=60))
    github.open_issue()
    assert not source.page(NAME, 1, etag=etag).is_unchanged


def test_all_pages_of_the_window_are_read_and_no_more(
    source: GithubEventSource, github: Github
) -> None:
    for number in range(305):
        body = {"type": "WatchEvent", "actor": "ann", "payload": {"action": f"started{number}"}}
        github.control("POST", f"{REPO}/events", body)

    pages = [source.page(NAME, number) for number in (1, 2, 3)]

    assert [len(page.events) for page in pages] == [100, 100, 100]
    assert [page.is_last for page in pages] == [False, False, True]
    assert len({event.id for page in pages for event in page.events}) == 300


def test_a_renamed_repositorys_feed_is_marked(source: GithubEventSource, github: Github) -> None:
    github.control("POST", f"{REPO}/rename", {"name": "gadgets"})
    assert source.page(NAME, 1).moved


def test_an_issue_is_read_as_it_is_now(source: GithubEventSource, github: Github) -> None:
    number = github.open_issue(title="T", body="B", labels=["bug"], author="ann")
    facts = source.issue(NAME, number)
    assert (facts.repo, facts.number, facts.title, facts.body) == (NAME, number, "T", "B")
    assert (facts.state, facts.labels, facts.author.login) == ("open", ("bug",), "ann")
    assert not facts.author.is_bot
    assert facts.url.endswith(f"/{NAME}/issues/{number}")


def test_a_pull_request_is_read_the_same_way(source: GithubEventSource, github: Github) -> None:
    facts = source.issue(NAME, github.open_pull())
    assert facts.is_pull_request


def test_a_bot_is_known_by_its_type(source: GithubEventSource, github: Github) -> None:
    facts = source.issue(NAME, github.open_issue(author="helper[bot]"))
    assert facts.author.is_bot


def test_a_deleted_issue_is_not_found(source: GithubEventSource, github: Github) -> None:
    number = github.open_issue()
    github.control("PATCH", f"{REPO}/issues/{number}", {"actor": "ann", "deleted": True})
    with pytest.raises(GithubNotFoundError):
        source.issue(NAME, number)


@pytest.mark.parametrize("name", ["widgets", "a/b/c", "../x", "a/..", "a/b?c=d"])
def test_what_is_no_repository_is_never_asked_for(
    source: GithubEventSource, recorder: Recorder, name: str
) -> None:
    with pytest.raises(InvalidInputError):
        source.page(name, 1)
    assert recorder.sent == []


# What a session reads -------------------------------------------------------------------------


@pytest.mark.parametrize("written", [130, 507])
def test_a_long_discussion_is_read_up_to_a_bound_and_the_rest_is_counted(
    api: GithubClient,
    github: Github,
    tokens: FakeTaskTokens,
    written: int,
) -> None:
    github.open_issue()
    bob = github.server.state.user("bob")
    now = github.server.state.now()
    for number in range(1, written + 1):
        github.repository.comments[number] = Comment(
            id=number, issue_number=1, author=bob, body=f"{number}", created_at=now, updated_at=now
        )

    issue = GithubIssueReader(api, tokens).read("t1", TARGET)

    read = min(written, COMMENTS_MAX)
    assert [c.text for c in issue.comments] == [f"{n}" for n in range(1, read + 1)]
    assert issue.visible().comments_left_out == written - read


def test_a_session_reads_its_issue_and_the_comments(
    api: GithubClient, tokens: FakeTaskTokens, github: Github
) -> None:
    number = github.open_issue(title="T", body="B", labels=["bug"])
    for text in ("first", "second"):
        path = f"{REPO}/issues/{number}/comments"
        github.control("POST", path, {"author": "bob", "body": text})

    issue = GithubIssueReader(api, tokens).read("t1", TARGET)

    assert (issue.title, issue.body, issue.author, issue.labels) == ("T", "B", "ann", ("bug",))
    assert [(c.author, c.text) for c in issue.comments] == [("bob", "first"), ("bob", "second")]


def test_a_snapshot_holds_the_default_branch(
    api: GithubClient, tokens: FakeTaskTokens, github: Github
) -> None:
    with GithubSnapshots(api, tokens).open("t1", TARGET) as snapshot:
        paths = [file.path for file in snapshot.files()]
        assert "src/later.py" in paths
        assert snapshot.read_text("README.md", max_bytes=100) == "# Widgets\n"
        assert snapshot.commit == git(github.repository.git.path, "rev-parse", "main")


def test_a_snapshot_of_a_pull_request_is_at_its_head(
    api: GithubClient, tokens: FakeTaskTokens, github: Github
) -> None:
    head = git(github.repository.git.path, "rev-parse", "feature")
    target = Target(repo=NAME, repo_id=0, number=1, kind="pull_request", head_sha=head)
    with GithubSnapshots(api, tokens).open("t1", target) as snapshot:
        assert snapshot.commit == head
        assert "src/new.py" in [file.path for file in snapshot.files()]


def test_a_head_that_is_no_commit_is_not_asked_for(
    api: GithubClient, tokens: FakeTaskTokens, recorder: Recorder
) -> None:
    target = Target(repo=NAME, repo_id=0, number=1, kind="pull_request", head_sha="../../x")
    with GithubSnapshots(api, tokens).open("t1", target):
        pass
    assert recorder.of("GET")[-1] == f"{REPO}/tarball/HEAD"


def test_a_repository_that_is_gone_fails_the_task(
    api: GithubClient, tokens: FakeTaskTokens, github: Github
) -> None:
    disturb(github, kind="status", status=404, body={"message": "Not Found"})
    with (
        pytest.raises(PermanentError) as raised,
        GithubSnapshots(api, tokens).open("t1", TARGET),
    ):
        pass
    assert raised.value.code is ErrorCode.REPOSITORY_UNREACHABLE
