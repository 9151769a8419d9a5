"""A member's command becomes a draft pull request, and one comment tells the whole story."""

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from rich.console import Console

from local.choices import GithubChoice, choose_model
from local.run import Nightdesk, Options, running
from local.screen import Screen
from local.simulator import AUTHOR, Simulator
from nightdesk.domain.model import StopReason
from tests.ministack.conftest import ROOT
from tests.ministack.test_reviews import within
from tests.models.provider_server import Answer, Exchange, ProviderServer, replies
from tests.models.wire_formats import Call, Said, openai_events

pytestmark = pytest.mark.ministack

CHANGE = {"path": "quayside/notes.py", "new": '"""Notes of the harbour."""\n'}
PULL_REQUEST = {"title": "Add the harbour's notes", "body": "Closes #1. @everybody, look."}
PROPOSES = Said(
    calls=(
        Call("c1", "propose_change", json.dumps(CHANGE)),
        Call("c2", "propose_pull_request", json.dumps(PULL_REQUEST)),
    ),
    stop=StopReason.TOOL_USE,
)
ANSWERS = Said(text="The notes are there. Nothing was run.")


def slowly(answer: Answer) -> Answer:
    """An answer that leaves time to see the comment while the task runs."""

    def wait(exchange: Exchange) -> None:
        time.sleep(4)
        answer(exchange)

    return wait


def api(simulator: Simulator, path: str) -> Any:
    answer = simulator.session.get(
        f"{simulator.url}/repos/{simulator.repository}{path}",
        headers={"Authorization": f"Bearer {simulator.write_token}"},
        timeout=10,
    )
    answer.raise_for_status()
    return answer.json()


def control(simulator: Simulator, method: str, path: str, fields: dict[str, Any]) -> Any:
    address = f"{simulator.url}/_simulator/repos/{simulator.repository}{path}"
    answer = requests.request(method, address, json=fields, timeout=10)
    answer.raise_for_status()
    return answer.json()


def ours(nightdesk: Nightdesk, number: int) -> list[dict[str, Any]]:
    assert nightdesk.simulator is not None
    found = nightdesk.simulator.comments(number)
    return [comment for comment in found if comment["user"]["login"] != AUTHOR]


def test_a_command_becomes_a_draft_pull_request_and_one_comment(tmp_path: Path) -> None:
    with ProviderServer() as server:
        server.script(
            slowly(replies(openai_events(PROPOSES))), slowly(replies(openai_events(ANSWERS)))
        )
        model = choose_model(
            {
                "OPENAI_BASE_URL": f"{server.url}/v1",
                "OPENAI_API_KEY": "sk-test",
                "NIGHTDESK_MODEL_SMART": "some-model",
            }
        )
        options = Options(
            stays=False, port=0, repo=None, issue=None, root=ROOT, logs=tmp_path / "logs"
        )
        screen = Screen(Console(file=io.StringIO()))
        with running(options, model, GithubChoice(), screen) as nightdesk:
            _check(nightdesk)


def _check(nightdesk: Nightdesk) -> None:
    simulator = nightdesk.simulator
    assert simulator is not None
    control(simulator, "PUT", "/collaborators", {"user": AUTHOR, "permission": "write"})
    person = {"author": AUTHOR, "association": "MEMBER"}
    number = control(simulator, "POST", "/issues", {**person, "title": "Notes", "body": "Please."})[
        "number"
    ]
    nightdesk.api.poll_github()
    comment = {**person, "body": "/nightdesk developer write the notes"}
    control(simulator, "POST", f"/issues/{number}/comments", comment)

    def polled() -> bool:
        nightdesk.api.poll_github()
        return bool(nightdesk.api.tasks("default"))

    within(polled)
    shown = within(lambda: ours(nightdesk, number))[0]
    assert "**is working on this**" in shown["body"]

    def finished() -> list[dict[str, Any]]:
        found = ours(nightdesk, number)
        return found if "The notes are there." in found[0]["body"] else []

    (result,) = within(finished)
    assert result["id"] == shown["id"]
    (pull,) = within(lambda: api(simulator, "/pulls"))
    assert pull["draft"] is True
    assert pull["title"] == PULL_REQUEST["title"]
    assert pull["body"].startswith(f"Closes `#1`. `@everybody`, look.\n\nRefs #{number}\n")
    assert pull["head"]["ref"].startswith(f"nightdesk/developer-{number}-")
    (file,) = api(simulator, f"/pulls/{pull['number']}/files")
    assert (file["filename"], file["status"]) == (CHANGE["path"], "added")
