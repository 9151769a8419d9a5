"""Token broker and publisher with a GitHub App, through their real handlers and wiring."""

import boto3
import pytest

from nightdesk import bootstrap
from nightdesk.adapters.secrets import SecretsManagerSecrets
from nightdesk.adapters.system import SystemClock
from tests.aws import REGION
from tests.fakes.clock import FakeClock
from tests.github.test_app import APP_ID, NAME, PEM, PUBLIC
from tests.github.test_handlers import WRITE_CANARY, Deployment, deployment, forget_wiring
from tests.github_simulator.conftest import EVERYTHING

__all__ = ["deployment"]

KEY_NAME = "/nightdesk/app-key"


@pytest.fixture
def with_app(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    fields = {
        "id": APP_ID,
        "slug": "night-desk",
        "owner": "octo-org",
        "public_key": PUBLIC,
        "permissions": EVERYTHING,
        "repositories": [NAME],
    }
    deployment.github.clock.time = SystemClock().now()  # GitHub looks at the times of statements
    deployment.github.control("POST", "/apps", fields)
    monkeypatch.setenv("GITHUB_APP_ID", str(APP_ID))
    monkeypatch.setenv("GITHUB_APP_PRIVATE_KEY_PARAMETER", KEY_NAME)
    forget_wiring()
    return deployment


def begin(deployment: Deployment) -> int:
    """A task of a new issue, which runs."""
    deployment.poll()
    number = deployment.github.open_issue()
    deployment.poll()
    deployment.claim()
    return number


@pytest.fixture(params=["ssm", "secretsmanager"])
def _stored(
    request: pytest.FixtureRequest, with_app: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    del with_app
    monkeypatch.setenv("SECRETS_STORE", request.param)
    if request.param == "ssm":
        ssm = boto3.client("ssm", region_name=REGION)
        ssm.put_parameter(Name=KEY_NAME, Value=PEM, Type="SecureString")
    else:
        manager = boto3.client("secretsmanager", region_name=REGION)
        manager.create_secret(Name=KEY_NAME, SecretString=PEM)


@pytest.mark.usefixtures("_stored")
def test_broker_and_publisher_use_the_app_and_no_token(with_app: Deployment) -> None:
    number = begin(with_app)
    task, _ = with_app.only_task()

    answer = with_app.invoke("token_broker", {"taskId": task.id})
    row = with_app.intends(task.id, "comment", {"body": "Found it."})
    published = with_app.invoke("publisher", with_app.inserted(task.id, row))

    kept = with_app.github.server.state.tokens[answer["token"]]
    assert kept.repositories == frozenset({with_app.github.repository.id})
    assert set(kept.permissions.values()) == {"read"}
    assert answer["repo"] == NAME
    assert answer["expiresAt"]
    assert published["outcomes"] == {"done": 1}
    (comment,) = with_app.comments(number)
    assert comment["user"]["login"] == "night-desk[bot]"


@pytest.mark.usefixtures("_stored")
def test_poller_and_publisher_never_show_a_personal_token(with_app: Deployment) -> None:
    state = with_app.github.server.state
    state.requests.entries.clear()
    begin(with_app)
    polls = [entry for entry in state.requests.entries if entry.path.endswith("/events")]
    assert {entry.login for entry in polls} == {"night-desk[bot]"}
    mints = [entry for entry in state.requests.entries if "access_tokens" in entry.path]
    assert len(mints) == 1


@pytest.mark.usefixtures("_stored")
def test_without_a_key_the_broker_says_what_to_mend(
    with_app: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(with_app)
    task, _ = with_app.only_task()
    monkeypatch.setenv("GITHUB_APP_PRIVATE_KEY_PARAMETER", "/nightdesk/none")
    forget_wiring()
    answer = with_app.invoke("token_broker", {"taskId": task.id})
    assert "GITHUB_APP_PRIVATE_KEY_PARAMETER" in answer["error"]


@pytest.mark.usefixtures("_stored")
def test_an_app_that_is_not_installed_fails_the_task_and_says_why(with_app: Deployment) -> None:
    begin(with_app)
    task, _ = with_app.only_task()
    with_app.github.control("PATCH", f"/apps/{APP_ID}", {"installed": False})
    forget_wiring()

    answer = with_app.invoke("token_broker", {"taskId": task.id})

    assert answer == {
        "error": f"the GitHub App is not installed on {NAME}. Next: install it for {NAME}"
    }


def test_a_function_without_an_app_knows_none(deployment: Deployment) -> None:
    del deployment
    assert bootstrap._app_tokens() is None


def test_secrets_manager_answers_as_ssm_does(deployment: Deployment) -> None:
    del deployment
    manager = boto3.client("secretsmanager", region_name=REGION)
    manager.create_secret(Name="/nightdesk/write", SecretString=f" {WRITE_CANARY}\n")
    manager.create_secret(Name="/nightdesk/bytes", SecretBinary=b"x")
    secrets = SecretsManagerSecrets(clock=FakeClock(), region=REGION)

    assert secrets.read("/nightdesk/write") == WRITE_CANARY
    assert [secrets.read(name) for name in ("/nightdesk/none", "/nightdesk/bytes", "")] == [""] * 3
    assert WRITE_CANARY not in repr(secrets)
