import json
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

import pytest

from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.github_ports import Change
from nightdesk.domain.specialist import EventTrigger
from nightdesk.domain.task import TriggerSource
from nightdesk.services.receive_webhook import BODY_LIMIT, WebhookRequest, receive_webhook
from nightdesk.services.reconcile import EVERY
from tests.fakes.github import AUTHOR, REPO, US, issue_facts
from tests.fakes.kill import Kill, KillSwitch
from tests.webhook.world import (
    SECRET,
    WebhookWorld,
    account,
    as_in_feed,
    issue,
    payload,
    pull,
    signature,
)

OPENED = payload("opened", issue=issue(12))


# The signature --------------------------------------------------------------------------------


def test_githubs_own_example_of_a_signature_fits() -> None:
    # From GitHub's documentation, "Validating webhook deliveries".
    expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert signature(b"Hello, World!") == f"sha256={expected}"


def test_a_signed_delivery_makes_a_task(world: WebhookWorld) -> None:
    answer = world.deliver("issues", OPENED)

    (task,) = world.tasks.tasks.values()
    assert (answer.status, answer.body) == (
        HTTPStatus.ACCEPTED,
        {"ok": True, "taskIds": [task.id]},
    )
    assert task.title == "[GitHub issues] octo-org/widgets — opened: Issue 12"
    assert task.trigger_source is TriggerSource.WEBHOOK
    assert [task_id for task_id, _ in world.wake_ups.sent] == [task.id]
    origin = world.tasks.origins[task.id]
    assert "Body of 12" in origin.prompt
    assert origin.target is not None
    assert (origin.target.repo_id, origin.target.number) == (REPO.id, 12)


def test_github_is_never_asked(world: WebhookWorld) -> None:
    world.deliver("issues", OPENED)
    assert world.source.calls == []


@pytest.mark.parametrize(
    "given",
    [
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        signature(b"another body"),
        signature(json.dumps(OPENED).encode(), "another secret"),
        signature(json.dumps(OPENED).encode()).upper(),
        signature(json.dumps(OPENED).encode()).removeprefix("sha256="),
        "sha1=" + "0" * 40,
        "sha256=é" + "0" * 63,
    ],
)
def test_a_wrong_signature_stores_nothing(world: WebhookWorld, given: str) -> None:
    answer = world.deliver("issues", OPENED, x_hub_signature_256=given)
    assert answer.status is HTTPStatus.UNAUTHORIZED
    assert world.tasks.tasks == {}


@pytest.mark.parametrize("secrets", [(), ("", "")])
def test_without_a_secret_everything_is_refused(
    world: WebhookWorld, secrets: tuple[str, ...]
) -> None:
    world.secrets = secrets
    body = json.dumps(OPENED).encode()
    for given in ("", signature(body), signature(body, "")):
        answer = world.deliver("issues", OPENED, x_hub_signature_256=given)
        assert answer.status is HTTPStatus.SERVICE_UNAVAILABLE
    assert world.tasks.tasks == {}


def test_an_empty_secret_beside_a_good_one_opens_nothing(world: WebhookWorld) -> None:
    body = json.dumps(OPENED).encode()
    answer = world.deliver("issues", OPENED, x_hub_signature_256=signature(body, ""))
    assert answer.status is HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("secrets", [("new", SECRET), (SECRET, "old")])
def test_both_secrets_of_a_rotation_are_good(world: WebhookWorld, secrets: tuple[str, ...]) -> None:
    world.secrets = secrets
    assert world.deliver("issues", OPENED).status is HTTPStatus.ACCEPTED


def test_secrets_that_cannot_be_read_refuse(world: WebhookWorld) -> None:
    def unavailable() -> tuple[str, ...]:
        raise UnavailableError("SSM parameter /x: ThrottlingException")

    ports = replace(world.webhook_ports(), secrets=unavailable)
    answer = receive_webhook(WebhookRequest(headers={}, body=b"{}"), ports)
    assert answer.status is HTTPStatus.SERVICE_UNAVAILABLE


def test_nothing_is_parsed_before_the_signature_is_good(world: WebhookWorld) -> None:
    answer = world.deliver_bytes("issues", b"{not json", x_hub_signature_256="sha256=0")
    assert answer.status is HTTPStatus.UNAUTHORIZED


def test_a_body_beyond_the_limit_is_refused(world: WebhookWorld) -> None:
    answer = world.deliver_bytes("issues", b" " * (BODY_LIMIT + 1))
    assert answer.status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE


# Bodies ---------------------------------------------------------------------------------------


def test_a_form_is_read_as_well(world: WebhookWorld) -> None:
    body = f"payload={quote_plus(json.dumps(OPENED))}".encode()
    form = "application/x-www-form-urlencoded"
    answer = world.deliver_bytes("issues", body, content_type=form)
    assert answer.status is HTTPStatus.ACCEPTED
    assert len(world.tasks.tasks) == 1


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'"text"']
)
def test_a_signed_body_that_is_no_delivery_is_400(world: WebhookWorld, body: bytes) -> None:
    assert world.deliver_bytes("issues", body).status is HTTPStatus.BAD_REQUEST


def test_a_ping_is_answered_and_starts_nothing(world: WebhookWorld) -> None:
    answer = world.deliver("ping", {"zen": "Keep it logically awesome.", "hook_id": 1})
    assert answer.status is HTTPStatus.OK
    assert world.tasks.tasks == {}


@pytest.mark.parametrize(
    ("event", "sent", "ignored"),
    [
        ("workflow_run", payload("completed", workflow_run={}), "unsupported"),
        ("issues", payload("opened"), "unsupported"),
        ("issues", {"action": "opened", "issue": issue()}, "unsupported"),
        ("issues", payload("pinned", issue=issue()), "no_trigger"),
        ("issues", payload("opened", issue=issue(state="closed")), "closed"),
        ("issues", payload("opened", issue={}), "unsupported"),
        (
            "issues",
            payload("opened", issue=issue(), sender=account(50, "helper", "Bot")),
            "bot",
        ),
    ],
)
def test_what_starts_nothing_is_answered_with_the_reason(
    world: WebhookWorld, event: str, sent: dict[str, Any], ignored: str
) -> None:
    answer = world.deliver(event, sent)
    assert answer.status is HTTPStatus.ACCEPTED
    assert answer.body == {"ok": True, "taskIds": [], "ignored": ignored}
    assert world.tasks.tasks == {}


@pytest.mark.parametrize("repos", ["", "octo-org/gadgets", "*", "octo-org/*"])
def test_only_configured_repositories_are_heard(world: WebhookWorld, repos: str) -> None:
    world.repos = repos
    assert world.deliver("issues", OPENED).body["ignored"] == "not_configured"


def test_names_of_repositories_are_compared_as_github_does(world: WebhookWorld) -> None:
    world.repos = "Octo-Org/Widgets"
    assert len(world.deliver("issues", OPENED).body["taskIds"]) == 1


def test_our_own_account_starts_nothing(world: WebhookWorld) -> None:
    own = frozenset({US.id})
    world.settings = replace(world.settings, own_account_ids=own)
    sent = payload("opened", issue=issue(), sender=account(US.id, US.login))
    assert world.deliver("issues", sent).body["ignored"] == "own"


def test_a_store_that_does_not_answer_is_503_and_a_redelivery_makes_it_good(
    world: WebhookWorld,
) -> None:
    class Down(type(world.tasks)):  # type: ignore[misc]
        def create(self, *_: Any, **__: Any) -> bool:
            raise UnavailableError("DynamoDB")

    up, world.tasks = world.tasks, Down()
    world.deferred.failures = [UnavailableError("DynamoDB")]
    assert world.deliver("issues", OPENED).status is HTTPStatus.SERVICE_UNAVAILABLE
    world.tasks = up
    assert len(world.deliver("issues", OPENED).body["taskIds"]) == 1


# One event, one task --------------------------------------------------------------------------

COMMENT = {
    "id": 31,
    "body": "What about this?",
    "user": account(AUTHOR.id, AUTHOR.login),
    "author_association": "MEMBER",
    "updated_at": "2026-11-21T12:00:00Z",
}
CLOSED = {"state": "closed", "closed_at": "2026-11-21T12:00:00Z"}
EVENTS = [
    ("issues", "IssuesEvent", OPENED),
    ("issues", "IssuesEvent", payload("reopened", issue=issue(12))),
    ("issues", "IssuesEvent", payload("closed", issue=issue(12, **CLOSED))),
    ("issues", "IssuesEvent", payload("labeled", issue=issue(12), label={"name": "bug"})),
    ("issue_comment", "IssueCommentEvent", payload("created", issue=issue(12), comment=COMMENT)),
    ("pull_request", "PullRequestEvent", payload("opened", pull_request=pull(12))),
    ("pull_request", "PullRequestEvent", payload("synchronize", pull_request=pull(12))),
    ("pull_request", "PullRequestEvent", payload("closed", pull_request=pull(12, **CLOSED))),
    (
        "pull_request",
        "PullRequestEvent",
        payload("labeled", pull_request=pull(12), label={"name": "bug"}),
    ),
]


@pytest.mark.parametrize("first", ["webhook", "poll"])
@pytest.mark.parametrize(
    ("event", "kind", "sent"), EVENTS, ids=[f"{e[0]}.{e[2]['action']}" for e in EVENTS]
)
def test_the_same_event_by_webhook_and_by_poll_is_one_task(
    world: WebhookWorld, first: str, event: str, kind: str, sent: dict[str, Any]
) -> None:
    later = world.clock.now().isoformat().replace("+00:00", "Z")
    subject = "pull_request" if "pull_request" in sent else "issue"
    sent = {**sent, subject: {**sent[subject], "updated_at": later}}
    sent[subject]["created_at"] = "2026-11-20T12:00:00Z"
    world.wants("asker", EventTrigger(event=event, actions=(sent["action"],)))
    world.watch()
    world.happens(12, event_id="old", action="pinned")
    world.source.events = [as_in_feed("e1", kind, sent)]

    for way in (first, *({"webhook", "poll"} - {first})):
        if way == "webhook":
            world.deliver(event, sent)
        else:
            world.poll()

    started = [task for task in world.tasks.tasks.values() if task.agent_id == "asker"]
    assert [task.trigger_source.value for task in started] == [
        "webhook" if first == "webhook" else "polling"
    ]


@pytest.mark.parametrize("first", ["webhook", "lists"])
def test_the_same_issue_by_webhook_and_from_the_lists_is_one_task(
    world: WebhookWorld, first: str
) -> None:
    world.watch()
    at = world.clock.now()
    text = at.isoformat().replace("+00:00", "Z")
    sent = payload("opened", issue=issue(12, created_at=text, updated_at=text))
    if first == "webhook":
        world.deliver("issues", sent)
    item = as_in_feed("e", "IssuesEvent", sent)
    world.source.changed = [Change(item=item, facts=issue_facts(12), updated_at=at)]
    world.clock.advance(EVERY)
    world.poll()
    if first == "lists":
        world.deliver("issues", sent)
    assert world.agents() == ["enricher"]


def test_a_redelivery_with_the_same_guid_changes_nothing(world: WebhookWorld) -> None:
    world.deliver("issues", OPENED, x_github_delivery="guid")
    again = world.deliver("issues", OPENED, x_github_delivery="guid")
    assert again.body == {"ok": True, "taskIds": [], "ignored": "already_started"}
    assert len(world.tasks.tasks) == 1


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_delivery_cut_at_any_call_is_made_good_by_its_redelivery(*, after_effect: bool) -> None:
    body, whole = json.dumps(OPENED).encode(), KillSwitch()
    WebhookWorld().deliver_bytes("issues", body, whole)
    assert len(whole.made) >= 2
    for calls in range(len(whole.made)):
        world = WebhookWorld()
        with pytest.raises(Kill):
            world.deliver_bytes("issues", body, KillSwitch(calls, after_effect=after_effect))
        world.deliver_bytes("issues", body)
        assert len(world.tasks.tasks) == 1


def test_an_issue_opened_with_labels_and_assignees_is_one_task(world: WebhookWorld) -> None:
    world.wants("asker", EventTrigger(event="issues"))
    whole = issue(12, labels=[{"name": "a"}, {"name": "b"}], updated_at="2026-11-21T12:00:01Z")
    deliveries: list[dict[str, Any]] = [
        payload("labeled", issue=whole, label={"name": "a"}),
        payload("opened", issue=whole),
        payload("labeled", issue=whole, label={"name": "b"}),
        payload("assigned", issue=whole, assignee=account(1, "somebody")),
    ]
    for sent in deliveries:
        world.deliver("issues", sent)
    assert world.agents() == ["asker", "enricher"]


def test_a_pull_request_opened_with_a_reviewer_is_one_task(world: WebhookWorld) -> None:
    world.wants("reviewer", EventTrigger(event="pull_request"))
    for action in ("opened", "labeled", "review_requested"):
        world.deliver("pull_request", payload(action, pull_request=pull(), label={"name": "x"}))
    assert world.agents() == ["reviewer"]


def test_a_label_added_later_is_an_event_of_its_own(world: WebhookWorld) -> None:
    world.wants("asker", EventTrigger(event="pull_request", actions=("labeled",), labels=("go",)))
    for minute in (1, 2):
        later = pull(updated_at=f"2026-11-21T12:0{minute}:00Z")
        sent = payload("labeled", pull_request=later, label={"name": "go"})
        world.deliver("pull_request", sent)
    assert world.agents() == ["asker", "asker"]
