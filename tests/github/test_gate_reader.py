"""What is read of GitHub before an event may start anything, from the simulator over HTTP."""

from pathlib import Path

import pytest

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.gate import (
    CHANGED_FILES_MAX,
    FRESH,
    RULES_BYTES_MAX,
    GithubGateReader,
)
from nightdesk.domain.errors import TryLaterError, UnavailableError
from nightdesk.domain.gate_ports import Permission
from nightdesk.domain.github_ports import Account, GithubNotFoundError, Repository
from nightdesk.domain.repository_rules import NO_RULES, RULES_FILE
from nightdesk.services.polling.limits import SharedLimits
from tests.fakes.clock import FakeClock
from tests.fakes.secrets import FakeRepositoryTokens
from tests.github.conftest import Recorder, disturb
from tests.github_simulator.conftest import REPO, Github, build_repository, commit, git

NAME = "octo-org/widgets"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def reader(api: GithubClient, token: str, clock: FakeClock) -> GithubGateReader:
    return GithubGateReader(api, FakeRepositoryTokens(token), SharedLimits(clock), clock=clock)


@pytest.fixture
def public_reader(api: GithubClient, clock: FakeClock) -> GithubGateReader:
    """Without a token."""
    return GithubGateReader(api, FakeRepositoryTokens(), SharedLimits(clock), clock=clock)


@pytest.fixture
def repo(github: Github) -> Repository:
    return Repository(id=github.repository.id, full_name=NAME, default_branch="main")


# Permissions ----------------------------------------------------------------------------------


def actor(github: Github, login: str) -> Account:
    return Account(id=github.server.state.user(login).id, login=login)


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("admin", Permission("admin", "admin")),
        ("maintain", Permission("write", "maintain")),
        ("write", Permission("write", "write")),
        ("triage", Permission("read", "triage")),
        ("read", Permission("read", "read")),
    ],
)
def test_a_permission_is_told_by_level_and_role(
    reader: GithubGateReader, github: Github, given: str, known: Permission
) -> None:
    ann = actor(github, "ann")
    github.control("PUT", f"{REPO}/collaborators", {"user": "ann", "permission": given})
    assert reader.permission(NAME, ann) == known


def test_nobody_and_somebody_else_under_the_login_may_nothing(
    reader: GithubGateReader, github: Github
) -> None:
    github.control("PUT", f"{REPO}/collaborators", {"user": "ann", "permission": "admin"})
    assert reader.permission(NAME, Account(id=1, login="no-such-user")) == Permission()
    assert reader.permission(NAME, Account(id=424_242, login="ann")) == Permission()


def test_a_permission_is_remembered_for_a_minute(
    reader: GithubGateReader, github: Github, clock: FakeClock, recorder: Recorder
) -> None:
    ann = actor(github, "ann")
    github.control("PUT", f"{REPO}/collaborators", {"user": "ann", "permission": "write"})
    for _ in range(3):
        assert reader.permission(NAME, ann).writes
    assert len(recorder.of("GET")) == 1
    github.control("PUT", f"{REPO}/collaborators", {"user": "ann", "permission": "read"})
    clock.advance(FRESH)
    assert not reader.permission(NAME, ann).writes


# Changed files --------------------------------------------------------------------------------


def test_changed_files_come_with_the_names_that_they_had(
    reader: GithubGateReader, github: Github
) -> None:
    changed = reader.changed_paths(NAME, github.open_pull())
    assert changed.is_complete
    assert {"src/app.py", "src/new.py", "new name.txt", "old name.txt", "docs/über.md"} <= set(
        changed.paths
    )


def test_all_pages_are_read_up_to_githubs_limit(
    github: Github, clock: FakeClock, tmp_path: Path, recorder: Recorder
) -> None:
    build_repository(tmp_path)
    git(tmp_path, "checkout", "-q", "-b", "huge", "main")
    commit(tmp_path, {f"many/{n}.txt": f"{n}\n" for n in range(CHANGED_FILES_MAX + 5)}, "Many")
    git(tmp_path, "checkout", "-q", "main")
    served_anew(github, tmp_path)

    patient = GithubClient(api_url=github.server.url, clock=clock)
    reader = GithubGateReader(patient, FakeRepositoryTokens(), SharedLimits(clock), clock=clock)
    changed = reader.changed_paths(NAME, github.open_pull("huge"))

    assert (len(changed.paths), changed.is_complete) == (CHANGED_FILES_MAX, False)
    assert len(recorder.of("GET")) == CHANGED_FILES_MAX // 100


@pytest.mark.parametrize(
    ("status", "error"), [(502, UnavailableError), (404, GithubNotFoundError), (429, TryLaterError)]
)
def test_files_that_are_not_answered_are_an_error_and_no_empty_list(
    reader: GithubGateReader, github: Github, status: int, error: type[Exception]
) -> None:
    number = github.open_pull()
    disturb(github, kind="status", status=status, path="/files")
    with pytest.raises(error):
        reader.changed_paths(NAME, number)


# Rules ----------------------------------------------------------------------------------------


@pytest.fixture
def files(github: Github, tmp_path: Path) -> Path:
    """A repository of this test's own, served under the same name."""
    build_repository(tmp_path)
    served_anew(github, tmp_path)
    return tmp_path


def served_anew(github: Github, folder: Path) -> None:
    """Tokens are forgotten too, so this repository is read as the public that it is."""
    github.server.state.reset()
    github.server.state.add_repository(NAME, folder)


def problem(
    public_reader: GithubGateReader, repo: Repository, files: Path, text: str | bytes
) -> str:
    commit(files, {RULES_FILE: text}, "Rules")
    return public_reader.rules(repo).problem


def test_without_a_file_there_are_no_rules(
    public_reader: GithubGateReader, repo: Repository
) -> None:
    assert public_reader.rules(repo) == NO_RULES


def test_the_file_of_the_default_branch_counts_and_no_other(
    public_reader: GithubGateReader, repo: Repository, files: Path
) -> None:
    git(files, "checkout", "-q", "feature")
    commit(files, {RULES_FILE: "enabled: false\n"}, "From a pull request")
    git(files, "checkout", "-q", "main")
    assert public_reader.rules(repo) == NO_RULES


def test_a_changed_file_counts_after_a_minute_and_an_unchanged_one_is_free(
    public_reader: GithubGateReader,
    repo: Repository,
    files: Path,
    clock: FakeClock,
    recorder: Recorder,
) -> None:
    commit(files, {RULES_FILE: "specialists: {a: false}\n"}, "Rules")
    first = public_reader.rules(repo)
    assert [n.enabled for n in first.of("a")] == [True, False]
    assert public_reader.rules(repo) is first
    assert len(recorder.sent) == 1
    clock.advance(FRESH)
    assert public_reader.rules(repo) is first
    assert recorder.sent[-1].headers["If-None-Match"]
    commit(files, {RULES_FILE: "enabled: false\n"}, "Off")
    clock.advance(FRESH)
    assert not public_reader.rules(repo).everybody.enabled
    commit(files, {RULES_FILE: None}, "No rules")
    clock.advance(FRESH)
    assert public_reader.rules(repo) == NO_RULES


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("specialists: [\n", "not valid YAML: "),
        ("enabled: false\nenabled: true\n", "key enabled is given twice, line 2"),
        ("- a\n", "the file holds no keys"),
        ("", "the file holds no keys"),
        ("a: &a [x]\nlabels: *a\n", "an alias (*a), line 2"),
        (f"labels: {'[' * 40}{']' * 40}\n", "more than 10 levels"),
        ("labels: !!python/object/apply:os.system [id]\n", "not valid YAML"),
        ("specialist: {}\n", "unknown key specialist; allowed: "),
        ("specialists: {a: {limits: {turns: 0}}}\n", "key limits.turns: 0 is not allowed"),
        ("specialists: {a: {labels: []}}\n", "key specialists.a.labels: [] is not allowed"),
        ("paths: ['!docs/**']\n", "key paths: "),
        ("x" * (RULES_BYTES_MAX + 1), "bytes; allowed: at most"),
        (b"\xff\xfe\x00", "the file is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_reason_and_no_crash(
    public_reader: GithubGateReader, repo: Repository, files: Path, text: str | bytes, reason: str
) -> None:
    said = problem(public_reader, repo, files, text)
    assert said.startswith("nightdesk.yml: ")
    assert reason in said


def test_a_folder_of_that_name_is_no_file(
    public_reader: GithubGateReader, repo: Repository, files: Path
) -> None:
    commit(files, {f"{RULES_FILE}/x": "x"}, "A folder")
    assert public_reader.rules(repo).problem == "nightdesk.yml: it is no file"


def test_a_repository_that_the_token_may_not_see_has_no_rules_that_are_known(
    public_reader: GithubGateReader,
) -> None:
    with pytest.raises(GithubNotFoundError):
        public_reader.rules(Repository(id=1, full_name="octo-org/none"))


@pytest.mark.parametrize("status", [500, 502])
def test_rules_that_are_not_answered_are_an_error_and_not_no_rules(
    public_reader: GithubGateReader, repo: Repository, github: Github, status: int
) -> None:
    disturb(github, kind="status", status=status, path="/contents/")
    with pytest.raises(UnavailableError):
        public_reader.rules(repo)
