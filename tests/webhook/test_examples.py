"""Every example payload of GitHub's events, mutated, and noise: an answer, at once, and no task
but for the configured events and actions.
"""

import json
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.domain.specialist import EventTrigger
from tests.webhook.world import WebhookWorld, examples

PAIRS = (
    EventTrigger(event="issues", actions=("opened", "labeled")),
    EventTrigger(event="issue_comment", actions=("created",)),
    EventTrigger(event="pull_request", actions=("opened", "synchronize")),
)
#: What is read of an issue, a comment or a pull request.
READ = {
    "id", "number", "title", "body", "state", "user", "labels", "author_association",
    "pull_request", "draft", "created_at", "updated_at",
}  # fmt: skip
Mutation = Callable[[dict[str, Any]], dict[str, Any]]


def by_a_bot(sent: dict[str, Any]) -> dict[str, Any]:
    sent["sender"] = {**(sent.get("sender") or {}), "type": "Bot"}
    return sent


def from_a_fork(sent: dict[str, Any]) -> dict[str, Any]:
    pull = sent.get("pull_request")
    if isinstance(pull, dict) and isinstance(pull.get("head"), dict):
        pull["head"]["repo"] = None
    return sent


def without_association(sent: dict[str, Any]) -> dict[str, Any]:
    for part in ("issue", "comment", "pull_request"):
        if isinstance(sent.get(part), dict):
            sent[part].pop("author_association", None)
    return sent


def on_a_pull_request(sent: dict[str, Any]) -> dict[str, Any]:
    if isinstance(sent.get("issue"), dict):
        sent["issue"]["pull_request"] = {"url": "https://api.github.com/x"}
    return sent


def with_a_large_body(sent: dict[str, Any]) -> dict[str, Any]:
    return _with_text(sent, "x" * 1_000_000)


def not_in_ascii(sent: dict[str, Any]) -> dict[str, Any]:
    return _with_text(sent, "naïve 猫 \ud83d\ude00 \u202e \u0000 \U000e0041 \ud800")


def _with_text(sent: dict[str, Any], text: str) -> dict[str, Any]:
    for part in ("issue", "comment", "pull_request"):
        if isinstance(sent.get(part), dict):
            sent[part] |= {"title": text, "body": text}
    return sent


MUTATIONS: tuple[Mutation, ...] = (
    lambda sent: sent,
    by_a_bot,
    from_a_fork,
    without_association,
    on_a_pull_request,
    not_in_ascii,
)


def world_that_hears_all() -> WebhookWorld:
    """Each configured pair has a specialist; every repository of the examples is configured."""
    world = WebhookWorld()
    for trigger in PAIRS:
        world.wants(f"on-{trigger.event}", trigger)
    names = {(sent.get("repository") or {}).get("full_name", "") for _, sent in examples()}
    world.repos = ",".join(sorted(filter(None, names)))
    world.settings = replace(world.settings, default_triggers=())
    return world


def is_configured(event: str, sent: dict[str, Any]) -> bool:
    return any(t.event == event and sent.get("action") in t.actions for t in PAIRS)


def checked(world: WebhookWorld, event: str, sent: Any) -> list[str]:
    """Deliver; the answer comes within a second and names the tasks that it made."""
    before = set(world.tasks.tasks)
    begun = time.perf_counter()
    answer = world.deliver(event, sent)
    assert time.perf_counter() - begun < 1
    assert answer.status in {HTTPStatus.OK, HTTPStatus.ACCEPTED}
    made = set(world.tasks.tasks) - before
    assert made == set(answer.body.get("taskIds", []))
    if not is_configured(event, sent):
        assert not made
    return sorted(made)


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda m: str(m.__name__))
def test_every_example_is_answered_and_only_configured_pairs_make_tasks(mutate: Mutation) -> None:
    world = world_that_hears_all()
    made = [
        task_id
        for event, sent in examples()
        for task_id in checked(world, event, mutate(deepcopy(sent)))
    ]
    assert len(examples()) == 329
    assert len(made) == len(set(made))
    assert bool(made) is (mutate is not by_a_bot)


def test_examples_with_a_body_of_a_megabyte_are_answered_within_a_second() -> None:
    world = world_that_hears_all()
    made = [
        task_id
        for event, sent in examples()
        if is_configured(event, sent)
        for task_id in checked(world, event, with_a_large_body(deepcopy(sent)))
    ]
    assert made
    # DynamoDB's items end at 400 KB.
    assert max(len(o.prompt) for o in world.tasks.origins.values()) < 100_000


def _without_each_field(sent: dict[str, Any], depth: int = 3) -> Iterator[dict[str, Any]]:
    """The payload without one of its fields, and with null or a number in its place."""
    for key, value in sent.items():
        yield {k: v for k, v in sent.items() if k != key}
        yield {**sent, key: None}
        yield {**sent, key: 7}
        if isinstance(value, dict) and depth:
            for inner in _without_each_field(value, depth - 1):
                yield {**sent, key: inner}


@pytest.mark.parametrize("trigger", PAIRS, ids=lambda trigger: str(trigger.event))
def test_no_missing_or_odd_field_raises(trigger: EventTrigger) -> None:
    world = world_that_hears_all()
    sent = next(s for event, s in examples() if event == trigger.event and is_configured(event, s))
    whole: dict[str, Any] = {n: sent[n] for n in ("action", "label", "sender") if n in sent}
    whole["repository"] = {"id": 1, "full_name": sent["repository"]["full_name"]}
    for part in {"issue", "comment", "pull_request"} & sent.keys():
        whole[part] = {name: sent[part][name] for name in READ & sent[part].keys()}
        for ref in {"head", "base"} & sent[part].keys():
            whole[part][ref] = {"ref": "x", "sha": "a" * 40, "repo": {"id": 1}}
    for mutated in _without_each_field(whole):
        checked(world, trigger.event, mutated)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["action", "issue", "comment", "pull_request", "repository", "sender", "label", "id"]
    ),
    JSON | st.dictionaries(st.sampled_from(["id", "number", "user", "body", "labels"]), JSON),
)
EVENT_NAMES = st.sampled_from(["issues", "issue_comment", "pull_request", "ping"]) | st.text()


@settings(max_examples=150, deadline=1_000)
@given(event=EVENT_NAMES, sent=FIELDS)
def test_no_signed_json_raises(event: str, sent: dict[str, Any]) -> None:
    world = WebhookWorld()
    whole = {"repository": {"id": 501, "full_name": "octo-org/widgets"}, **sent}
    body = json.dumps(whole).encode()
    assert world.deliver_bytes(event, body).status < 500


@settings(max_examples=150, deadline=1_000)
@given(
    body=st.binary(max_size=200),
    signature=st.text(max_size=80),
    kind=st.sampled_from(["application/json", "application/x-www-form-urlencoded"]) | st.text(),
)
def test_noise_is_refused_whatever_it_is(body: bytes, signature: str, kind: str) -> None:
    world = WebhookWorld()
    signature = signature.encode("utf-8", "replace").decode()
    unsigned = world.deliver_bytes("issues", body, x_hub_signature_256=signature)
    assert unsigned.status is HTTPStatus.UNAUTHORIZED
    signed = world.deliver_bytes("issues", body, content_type=kind)
    assert signed.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.ACCEPTED}
    assert world.tasks.tasks == {}
