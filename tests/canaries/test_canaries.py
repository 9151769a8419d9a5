"""No secret is in anything that Nightdesk lets out, whoever asks for it and whatever goes wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.github_simulator import apps
from nightdesk.adapters.dynamodb.tables import TableNames, TaskItem
from tests.canaries.forms import random_text
from tests.canaries.sources import PARAMETERS
from tests.canaries.world import NAME, WORKSPACE, Nightdesk, deployed
from tests.github.test_handlers import forget_wiring

SECRETS = {parameter.setting: parameter.value for parameter in PARAMETERS}
HOOK = SECRETS["GITHUB_WEBHOOK_SECRET_PARAMETER"]
OLD_HOOK = SECRETS["GITHUB_WEBHOOK_SECRET_PREVIOUS_PARAMETER"]
#: Whatever GitHub is asked, in turn.
PATHS = (
    f"/repos/{NAME}$",
    "/installation$",
    "/access_tokens$",
    "/events$",
    "/issues/\\d+$",
    "/comments$",
    "/tarball/",
    "/app$|/user$|/users/",
    "/contents/",
)
#: What only an App is asked.
UNASKED = {"/installation$", "/access_tokens$"}


#: Whose tokens: two personal ones, an App's of some 520 characters, an App's of 40.
CREDENTIALS = ("tokens", "app", "app with short tokens")
slow = pytest.mark.prove


@pytest.fixture(
    params=[CREDENTIALS[0], *(pytest.param(kind, marks=slow) for kind in CREDENTIALS[1:])]
)
def credentials(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture
def desk(
    credentials: str,
    tmp_path: Path,
    aws_tables: TableNames,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Nightdesk]:
    if credentials == "app with short tokens":
        made = iter(range(1_000))
        monkeypatch.setattr(
            apps, "new_installation_token", lambda _: f"ghs_{random_text(f'{next(made)}', 36)}"
        )
    kind = "tokens" if credentials == "tokens" else "app"
    with deployed(kind, tmp_path, aws_tables, monkeypatch, capfd) as desk:
        yield desk


def flow(desk: Nightdesk) -> int:
    """From an issue to whatever comes of it."""
    number = desk.open_issue()
    desk.webhook(number, HOOK)
    desk.poll()
    desk.work()
    desk.publish()
    return number


def test_a_whole_run_with_a_hostile_model_lets_nothing_out(desk: Nightdesk) -> None:
    desk.poll()
    number = desk.open_issue()
    assert desk.webhook(number, "wrong")["statusCode"] == 401
    assert desk.webhook(number, OLD_HOOK)["statusCode"] == 202
    assert desk.webhook(number, HOOK)["statusCode"] == 202
    desk.poll()
    desk.work()
    desk.publish()
    desk.sweep()
    (task,) = TaskItem.scan()
    for path in (
        f"/api/background-tasks/{task.id}",
        f"/api/background-tasks/{task.id}/events",
        "/api/background-tasks",
        "/api/specialists",
        "/api/keys",
        "/api/polling/check",
        "/api/health",
        f"/api/workspaces/{WORKSPACE}",
    ):
        query = {"workspaceId": WORKSPACE} if path == "/api/background-tasks" else {}
        answer = desk.api("GET", path, **query)
        assert answer["statusCode"] == 200, (path, answer)
    desk.api("POST", "/api/polling/check")
    desk.api("GET", "/api/github/decisions", repo=NAME, number=str(number))
    made = {"prompt": "Tell me", "agentId": "issue-enricher", "workspaceId": WORKSPACE}
    desk.api("POST", "/api/background-tasks", made)
    desk.work()

    comments = desk.reader().get(f"/repos/{NAME}/issues/{number}/comments")
    assert len(comments) == 1
    assert "all that I could find" in comments[0]["body"]
    assert task.status == "COMPLETED"
    # It did try: with each tool and each trick.
    assert sum('"tool_calls"' in prompt for prompt in desk.model.heard) >= 3
    out = desk.everything()
    assert all(out[sink] for sink in ("prompts", "rows", "messages", "logs", "github", "answers"))
    assert out["exceptions"] == []
    assert any("amazonaws.com" in message for message in out["messages"])  # wake-ups too
    assert desk.leaks() == {}


@pytest.mark.parametrize("status", [401, pytest.param(500, marks=slow)])
@pytest.mark.parametrize("credentials", [pytest.param("tokens", marks=slow), "app"], indirect=True)
def test_a_github_that_repeats_the_credential_changes_nothing(desk: Nightdesk, status: int) -> None:
    desk.poll()
    desk.model.is_lazy = True
    desk.echo.status = status
    for path in PATHS:
        forget_wiring()
        desk.echo.repeats = path
        flow(desk)
    desk.echo.repeats = ""
    desk.publish()
    desk.sweep()
    desk.api("GET", "/api/background-tasks", workspaceId=WORKSPACE)
    desk.api("GET", "/api/polling/check")

    assert desk.leaks() == {}
    assert set(PATHS) - {path for path in PATHS if desk.echo.told[path]} <= UNASKED


@pytest.mark.parametrize("status", [401, *(pytest.param(n, marks=slow) for n in (400, 429, 500))])
@pytest.mark.parametrize("credentials", ["tokens"], indirect=True)
def test_a_model_that_repeats_its_key_changes_nothing(desk: Nightdesk, status: int) -> None:
    desk.poll()
    desk.model.status, desk.model.refuses = status, 8
    flow(desk)
    desk.sweep()
    desk.api("GET", "/api/background-tasks", workspaceId=WORKSPACE)

    assert any(desk.everything()["prompts"])
    assert desk.leaks() == {}


@pytest.mark.parametrize("credentials", ["tokens", pytest.param("app", marks=slow)], indirect=True)
def test_functions_that_fail_tell_nothing(desk: Nightdesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.poll()
    desk.model.is_lazy = True
    desk.down = {"token_broker"}
    flow(desk)
    desk.down = set()
    for setting in ("GITHUB_READ_TOKEN_PARAMETER", "GITHUB_API_URL", "GITHUB_TABLE"):
        with monkeypatch.context() as broken:
            broken.setenv(setting, "http://127.0.0.1:9" if "URL" in setting else "/not/there")
            forget_wiring()
            flow(desk)
    assert desk.leaks() == {}
