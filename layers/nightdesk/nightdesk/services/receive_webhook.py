"""Receive one delivery of a GitHub webhook: check its signature, then start what it starts.

Nothing is read, and nothing stored, before the signature of the raw bytes is found good. What the
issue is now stands in the payload; GitHub is asked only before something starts, for what the
payload does not tell (the repository's rules; at times changed files, or the actor's permission).

GitHub has `READING` for its answers. A delivery that cannot be imported now is put aside for the
poller, which imports it later, and is answered 202 all the same.

Other deliveries are not remembered. The tasks' ids are derived from what happened, so a
redelivery (by hand: GitHub itself never repeats one) does what an unfinished first try left
undone, and no more.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from nightdesk.domain.actor_gate import ActorGate
from nightdesk.domain.decisions import DecisionLog
from nightdesk.domain.deferred_events import DeferredEvent, DeferredEvents
from nightdesk.domain.errors import (
    NightdeskError,
    TransientError,
    TryLaterError,
    UnavailableError,
)
from nightdesk.domain.github_ports import Delivery, IssueFacts
from nightdesk.domain.ports import Specialists
from nightdesk.domain.repository_name import parse_repository_list
from nightdesk.domain.task import TriggerSource
from nightdesk.domain.trigger import DefaultTrigger, GithubEvent, Skip, event_of_feed
from nightdesk.services.bounded_gate import BoundedGateReader
from nightdesk.services.explain_event import record_decisions
from nightdesk.services.import_events import (
    TASKS_PER_HOUR,
    Imported,
    ImportPorts,
    ImportRules,
    decision_of,
    import_event,
)

logger = logging.getLogger(__name__)

#: Lambda takes 6 MB with the body's escaping; what is larger never arrives here.
BODY_LIMIT = 5 * 1024 * 1024
#: What GitHub's answers to our questions may take together: the delivery is answered in a second.
READING = timedelta(milliseconds=600)
_PREFIX = b"sha256="


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """`repos` lists the repositories whose webhooks are heard, owner/name; there is no wildcard."""

    repos: str
    workspace_id: str
    default_triggers: tuple[DefaultTrigger, ...] = ()
    own_account_ids: frozenset[int] = frozenset()
    allowed_bot_ids: frozenset[int] = frozenset()
    mention_handle: str = ""
    tasks_per_hour: int = TASKS_PER_HOUR
    progress_comments: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPorts(ImportPorts):
    #: The secrets that are good now; two during a rotation, "" for one that is not set.
    secrets: Callable[[], tuple[str, ...]]
    read_delivery: Callable[[str, str, Mapping[str, Any]], Delivery | None]
    specialists: Specialists
    decisions: DecisionLog
    deferred: DeferredEvents
    #: Where questions to GitHub wait for their answers.
    reads: Executor
    settings: WebhookSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """Headers in lower case; the body's raw bytes."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    status: HTTPStatus
    body: Mapping[str, Any]


class _RefusedError(NightdeskError):
    """The delivery is answered with this status and nothing else happens."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def receive_webhook(request: WebhookRequest, ports: WebhookPorts) -> WebhookAnswer:
    """Answer a delivery: 202 for all that is understood, tasks or not.

    401 and 503 store nothing: a wrong signature; no secret, or a store that does not answer.
    """
    try:
        _check_signature(request, ports)
        event, payload = _parsed(request)
        if event == "ping":
            return WebhookAnswer(HTTPStatus.OK, {"ok": True, "pong": True})
        return _accepted(_import(event, payload, request, ports))
    except _RefusedError as error:
        logger.warning("[GitHubWebhook] %s: %s", error.status.value, error)
        return WebhookAnswer(error.status, {"ok": False, "error": str(error)})
    except (TransientError, TryLaterError) as error:
        # GitHub shows the delivery as failed; redelivering it, or the next poll, makes it good.
        logger.warning("[GitHubWebhook] not imported: %s", error)
        answer = {"ok": False, "error": "try again later"}
        return WebhookAnswer(HTTPStatus.SERVICE_UNAVAILABLE, answer)


def _check_signature(request: WebhookRequest, ports: WebhookPorts) -> None:
    try:
        secrets = [secret.encode() for secret in ports.secrets() if secret]
    except UnavailableError as error:
        logger.warning("[GitHubWebhook] %s", error)
        message = "the webhook secret cannot be read"
        raise _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, message) from None
    if not secrets:
        raise _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "no webhook secret is configured")
    if len(request.body) > BODY_LIMIT:
        message = "the body is too large"
        raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
    given = request.headers.get("x-hub-signature-256", "").encode()
    # Every secret is tried, whichever fits: the time tells nothing.
    fits = [hmac.compare_digest(given, _signature(secret, request.body)) for secret in secrets]
    if not any(fits):
        raise _RefusedError(HTTPStatus.UNAUTHORIZED, "the signature is missing or wrong")


def _signature(secret: bytes, body: bytes) -> bytes:
    return _PREFIX + hmac.new(secret, body, hashlib.sha256).hexdigest().encode()


def _parsed(request: WebhookRequest) -> tuple[str, Mapping[str, Any]]:
    """The event's name and its payload, from a JSON body or the form field `payload`."""
    try:
        text = request.body.decode()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded":
            text = parse_qs(text, max_num_fields=10).get("payload", [""])[0]
        payload = _without_surrogates(json.loads(text))
    except (ValueError, RecursionError):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
    event = request.headers.get("x-github-event", "").strip()
    if not event or not isinstance(payload, dict):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "this is no delivery of a GitHub webhook")
    return event, payload


def _without_surrogates(payload: Any) -> Any:
    """JSON can hold halves of characters, which no store takes; they become question marks."""
    try:
        json.dumps(payload, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        text = json.dumps(payload, ensure_ascii=False).encode(errors="replace")
        return json.loads(text)
    return payload


@dataclass(frozen=True, slots=True)
class _Outcome:
    task_ids: tuple[str, ...] = ()
    skip: Skip | None = None


def _import(
    name: str, payload: Mapping[str, Any], request: WebhookRequest, ports: WebhookPorts
) -> _Outcome:
    guid = request.headers.get("x-github-delivery", "")[:100]
    delivery = ports.read_delivery(name, guid, payload)
    if delivery is None:
        return _Outcome(skip=Skip.UNSUPPORTED)
    if not _is_configured(delivery.repo.full_name, ports.settings):
        return _Outcome(skip=Skip.NOT_CONFIGURED)
    found = _event_of(delivery)
    if found is None:
        return _Outcome(skip=Skip.UNSUPPORTED)
    event, facts = found
    rules = _rules(ports)
    gate = BoundedGateReader(ports.gate_reader, ports.reads, clock=ports.clock, limit=READING)
    try:
        imported = import_event(event, lambda: facts, rules, replace(ports, gate_reader=gate))
    except NightdeskError as error:
        imported = _deferred(event, error, ports)
    record_decisions([decision_of(event, imported, rules, ports)], ports.decisions)
    logger.info(
        "[GitHubWebhook] %s: %s: %s", event.name, event.key, imported.skip or imported.task_ids
    )
    return _Outcome(imported.task_ids, imported.skip)


def _deferred(event: GithubEvent, error: NightdeskError, ports: WebhookPorts) -> Imported:
    """Put the event aside for the poller.

    Raises:
        UnavailableError: nor is that possible now.
    """
    now = ports.clock.now()
    wait = error.retry_after if isinstance(error, TryLaterError) else timedelta(0)
    ports.deferred.put(DeferredEvent(event=event, deferred_at=now, next_try=now + wait))
    logger.warning("[GitHubWebhook] %s: deferred: %s", event.key, error)
    return Imported((), Skip.DEFERRED, detail=str(error))


def _event_of(delivery: Delivery) -> tuple[GithubEvent, IssueFacts] | None:
    if delivery.item is None or delivery.facts is None:
        return None
    event = event_of_feed(delivery.item, delivery.repo)
    return None if event is None else (event, delivery.facts)


def _is_configured(repo: str, settings: WebhookSettings) -> bool:
    names = parse_repository_list(settings.repos).names
    return repo.lower() in {name.lower() for name in names}


def _accepted(outcome: _Outcome) -> WebhookAnswer:
    answer: dict[str, Any] = {"ok": True, "taskIds": list(outcome.task_ids)}
    if outcome.skip is Skip.DEFERRED:
        answer["state"] = outcome.skip.value
    elif outcome.skip is not None:
        answer["ignored"] = outcome.skip.value
    return WebhookAnswer(HTTPStatus.ACCEPTED, answer)


def _rules(ports: WebhookPorts) -> ImportRules:
    settings = ports.settings
    return ImportRules(
        workspace_id=settings.workspace_id,
        specialists=ports.specialists.load(),
        default_triggers=settings.default_triggers,
        gate=ActorGate(
            own_account_ids=settings.own_account_ids, allowed_bot_ids=settings.allowed_bot_ids
        ),
        source=TriggerSource.WEBHOOK,
        handle=settings.mention_handle,
        tasks_per_hour=settings.tasks_per_hour,
        progress_comments=settings.progress_comments,
    )
