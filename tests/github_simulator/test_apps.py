from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.github_simulator.conftest import REPO, CheckedClient, Github

APP_ID = 4242
Key = RSAPrivateKey


@pytest.fixture(scope="module")
def key() -> Key:
    return generate_private_key(public_exponent=65537, key_size=2048)


def jwt(github: Github, key: Key, *, algorithm: str = "RS256", **claims: Any) -> str:
    now = int(github.clock.time.timestamp())
    payload = {"iss": str(APP_ID), "iat": now - 60, "exp": now + 540, **claims}

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head = part(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    signed = f"{head}.{part(json.dumps(payload).encode())}"
    return f"{signed}.{part(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


@pytest.fixture
def installation(github: Github, key: Key) -> int:
    public_key = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    made = github.control(
        "POST",
        "/apps",
        {
            "id": APP_ID,
            "slug": "nightdesk",
            "owner": "octo-org",
            "public_key": public_key.decode(),
            "permissions": {"issues": "write", "contents": "read", "checks": "write"},
            "repositories": ["octo-org/widgets"],
        },
    )
    return int(made["installation_id"])


def tokens(installation: int) -> str:
    return f"/app/installations/{installation}/access_tokens"


def test_a_token_for_one_repository_does_what_it_was_given_for(
    github: Github, installation: int, key: Key
) -> None:
    app = CheckedClient(github.server.url, jwt(github, key))
    number = github.open_issue()

    made = app.post(
        tokens(installation),
        {"repositories": ["widgets"], "permissions": {"issues": "write"}},
    )

    assert [item["full_name"] for item in made["repositories"]] == ["octo-org/widgets"]
    assert made["permissions"] == {"issues": "write", "metadata": "read"}
    assert made["expires_at"] == "2026-03-01T13:00:00Z"
    worker = CheckedClient(github.server.url, made["token"])
    comment = worker.post(f"{REPO}/issues/{number}/comments", {"body": "Hello."})
    assert comment["user"]["login"] == "nightdesk[bot]"
    assert comment["user"]["type"] == "Bot"
    assert comment["performed_via_github_app"]["id"] == APP_ID
    refused = worker.send("POST", f"{REPO}/git/blobs", body={"content": "x"})
    assert refused.json()["message"] == "Resource not accessible by integration"


def test_a_token_has_the_long_form_and_ends_after_an_hour(
    github: Github, installation: int, key: Key
) -> None:
    app = CheckedClient(github.server.url, jwt(github, key))
    value = app.post(tokens(installation), {})["token"]

    assert re.fullmatch(r"gh[pousr]_[A-Za-z0-9._-]{20,}", value)
    assert value.startswith(f"ghs_{APP_ID}_eyJ")
    assert 400 < len(value) < 640
    worker = CheckedClient(github.server.url, value)
    github.clock.tick(minutes=59)
    assert worker.send("GET", REPO).status_code == 200
    github.clock.tick(minutes=1)
    assert worker.send("GET", REPO).status_code == 401


def test_the_old_form_can_be_asked_for(github: Github, installation: int, key: Key) -> None:
    app = CheckedClient(github.server.url, jwt(github, key))
    headers = {"X-GitHub-Stateless-S2S-Token": "disabled"}

    value = app.send("POST", tokens(installation), headers=headers).json()["token"]

    assert re.fullmatch(r"ghs_[A-Za-z0-9]{36}", value)
    assert CheckedClient(github.server.url, value).send("GET", REPO).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"repositories": ["others"]},
        {"repository_ids": [1]},
        {"permissions": {"contents": "write"}},
        {"permissions": {"administration": "read"}},
    ],
)
def test_more_than_the_installation_has_is_refused(
    github: Github, installation: int, key: Key, asked: dict[str, Any]
) -> None:
    app = CheckedClient(github.server.url, jwt(github, key))

    assert app.send("POST", tokens(installation), body=asked).status_code == 422


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"iss": "1"},
        {"iss": None},
        {"algorithm": "none"},
    ],
)
def test_a_wrong_claim_is_refused(
    github: Github, installation: int, key: Key, claims: dict[str, Any]
) -> None:
    app = CheckedClient(github.server.url, jwt(github, key, **claims))

    assert app.send("POST", tokens(installation)).status_code == 401


def test_the_signature_is_checked(github: Github, installation: int, key: Key) -> None:
    good = jwt(github, key)
    other = generate_private_key(public_exponent=65537, key_size=2048)
    head, payload, _ = good.split(".")

    for bad in (jwt(github, other), f"{head}.{payload}.", f"{head}.e30.AAAA", "eyJ.a.b"):
        client = CheckedClient(github.server.url, bad)
        assert client.send("POST", tokens(installation)).status_code == 401
    assert CheckedClient(github.server.url, good).send("POST", tokens(installation)).ok


def test_an_app_finds_itself_and_its_installation(
    github: Github, installation: int, key: Key
) -> None:
    app = CheckedClient(github.server.url, jwt(github, key))

    assert app.get("/app")["slug"] == "nightdesk"
    assert app.get(f"{REPO}/installation")["id"] == installation
    assert github.client().send("GET", f"{REPO}/installation").status_code == 401
    assert app.send("POST", tokens(installation + 1)).status_code == 404


def test_a_token_can_be_given_back(github: Github, installation: int, key: Key) -> None:
    app = CheckedClient(github.server.url, jwt(github, key))
    worker = CheckedClient(github.server.url, app.post(tokens(installation), {})["token"])

    assert worker.send("DELETE", "/installation/token").status_code == 204
    assert worker.send("GET", REPO).status_code == 401
    assert github.client().send("DELETE", "/installation/token").status_code == 403


def test_an_installation_is_no_user(github: Github, installation: int, key: Key) -> None:
    app = CheckedClient(github.server.url, jwt(github, key))
    worker = CheckedClient(github.server.url, app.post(tokens(installation), {})["token"])

    assert worker.send("GET", "/user").status_code == 403


def test_a_check_run_is_made_and_completed_by_its_app(
    github: Github, installation: int, key: Key
) -> None:
    app = CheckedClient(github.server.url, jwt(github, key))
    worker = CheckedClient(github.server.url, app.post(tokens(installation), {})["token"])
    number = github.open_pull()
    sha = worker.get(f"{REPO}/pulls/{number}")["head"]["sha"]
    fields = {"name": "review", "head_sha": sha, "status": "in_progress"}

    made = worker.post(f"{REPO}/check-runs", fields)
    url = f"{REPO}/check-runs/{made['id']}"
    output = {"title": "Done", "summary": "All well."}
    done = worker.send("PATCH", url, body={"conclusion": "success", "output": output}).json()

    assert (made["status"], made["pull_requests"][0]["number"]) == ("in_progress", number)
    assert (done["status"], done["conclusion"]) == ("completed", "success")
    assert done["output"]["title"] == "Done"
    assert worker.get(url) == done
    for wrong in ({"status": "completed"}, {"conclusion": "fine"}, {"status": "x"}):
        assert worker.send("PATCH", url, body=wrong, proper=False).status_code == 422


def test_a_person_makes_statuses_but_no_check_runs(github: Github, bot: CheckedClient) -> None:
    sha = bot.get(f"{REPO}/commits/main")["sha"]

    check = bot.send("POST", f"{REPO}/check-runs", body={"name": "x", "head_sha": sha})
    status = bot.post(f"{REPO}/statuses/{sha}", {"state": "pending", "context": "nightdesk"})

    assert check.status_code == 403
    assert (status["state"], status["context"]) == ("pending", "nightdesk")
    url = f"{REPO}/statuses/{'0' * 40}"
    assert bot.send("POST", url, body={"state": "success"}).status_code == 422
    body = {"state": "success", "description": "x" * 141}
    assert bot.send("POST", f"{REPO}/statuses/{sha}", body=body).status_code == 422
