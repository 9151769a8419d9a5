"""From the intents that a session has proposed to the rows that the publisher applies."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from nightdesk.domain.intents.changes import with_changes
from nightdesk.domain.intents.names import CHANGE, COMMENT, FINDING, PULL_REQUEST, REVIEW
from nightdesk.domain.intents.review import review_intent
from nightdesk.domain.outbox import OutboxRow, github_row
from nightdesk.domain.task import Origin


def final_intents(
    answer: str, proposed: Iterable[Mapping[str, Any]], origin: Origin
) -> tuple[dict[str, Any], ...]:
    """All intents of a session that ended with this answer, cut to what its Origin allows.

    The answer itself is the comment and the review's summary, where those are allowed.
    """
    asked = [{**intent} for intent in proposed]
    changes = [intent for intent in asked if intent["name"] == CHANGE]
    wanted = [
        with_changes(intent, changes) if intent["name"] == PULL_REQUEST else intent
        for intent in asked
        if intent["name"] not in (FINDING, CHANGE)
    ]
    wanted.append({"name": COMMENT, "body": answer})
    if origin.target is not None and origin.target.kind == "pull_request":
        wanted.append(review_intent(answer, asked))
    kept: list[dict[str, Any]] = []
    for intent in wanted:
        so_far = sum(1 for other in kept if other["name"] == intent["name"])
        if so_far < origin.allows(intent["name"]):
            kept.append(intent)
    return tuple(kept)


def outbox_rows(
    intents: Iterable[Mapping[str, Any]],
    *,
    task_id: str,
    run: int,
    footer: Mapping[str, Any],
    now: datetime,
) -> tuple[OutboxRow, ...]:
    """One row for each intent, named so that a repetition writes the same rows."""
    numbers: dict[str, int] = {}
    rows: list[OutboxRow] = []
    for intent in intents:
        name = intent["name"]
        numbers[name] = numbers.get(name, 0) + 1
        payload = {key: value for key, value in intent.items() if key != "name"}
        if name in {COMMENT, REVIEW}:
            payload["footer"] = dict(footer)
        rows.append(
            OutboxRow(
                task_id=task_id,
                row=github_row(run, name, numbers[name]),
                payload=payload,
                created_at=now,
            )
        )
    return tuple(rows)
