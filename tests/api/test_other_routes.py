"""Health, specialists, polling, processing, and what happens when something is down."""

import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.functions import FunctionFailedError, FunctionStillRunningError
from nightdesk.domain.specialist import (
    READING_TOOLS,
    Concurrency,
    ConcurrencyGroup,
    EventTrigger,
    OnConflict,
    ScheduleTrigger,
    SpecialistSet,
)
from nightdesk.domain.task import Limits
from nightdesk.domain.version import VERSION
from tests.api.caller import TASKS, Caller, Context, answered, event_of
from tests.fakes.specialists import specialist

CHECKED = {
    "ok": True,
    "checkedAt": "2026-11-21T12:00:00.000Z",
    "summary": {
        "reposChecked": 1,
        "totalEventsFound": 3,
        "totalEventsProcessed": 1,
        "totalEventsSkipped": 2,
    },
    "results": [],
}

STATUS = {
    "ok": True,
    "enabled": True,
    "isRunning": False,
    "intervalSeconds": 60,
    "lastCheckedAt": "2026-11-21T12:00:00.000Z",
    "lastEventIds": {"o/r": "7", "o/s": None},
    "repositories": [],
    "malformed": [],
    "deferredEvents": 0,
}


def test_health_needs_no_key_and_asks_no_store(api: Caller) -> None:
    before = api.access.calls

    answer = api.call("GET", "/api/health", key=None)

    assert answer.json == {
        "status": "ok",
        "version": VERSION,
        "timestamp": "2026-11-21T12:00:00.000Z",
    }
    assert api.access.calls == before


def test_the_version_is_that_of_the_project() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()

    assert f'\nversion = "{VERSION}"\n' in project


def test_specialists_are_listed_with_what_they_may_do(api: Caller) -> None:
    full = replace(
        specialist("reviewer"),
        triggers=(EventTrigger(event="pull_request", actions=("opened",), labels=("review",)),),
        intents=(("comment", 1), ("labels", 3)),
        allowed_labels=("bug",),
        approvals=("labels",),
        limits=Limits(turns=9, tokens=1000, cost_micros=500_000),
        concurrency=Concurrency(group=ConcurrencyGroup.ISSUE, on_conflict=OnConflict.SUPERSEDE),
        notices=("model x is not used",),
    )
    api.specialists.set = SpecialistSet({"reviewer": full})

    answer = api.call("GET", "/api/specialists")

    assert answer.json == {
        "specialists": [
            {
                "id": "reviewer",
                "name": "Reviewer",
                "description": "What reviewer does",
                "role": "CRAFTER",
                "modelTier": "smart",
                "tools": list(READING_TOOLS),
                "intents": {"comment": 1, "labels": 3},
                "approval": ["labels"],
                "labels": ["bug"],
                "limits": {
                    "turns": 9,
                    "timeoutMs": 300_000,
                    "tokens": 1000,
                    "costUsd": 0.5,
                },
                "triggers": [
                    {"event": "pull_request", "actions": ["opened"], "labels": ["review"]}
                ],
                "concurrency": {"group": "issue", "onConflict": "supersede"},
                "enabled": True,
                "schedules": [],
                "allow": "everyone",
                "notices": ["model x is not used"],
            }
        ],
        "broken": [],
    }


def test_specialists_are_listed_with_their_next_run(api: Caller) -> None:
    trigger = ScheduleTrigger(cron="0 6 * * *", timezone="Asia/Tokyo", repo="o/r")
    planned = replace(specialist("tidy"), schedules=(trigger,))
    api.specialists.set = SpecialistSet({"tidy": planned}, disabled=(replace(planned, id="off"),))
    shown = api.call("GET", "/api/specialists").json["specialists"]
    whole = {"cron": "0 6 * * *", "timezone": "Asia/Tokyo", "repo": "o/r"}
    assert [each["schedules"] for each in shown] == [
        [{**whole, "nextRunAt": None}],
        [{**whole, "nextRunAt": "2026-11-21T21:00:00.000Z"}],
    ]


def test_broken_and_disabled_specialists_are_shown(api: Caller) -> None:
    api.specialists.set = SpecialistSet(
        {"developer": specialist("developer")}, disabled=(specialist("asleep"),)
    )
    api.specialists.add_broken("bad.md", "key name is missing", "bad")
    api.specialists.set = replace(api.specialists.set, disabled=(specialist("asleep"),))

    listed = api.call("GET", "/api/specialists").json

    assert [(s["id"], s["enabled"]) for s in listed["specialists"]] == [
        ("asleep", False),
        ("developer", True),
    ]
    assert listed["broken"] == [{"file": "bad.md", "reason": "key name is missing"}]
    assert "enabled: false" in api.create(agentId="asleep").error["message"]


def test_a_key_for_one_specialist_sees_that_one(api: Caller) -> None:
    listed = api.call("GET", "/api/specialists", key=api.make_key(agents=("developer",))).json

    assert [s["id"] for s in listed["specialists"]] == ["developer"]


def test_processing_sweeps_before_it_answers(api: Caller) -> None:
    api.functions.answers["sweeper"] = {"woken": 2}

    answer = api.call("POST", f"{TASKS}/process")

    assert (answer.status, answer.json) == (
        200,
        {"ok": True, "dispatched": True, "swept": {"woken": 2}},
    )
    assert api.functions.invoked == [("sweeper", {"action": "sweep"})]


@pytest.mark.parametrize(
    ("method", "action", "said"), [("GET", "status", STATUS), ("POST", "check", CHECKED)]
)
def test_the_pollers_answer_is_passed_on(
    api: Caller, method: str, action: str, said: dict[str, Any]
) -> None:
    api.functions.answers["poller"] = said

    answer = api.call(method, "/api/polling/check")

    assert (answer.status, answer.json) == (200, said)
    assert api.functions.invoked == [("poller", {"action": action})]


def test_decisions_are_those_of_the_keys_own_workspace(api: Caller) -> None:
    rows = [{"event": "issues.opened", "outcome": "bot"}]
    api.functions.answers["poller"] = {"repo": "o/r", "number": 12, "decisions": rows}
    query = {"repo": "o/r", "number": "12"}

    answer = api.call("GET", "/api/github/decisions", query=query)

    assert (answer.status, answer.json["decisions"]) == (200, rows)
    asked = {"action": "decisions", "repo": "o/r", "number": 12, "workspaceId": "team"}
    assert api.functions.invoked == [("poller", asked)]


@pytest.mark.parametrize("number", ["", "0", "x", "-1", "1" * 11, "\u0661"])
def test_decisions_of_no_issue_are_refused(api: Caller, number: str) -> None:
    query = {"repo": "o/r", "number": number}
    assert api.call("GET", "/api/github/decisions", query=query).status == 400


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FunctionFailedError("secret detail"), "FUNCTION_FAILED"),
        (UnavailableError("secret detail"), "UNAVAILABLE"),
    ],
)
def test_a_function_that_does_not_answer_is_503_and_says_when_to_come_again(
    api: Caller, error: Exception, code: str
) -> None:
    api.functions.answers["poller"] = error

    answer = api.call("POST", "/api/polling/check")

    assert (answer.status, answer.error["code"]) == (503, code)
    assert int(answer.headers["retry-after"]) > 0
    assert "secret detail" not in answer.text


def test_a_sweep_that_takes_longer_than_the_request_is_503(api: Caller) -> None:
    api.functions.answers["sweeper"] = FunctionStillRunningError("secret detail")
    answer = api.call("POST", f"{TASKS}/process")
    assert (answer.status, answer.error["code"]) == (503, "STILL_RUNNING")


def test_a_poll_that_takes_longer_than_the_request_has_started(api: Caller) -> None:
    api.functions.answers["poller"] = FunctionStillRunningError("secret detail")

    answer = api.call("POST", "/api/polling/check")

    assert (answer.status, answer.json["ok"], answer.json["state"]) == (202, True, "started")
    assert set(answer.json) >= set(CHECKED)
    assert set(answer.json["summary"].values()) == {0}
    assert answer.json["outcome"] == "/api/polling/check"
    assert "secret detail" not in answer.text
    status = api.call("GET", "/api/polling/check")
    assert (status.status, status.error["code"]) == (503, "STILL_RUNNING")


def test_a_store_that_is_down_is_503(api: Caller) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise UnavailableError("DynamoDB: ThrottlingException on table-arn")

    api.tasks.get = down  # type: ignore[method-assign]

    answer = api.call("GET", f"{TASKS}/t-1")

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "table-arn" not in answer.text


def test_a_defect_is_500_without_internals_and_is_logged(api: Caller, logged: io.StringIO) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("line 7 of arn:aws:dynamodb")

    api.tasks.get = broken  # type: ignore[method-assign]

    answer = api.call("GET", f"{TASKS}/t-1")

    assert answer.status == 500
    assert answer.error == {
        "code": "INTERNAL_ERROR",
        "message": "Something went wrong here",
        "requestId": "request-1",
    }
    assert "line 7 of arn:aws:dynamodb" in logged.getvalue()


@pytest.mark.parametrize("event", [{}, {"rawPath": None}, {"version": "1.0", "path": "/"}])
def test_an_event_that_is_no_request_is_still_answered(api: Caller, event: dict[str, Any]) -> None:
    answer = answered(api.app(event, Context()))

    assert answer.status == 500
    assert answer.error["code"] == "INTERNAL_ERROR"


def test_nothing_that_a_caller_sends_is_logged(api: Caller, logged: io.StringIO) -> None:
    api.create(prompt="CANARY-1", title="CANARY-2")
    api.create(prompt="CANARY-3", agentId="CANARY-4")
    api.call("POST", TASKS, raw='{"CANARY-5": ')
    api.call("GET", TASKS, query={"CANARY-6": "CANARY-7"})

    api.call("GET", f"{TASKS}/CANARY-8")

    assert logged.getvalue().count('"answered"') == 5
    assert "CANARY" not in logged.getvalue()
    assert api.key.rsplit("_", 1)[1] not in logged.getvalue()


def test_the_shipped_events_are_answered(api: Caller) -> None:
    """tests/events/api-*.json are for `sam local invoke`; here they are at least well formed."""
    events = sorted((Path(__file__).parents[1] / "events").glob("api-*.json"))
    assert events
    for path in events:
        event = json.loads(path.read_text())
        event["headers"] = {**event["headers"], "authorization": f"Bearer {api.key}"}
        answer = answered(api.app(event, Context()))
        assert answer.status in (200, 201), path.name
        api.clock.advance(timedelta(seconds=1))


def test_the_test_events_have_the_shape_of_the_shipped_ones() -> None:
    event = event_of("GET", "/api/health")

    for path in (Path(__file__).parents[1] / "events").glob("api-*.json"):
        shipped = json.loads(path.read_text())
        assert set(event) <= set(shipped), path.name
        assert set(event["requestContext"]) <= set(shipped["requestContext"]), path.name
