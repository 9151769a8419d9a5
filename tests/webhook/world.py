"""A webhook on fakes, beside a poller that works on the same tables."""

import hashlib
import hmac
import json
import lzma
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from nightdesk.adapters.github.shapes import feed_event_of
from nightdesk.adapters.github.webhooks import read_delivery
from nightdesk.domain.github_ports import FeedEvent
from nightdesk.services.receive_webhook import (
    WebhookAnswer,
    WebhookPorts,
    WebhookRequest,
    WebhookSettings,
    receive_webhook,
)
from tests.fakes.github import AUTHOR, REPO
from tests.fakes.kill import KillSwitch
from tests.poller.world import PollerWorld

SECRET = "It's a Secret to Everybody"
EXAMPLES = Path(__file__).parent / "octokit-webhooks-examples.json.xz"
NOON_TEXT = "2026-11-21T12:00:00Z"
#: Shared by all worlds: it remembers nothing.
READS = ThreadPoolExecutor(4, "reads")


@cache
def examples() -> tuple[tuple[str, dict[str, Any]], ...]:
    """Every example of @octokit/webhooks-examples: the event's name and its payload."""
    events = json.loads(lzma.decompress(EXAMPLES.read_bytes()))
    return tuple((event["name"], payload) for event in events for payload in event["examples"])


def account(identity: int, login: str, kind: str = "User") -> dict[str, Any]:
    return {"id": identity, "login": login, "type": kind}


def issue(number: int = 12, **changes: Any) -> dict[str, Any]:
    """As FakeEventSource knows the issue."""
    whole = {
        "id": 1_000 + number,
        "number": number,
        "title": f"Issue {number}",
        "body": f"Body of {number}",
        "state": "open",
        "user": account(AUTHOR.id, AUTHOR.login),
        "author_association": "NONE",
        "labels": [],
        "html_url": f"https://github.com/{REPO.full_name}/issues/{number}",
        "created_at": NOON_TEXT,
        "updated_at": NOON_TEXT,
        "closed_at": None,
    }
    return {**whole, **changes}


def pull(number: int = 13, **changes: Any) -> dict[str, Any]:
    repo = {"id": REPO.id, "full_name": REPO.full_name}
    head, base = {"ref": "topic", "sha": "a" * 40, "repo": repo}, {"ref": "main", "repo": repo}
    whole = issue(number, id=2_000 + number, head=head, base=base, draft=False)
    return {**whole, **changes}


def payload(action: str, **parts: Any) -> dict[str, Any]:
    """What GitHub sends: the action, its parts, the repository and the sender."""
    repo = {"id": REPO.id, "full_name": REPO.full_name, "default_branch": "main"}
    sender = parts.pop("sender", account(AUTHOR.id, AUTHOR.login))
    return {"action": action, **parts, "repository": repo, "sender": sender}


def as_in_feed(event_id: str, kind: str, sent: Mapping[str, Any]) -> FeedEvent:
    """The same event as the Events API shows it: trimmed, under an id of its own."""
    trimmed = {k: v for k, v in sent.items() if k not in {"repository", "sender"}}
    if "pull_request" in trimmed:
        whole = trimmed["pull_request"]
        trimmed["pull_request"] = {k: whole[k] for k in ("id", "number", "head", "base")}
    subject = sent.get("pull_request") or sent["issue"]
    sender = sent["sender"]
    item = feed_event_of(
        {
            "id": event_id,
            "type": kind,
            "created_at": subject["updated_at"],
            "actor": {"id": sender["id"], "login": sender["login"]},
            "repo": {"id": REPO.id, "name": REPO.full_name},
            "payload": trimmed,
        }
    )
    assert item is not None
    return item


@dataclass
class WebhookWorld(PollerWorld):
    """The poller's world, and a webhook beside it."""

    secrets: tuple[str, ...] = (SECRET, "")
    repos: str = REPO.full_name
    tasks_per_hour: int = 10
    guids: Iterator[int] = field(default_factory=lambda: iter(range(10_000)))

    def webhook_ports(self, switch: KillSwitch | None = None) -> WebhookPorts:
        guard = switch or KillSwitch()
        return WebhookPorts(
            tasks=guard.guard(self.tasks),
            wake_ups=guard.guard(self.wake_ups),
            counts=guard.guard(self.counts),
            decisions=guard.guard(self.decisions),
            deferred=guard.guard(self.deferred),
            reads=READS,
            gate_reader=guard.guard(self.gate_reader),
            specialists=self.specialists,
            clock=self.clock,
            dice=self.dice,
            secrets=lambda: self.secrets,
            read_delivery=read_delivery,
            settings=WebhookSettings(
                repos=self.repos,
                workspace_id=self.settings.workspace_id,
                default_triggers=self.settings.default_triggers,
                own_account_ids=self.settings.own_account_ids,
                allowed_bot_ids=self.settings.allowed_bot_ids,
                tasks_per_hour=self.tasks_per_hour,
            ),
        )

    def deliver(self, event: str, sent: Any, **headers: str) -> WebhookAnswer:
        """A delivery as GitHub makes it, rightly signed."""
        return self.deliver_bytes(event, json.dumps(sent).encode(), None, **headers)

    def deliver_bytes(
        self, event: str, body: bytes, switch: KillSwitch | None = None, **headers: str
    ) -> WebhookAnswer:
        signed = {
            "content-type": "application/json",
            "x-github-event": event,
            "x-github-delivery": f"guid-{next(self.guids)}",
            "x-hub-signature-256": signature(body),
        }
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        request = WebhookRequest(headers={**signed, **changed}, body=body)
        return receive_webhook(request, self.webhook_ports(switch))


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
