"""A GitHub App's tokens: the adapters against the simulator, which checks signatures and rights."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.credentials.app import GithubApp
from nightdesk.adapters.github.credentials.app_tokens import READ, AppTokens, InstallationTokens
from nightdesk.adapters.github.publishing import GithubPublishing
from nightdesk.adapters.github.publishing.write_access import BRANCH, CHECKS, DISCUSS, REVIEW
from nightdesk.domain.errors import (
    ErrorCode,
    NightdeskError,
    PermanentError,
    TryLaterError,
    UnavailableError,
)
from nightdesk.domain.github_ports import METADATA, GithubCredentialsError, Permissions
from tests.fakes.clock import FakeClock
from tests.github.conftest import QUICK, Recorder
from tests.github_simulator.conftest import EVERYTHING, Github

APP_ID = 4242
NAME = "octo-org/widgets"
KEY = generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass
class Scene:
    """An App that is installed on octo-org/widgets, and the tokens that we make of it."""

    github: Github
    recorder: Recorder
    clock: FakeClock
    tokens: AppTokens
    api: GithubClient
    pem: list[str]

    @property
    def repo_id(self) -> int:
        return self.github.repository.id

    def change(self, **fields: Any) -> None:
        self.github.control("PATCH", f"/apps/{APP_ID}", fields)

    def later(self, **amount: float) -> None:
        self.clock.advance(timedelta(**amount))
        self.github.clock.tick(**amount)

    def asked(self) -> list[str]:
        """What was asked for since this was asked last, in short."""
        sent = [f"{r.method} {(r.path_url or '').split('?')[0]}" for r in self.recorder.sent]
        self.recorder.sent.clear()
        return [entry.replace(f"/repos/{NAME}", "REPO") for entry in sent]

    def allowed(self, token: str) -> dict[str, str]:
        return self.github.server.state.tokens[token].permissions


@pytest.fixture
def scene(github: Github, recorder: Recorder) -> Scene:
    fields = {
        "id": APP_ID,
        "slug": "night-desk",
        "owner": "octo-org",
        "public_key": PUBLIC,
        "permissions": EVERYTHING,
        "repositories": [NAME],
    }
    github.control("POST", "/apps", fields)
    clock, pem = FakeClock(github.server.state.now()), [PEM]
    plain = GithubClient(api_url=github.server.url, clock=clock, timeouts=QUICK)
    app = GithubApp(plain, app_id=str(APP_ID), private_key=lambda: pem[0], clock=clock)
    tokens = AppTokens(app, clock=clock)
    api = GithubClient(
        api_url=github.server.url, clock=clock, timeouts=QUICK, renewed=tokens.renewed
    )
    return Scene(github, recorder, clock, tokens, api, pem)


MINT = "POST /app/installations"


# What a token may do --------------------------------------------------------------------------


def test_a_sessions_token_reads_its_own_repository_and_nothing_else(scene: Scene) -> None:
    found = scene.tokens.token_for(NAME, scene.repo_id)

    kept = scene.github.server.state.tokens[found.token]
    assert kept.permissions == READ
    assert kept.repositories == frozenset({scene.repo_id})
    assert found.expires_at == datetime(2026, 3, 1, 13, 0, tzinfo=UTC)
    assert found.token not in repr(found)
    assert found.token not in repr(scene.tokens)


@pytest.mark.parametrize(
    "permissions",
    [DISCUSS, REVIEW, CHECKS, BRANCH, METADATA],
    ids=["discuss", "review", "checks", "branch", "metadata"],
)
def test_a_writers_token_may_do_what_the_call_needs(scene: Scene, permissions: Permissions) -> None:
    found = scene.tokens.token_for(NAME, scene.repo_id, permissions)

    kept = scene.github.server.state.tokens[found.token]
    assert kept.permissions == {"metadata": "read", **permissions}
    assert kept.repositories == frozenset({scene.repo_id})


def test_a_token_for_all_repositories_only_looks_them_up(scene: Scene) -> None:
    with pytest.raises(ValueError, match="METADATA"):
        scene.tokens.token_for(NAME, 0, DISCUSS)
    assert scene.allowed(scene.tokens.token_for(NAME, 0, METADATA).token) == METADATA


def test_the_pollers_token_reads_all_of_an_installation(scene: Scene) -> None:
    tokens = InstallationTokens(scene.tokens)
    found = tokens.token_for(NAME, scene.repo_id)
    assert scene.allowed(found.token) == READ
    again = tokens.token_for("octo-org/others", 0)
    assert (again.token, again.repo) == (found.token, "octo-org/others")
    assert sum("/installation" in entry for entry in scene.asked()) == 2
    scene.later(hours=1)
    renewed = tokens.token_for(NAME, 0)
    assert renewed.token != found.token
    assert renewed.credential_id == found.credential_id
    assert found.token[-20:] not in found.credential_id


def test_the_publisher_comments_as_the_apps_bot(scene: Scene) -> None:
    number = scene.github.open_issue()
    publishing = GithubPublishing(scene.api, scene.tokens)

    repository = publishing.repository(NAME)
    own = publishing.own_account()
    comment = publishing.comment(repository.full_name, number, "Hello.")

    assert own.login == "night-desk[bot]"
    assert comment.author_id == own.id
    assert scene.asked() == [
        "GET REPO/installation",
        f"{MINT}/{scene.github.server.state.apps[APP_ID].installation_id}/access_tokens",
        "GET REPO",
        "GET /app",
        "GET /users/night-desk%5Bbot%5D",
        f"{MINT}/{scene.github.server.state.apps[APP_ID].installation_id}/access_tokens",
        f"POST REPO/issues/{number}/comments",
    ]
    publishing.own_account()
    publishing.comment(repository.full_name, number, "Again.")
    assert scene.asked() == [f"POST REPO/issues/{number}/comments"]


def test_a_renamed_repository_is_found_by_its_old_name(scene: Scene) -> None:
    scene.github.control("POST", f"/repos/{NAME}/rename", {"name": "gadgets"})
    publishing = GithubPublishing(scene.api, scene.tokens)
    assert publishing.repository(NAME).full_name == "octo-org/gadgets"
    number = int(
        scene.github.control(
            "POST", "/repos/octo-org/gadgets/issues", {"author": "ann", "title": "x"}
        )["number"]
    )
    publishing.comment("octo-org/gadgets", number, "Hello.")


# Keeping and renewing -------------------------------------------------------------------------


def test_a_token_is_kept_until_five_minutes_before_its_end(scene: Scene) -> None:
    first = scene.tokens.token_for(NAME, scene.repo_id)
    scene.later(minutes=54, seconds=59)
    assert scene.tokens.token_for(NAME, scene.repo_id) == first
    scene.later(seconds=1)
    second = scene.tokens.token_for(NAME, scene.repo_id)
    assert second.token != first.token
    assert second.expires_at == scene.clock.now() + timedelta(hours=1)


def test_each_need_has_a_token_of_its_own(scene: Scene) -> None:
    needs = [
        (0, METADATA),
        (scene.repo_id, METADATA),
        (scene.repo_id, READ),
        (scene.repo_id, DISCUSS),
    ]
    tokens = {scene.tokens.token_for(NAME, repo_id, need).token for repo_id, need in needs}
    assert len(tokens) == len(needs)
    again = {scene.tokens.token_for(NAME, repo_id, need).token for repo_id, need in needs}
    assert again == tokens


def test_a_revoked_token_is_replaced_once_and_the_call_repeated(scene: Scene) -> None:
    number = scene.github.open_issue()
    publishing = GithubPublishing(scene.api, scene.tokens)
    publishing.comment(NAME, number, "One.")
    for value in [t.value for t in scene.github.server.state.tokens.values() if t.app_id]:
        scene.github.control("DELETE", "/tokens", {"token": value})
    scene.asked()

    publishing.comment(NAME, number, "Two.")

    asked = scene.asked()
    assert [entry.split(" ")[0] for entry in asked] == ["POST"] * 3
    assert MINT in asked[1]
    reader = scene.github.client("reader")
    bodies = [c["body"] for c in reader.get(f"/repos/{NAME}/issues/{number}/comments")]
    assert bodies == ["One.", "Two."]


def test_a_token_that_is_refused_again_is_not_replaced_for_ever(scene: Scene) -> None:
    scene.github.control(
        "POST",
        "/faults",
        {"kind": "status", "status": 401, "path": f"/repos/{NAME}$", "count": 10},
    )
    with pytest.raises(GithubCredentialsError):
        GithubPublishing(scene.api, scene.tokens).repository(NAME)
    assert sum(MINT in entry for entry in scene.asked()) == 2


def test_a_personal_token_that_is_refused_is_not_ours_to_replace(scene: Scene) -> None:
    assert scene.tokens.renewed("ghp_somebody") == ""
    with pytest.raises(GithubCredentialsError):
        scene.api.get("/user", token="ghp_somebody")
    assert scene.asked() == ["GET /user"]


def test_threads_that_were_refused_together_make_one_new_token(scene: Scene) -> None:
    old = scene.tokens.reading_token(NAME).token
    scene.asked()
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(scene.tokens.renewed(old))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert old not in found
    assert sum(MINT in entry for entry in scene.asked()) == 1


# What a person must mend ----------------------------------------------------------------------


def refusal(scene: Scene, permissions: Permissions = READ) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        scene.tokens.token_for(NAME, scene.repo_id, permissions)
    assert type(raised.value) is PermanentError
    assert raised.value.code is ErrorCode.REPOSITORY_UNREACHABLE
    assert "Next: " in str(raised.value)
    return raised.value


def test_an_app_that_is_not_installed_says_so(scene: Scene) -> None:
    scene.change(installed=False)
    assert f"is not installed on {NAME}" in str(refusal(scene))


def test_a_suspended_installation_says_so(scene: Scene) -> None:
    scene.change(suspended=True)
    assert f"is suspended on {NAME}" in str(refusal(scene))
    scene.change(suspended=False)
    assert scene.tokens.token_for(NAME, scene.repo_id).token


def test_an_installation_that_is_suspended_meanwhile_says_so(scene: Scene) -> None:
    scene.tokens.token_for(NAME, scene.repo_id)
    scene.change(suspended=True)
    scene.later(hours=1)
    scene.tokens._installations["octo-org"] = (
        scene.clock.now(),
        scene.tokens._installations["octo-org"][1],
    )
    said = str(refusal(scene))
    assert "This installation has been suspended" in said


def test_a_missing_permission_is_named(scene: Scene) -> None:
    scene.change(permissions={"issues": "read", "pull_requests": "write", "contents": "read"})
    said = str(refusal(scene, DISCUSS))
    assert "lacks issues: write on" in said
    assert "pull_requests" not in said


def test_a_permission_that_was_granted_meanwhile_is_used(scene: Scene) -> None:
    scene.change(permissions={"contents": "read"})
    refusal(scene, DISCUSS)
    scene.change(permissions=EVERYTHING)
    assert scene.tokens.token_for(NAME, scene.repo_id, DISCUSS).token


def test_a_repository_that_the_installation_leaves_out_is_named(scene: Scene) -> None:
    scene.tokens.reading_token(NAME)
    with pytest.raises(PermanentError, match="repositor") as raised:
        scene.tokens.token_for("octo-org/widgets", 999_999, READ)
    assert "Next: add octo-org/widgets to the repositories" in str(raised.value)


def test_an_installation_that_was_made_anew_is_found_at_the_next_try(scene: Scene) -> None:
    scene.tokens.token_for(NAME, scene.repo_id)
    scene.change(installed=False)
    scene.change(installed=True)
    with pytest.raises(UnavailableError, match="has changed"):
        scene.tokens.token_for(NAME, scene.repo_id, DISCUSS)
    assert scene.tokens.token_for(NAME, scene.repo_id, DISCUSS).token


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        ("", "no key is set"),
        ("not a key", "holds no usable key: it does not begin with"),
        (
            generate_private_key(65537, 2048)
            .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            .decode(),
            "could not be decoded",
        ),
    ],
    ids=["none", "no key", "another key"],
)
def test_a_wrong_key_is_the_credentials_fault(scene: Scene, pem: str, said: str) -> None:
    scene.pem[0] = pem
    with pytest.raises(GithubCredentialsError, match=said):
        scene.tokens.token_for(NAME, scene.repo_id)


def test_a_rotated_key_is_used_at_once(scene: Scene) -> None:
    scene.tokens.token_for(NAME, scene.repo_id)
    other = generate_private_key(public_exponent=65537, key_size=2048)
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    scene.github.server.state.apps[APP_ID].public_key = public.decode()
    scene.pem[0] = other.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ).decode()
    assert scene.tokens.token_for(NAME, scene.repo_id, DISCUSS).token


@pytest.mark.parametrize("ahead", [-60, -30, 0, 30, 59], ids=str)
def test_clocks_may_differ_by_a_minute(scene: Scene, ahead: int) -> None:
    scene.github.clock.tick(seconds=60 - ahead)
    scene.clock.advance(timedelta(seconds=60))
    assert scene.tokens.token_for(NAME, scene.repo_id).token


# Faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["installation$", "access_tokens$"])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "status", "status": 500}, UnavailableError),
        ({"kind": "status", "status": 403, "headers": {"Retry-After": "7"}}, TryLaterError),
        ({"kind": "status", "status": 429, "headers": {"Retry-After": "7"}}, TryLaterError),
        ({"kind": "drop_before"}, UnavailableError),
        ({"kind": "drop_after"}, UnavailableError),
    ],
    ids=["500", "403", "429", "cut before", "answer lost"],
)
def test_a_fault_says_what_to_do_and_the_next_try_works(
    scene: Scene, path: str, fault: dict[str, Any], expected: type[NightdeskError]
) -> None:
    scene.github.control("POST", "/faults", {"path": path, **fault})
    with pytest.raises(expected):
        scene.tokens.token_for(NAME, scene.repo_id)
    assert scene.tokens.token_for(NAME, scene.repo_id).token


def test_errors_never_repeat_a_token_or_a_statement(scene: Scene) -> None:
    scene.tokens.token_for(NAME, scene.repo_id)
    token = scene.tokens.reading_token(NAME).token
    for said in (f"Bad credentials: {token}", f"{'x' * 190}{token}", token[7:60]):
        message = {"message": said}
        fault = {"kind": "status", "status": 403, "path": "/user$", "body": message}
        scene.github.control("POST", "/faults", fault)
        with pytest.raises(PermanentError) as raised:
            scene.api.get("/user", token=token)
        assert "ghs_" not in str(raised.value)
        assert token[10:25] not in str(raised.value)
