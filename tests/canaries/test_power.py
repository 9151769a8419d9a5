"""A check that cannot fail is none: a leak is planted at each way out, and must be found there."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
import requests

from nightdesk.adapters.dynamodb.tables import GithubItem, TableNames
from nightdesk.config import Settings
from nightdesk.services import poll_repositories
from tests.aws import REGION
from tests.canaries.forms import forms
from tests.canaries.receivers import OF_TASK
from tests.canaries.sources import PARAMETERS
from tests.canaries.test_canaries import HOOK
from tests.canaries.world import NAME, SINKS, WORKSPACE, Nightdesk, deployed

SECRET = PARAMETERS[0].value
Leak = Callable[[Nightdesk, str], object]


@pytest.fixture
def desk(
    tmp_path: Path,
    aws_tables: TableNames,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Nightdesk]:
    with deployed("tokens", tmp_path, aws_tables, monkeypatch, capfd) as desk:
        desk.poll()
        yield desk


def in_a_prompt(desk: Nightdesk, text: str) -> None:
    desk.model.is_lazy = True
    number = desk.open_issue(body=f"words {text}")
    desk.webhook(number, HOOK)
    desk.poll()  # decides, should the webhook have had no time to
    desk.work()


def in_a_compressed_row(_: Nightdesk, text: str) -> None:
    GithubItem("repo#1", "poll", document={"lastError": [text]}).save()


def in_a_plain_row(_: Nightdesk, text: str) -> None:
    table = {"TableName": "test-tasks", "Item": {"id": {"S": "x"}, "y": {"M": {"z": {"S": text}}}}}
    boto3.client("dynamodb", region_name=REGION).put_item(**table)


def in_a_message(desk: Nightdesk, text: str) -> None:
    # A session of its own, as our adapters have: boto3's default one is older than the hooks.
    sqs = boto3.session.Session().client("sqs", region_name=REGION)
    sqs.send_message(QueueUrl=desk.queue_url, MessageBody=f'{{"taskId": "{text}"}}')


def in_a_debug_record(_: Nightdesk, text: str) -> None:
    logging.getLogger(poll_repositories.__name__).debug("asked with %s", text)


def in_an_extra_field(_: Nightdesk, text: str) -> None:
    logging.getLogger("nightdesk.adapters").info("asked", extra={"headers": {"auth": text}})


def on_stderr(_: Nightdesk, text: str) -> None:
    sys.stderr.write(f"Traceback: {text}\n")


def on_stdout(_: Nightdesk, text: str) -> None:
    sys.stdout.write(f"{text}\n")


def in_an_exception(desk: Nightdesk, text: str) -> None:
    desk.invoke("token_broker", Unreadable(text))


def in_what_github_gets(desk: Nightdesk, text: str) -> None:
    session = requests.Session()
    session.trust_env = False
    session.post(f"{desk.github.server.url}/repos/{NAME}/issues/1/comments", json={"body": text})


def in_a_header_for_github(desk: Nightdesk, text: str) -> None:
    session = requests.Session()
    session.trust_env = False
    session.get(desk.github.server.url, headers={"X-Trace": text.replace("\n", "")})


def in_an_answer(desk: Nightdesk, text: str) -> None:
    made = {"prompt": text, "title": text, "agentId": "developer", "workspaceId": WORKSPACE}
    desk.api("POST", "/api/background-tasks", made)
    desk.api("GET", "/api/background-tasks", workspaceId=WORKSPACE)


def in_a_callback(desk: Nightdesk, text: str) -> None:
    session = requests.Session()
    session.trust_env = False
    session.post(desk.receivers.callback(OF_TASK)["url"], json={"body": text}, timeout=5)


def in_a_header_of_a_callback(desk: Nightdesk, text: str) -> None:
    session = requests.Session()
    session.trust_env = False
    url = desk.receivers.callback(OF_TASK)["url"]
    session.post(url, data="{}", headers={"Authorization": f"Bearer {text}"}, timeout=5)


class Unreadable(dict[str, object]):
    """An event at which every handler fails, and which says why."""

    def get(self, *_: object) -> object:
        raise RuntimeError(super().__getitem__("text"))

    def __init__(self, text: str) -> None:
        super().__init__(text=text)


LEAKS: dict[str, list[Leak]] = {
    "prompts": [in_a_prompt],
    "rows": [in_a_compressed_row, in_a_plain_row],
    "messages": [in_a_message],
    "logs": [in_a_debug_record, in_an_extra_field],
    "output": [on_stderr, on_stdout],
    "exceptions": [in_an_exception],
    "github": [in_what_github_gets, in_a_header_for_github],
    "answers": [in_an_answer],
    "callbacks": [in_a_callback, in_a_header_of_a_callback],
}


@pytest.mark.parametrize(
    ("sink", "leak"),
    [pytest.param(sink, leak, id=leak.__name__) for sink, leaks in LEAKS.items() for leak in leaks],
)
def test_a_leak_is_found_where_it_is(desk: Nightdesk, sink: str, leak: Leak) -> None:
    assert desk.leaks() == {}
    leak(desk, SECRET[7:40])
    assert sink in desk.leaks()


def test_every_way_out_has_been_seen_to_leak() -> None:
    assert set(LEAKS) == set(SINKS)


def test_every_secret_that_a_setting_names_is_planted() -> None:
    named = {name.upper() for name in Settings.__dataclass_fields__ if name.endswith("_parameter")}
    assert {parameter.setting for parameter in PARAMETERS} == named


def test_every_secret_is_found_in_every_form(desk: Nightdesk) -> None:
    desk.api("GET", "/api/health")
    known = set(desk.canaries.names)
    for parameter in PARAMETERS:
        secret = "".join(line for line in parameter.value.splitlines() if "-----" not in line)
        for form, text in forms(secret):
            for cut in (text, text[7:], text[:-7]):
                found = desk.canaries.found_in(f"x {cut} y")
                assert any(name.startswith(parameter.name) for name in found), form
    assert {parameter.name for parameter in PARAMETERS} < known
    assert {"API key", ".netrc", "AWS_SECRET_ACCESS_KEY"} < known


def test_a_token_that_the_app_made_is_a_canary_too(
    tmp_path: Path,
    aws_tables: TableNames,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with deployed("app", tmp_path, aws_tables, monkeypatch, capfd) as desk:
        desk.model.is_lazy = True
        desk.poll()
        desk.webhook(desk.open_issue(), HOOK)
        desk.poll()
        desk.work()
        desk.publish()
        assert desk.leaks() == {}
        kept = desk.github.server.state.tokens.values()
        minted = [token.value for token in kept if token.kind == "installation"]
        assert len(minted) >= 2
        on_stdout(desk, minted[-1][-40:])
        assert set(desk.leaks()) == {"output"}
