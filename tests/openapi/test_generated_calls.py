"""Calls that schemathesis makes out of the document, good and bad ones, with all sorts of keys.

Whatever is sent: no 5xx, no status, header or shape that the document does not name. The real
handlers answer, in process, on fakes. `make test` makes the same few hundred calls each time,
`make prove` thousands of new ones.
"""

import base64
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nightdesk.domain.api_key import Operation
from nightdesk.domain.rate_limit import PER_MINUTE_MAX
from nightdesk.services.manage_keys import create_key
from tests.a2a.world import AGENT, World
from tests.api.caller import WORKSPACE, Caller, Context, event_of
from tests.openapi.judge import document, judge
from tests.openapi.operations import DECISIONS, POLLED, STATUS

SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = {
    found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)
}
MODES = {mode.value: mode for mode in GenerationMode}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
NOBODYS = ("unknown", "malformed", "none")
#: Calls for each operation and mode.
FEW, MANY = 6, 110


class Deployment:
    """Both functions on the same stores, with tasks and keys to be found."""

    def __init__(self) -> None:
        self.world = World()
        self.api = Caller(
            tasks=self.world.tasks,
            access=self.world.access,
            wake_ups=self.world.wake_ups,
            clock=self.world.clock,
            dice=self.world.dice,
        )
        self.api.functions.answers = {"sweeper": {"redriven": 1}}
        self.tasks = [str(self.world.send()["id"]) for _ in range(3)]
        self.world.complete(self.tasks[1])
        self.keys = {
            "admin": self._key(Operation.ADMIN),
            "writer": self._key(Operation.READ, Operation.WRITE),
            "reader": self._key(Operation.READ),
            "of another workspace": self._key(Operation.ADMIN, workspace="others"),
            "of another agent": self._key(Operation.ADMIN, agents=("issue-enricher",)),
            "limited": self._key(Operation.ADMIN, rate=1),
            "unknown": f"nd_{'0' * 16}_{'0' * 64}",
            "malformed": "nd_1_2",
            "none": None,
        }
        self.statuses: Counter[int] = Counter()

    def _key(
        self,
        *operations: Operation,
        workspace: str = WORKSPACE,
        agents: tuple[str, ...] = (),
        rate: int = PER_MINUTE_MAX,
    ) -> str | None:
        return create_key(
            workspace_id=workspace,
            agents=agents,
            operations=operations,
            requests_per_minute=rate,
            access=self.world.access,
            clock=self.world.clock,
            dice=self.world.dice,
        ).text

    def answer(self, request: requests.PreparedRequest) -> Mapping[str, Any]:
        """What API Gateway would make of the request, answered by the function behind the path."""
        url = urlsplit(request.url or "")
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else body
        headers = {name.lower(): value for name, value in request.headers.items()}
        event = event_of(
            str(request.method),
            url.path,
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers=headers,
            body=base64.b64encode(content).decode(),
            is_base64=True,
        )
        event["rawQueryString"] = url.query
        if url.path.startswith("/a2a"):
            return self.world.app(event)
        said = DECISIONS if url.path.startswith("/api/github") else POLLED
        is_asked_how = url.path.startswith("/api/polling") and request.method == "GET"
        self.api.functions.answers["poller"] = STATUS if is_asked_how else said
        answer: Mapping[str, Any] = self.api.app(event, Context())
        return answer

    def call(self, case: Case[Any], key: str) -> Response:
        """Send the case with one of the keys."""
        made = case.as_transport_kwargs(base_url="http://nightdesk.test")
        given = {k: v for k, v in made.items() if k in ("method", "url", "params", "json", "data")}
        headers = {n: v for n, v in made["headers"].items() if n.lower() != "authorization"}
        request = requests.Request(**given, headers=headers, cookies=made.get("cookies")).prepare()
        if (text := self.keys[key]) is not None:
            request.headers["Authorization"] = f"Bearer {text}"
        answer = self.answer(request)
        self.statuses[answer["statusCode"]] += 1
        return Response(
            status_code=answer["statusCode"],
            headers={name.lower(): [str(value)] for name, value in answer["headers"].items()},
            content=str(answer["body"]).encode(),
            request=request,
            elapsed=0.0,
            verify=False,
            encoding="utf-8",
        )


def aimed(case: Case[Any], data: st.DataObject, deployment: Deployment) -> None:
    """Let half of the calls name things that there are: all others would be 403 and 404."""
    if not data.draw(st.booleans(), label="aimed"):
        return
    keys = [key.id for key in deployment.world.access.list_keys(WORKSPACE)]
    there = {
        "task_id": deployment.tasks,
        "taskId": deployment.tasks,
        "agentId": [AGENT],
        "workspace_id": [WORKSPACE],
        "delivery_id": ["0" * 32],
        # Not the first ones: those that the test calls with.
        "key_id": keys[8:] or ["0" * 16],
    }
    for name in case.path_parameters or {}:
        case.path_parameters[name] = data.draw(st.sampled_from(there[name]), label=name)
    for sent in (case.body, case.query):
        if isinstance(sent, dict):
            for name, value in {"workspaceId": WORKSPACE, "agentId": AGENT}.items():
                if name in sent:
                    sent[name] = value


def try_calls(label: str, mode: str, settle: Callable[[Any], Any]) -> Counter[int]:
    deployment = Deployment()

    @settle
    @given(
        case=OPERATIONS[label].as_strategy(generation_mode=MODES[mode]),
        key=st.sampled_from(
            ["admin"] * 6 + ["writer"] * 3 + list(deployment.keys),
        ),
        data=st.data(),
    )
    def calls(case: Case[Any], key: str, data: st.DataObject) -> None:
        aimed(case, data, deployment)
        response = deployment.call(case, key)
        path = urlsplit(str(response.request.url)).path
        headers = {name: values[0] for name, values in response.headers.items()}
        judge(case.method, path, response.status_code, headers, response.content.decode())
        case.validate_response(response, checks=CHECKS, excluded_checks=[ignored_auth])
        is_open = OPERATIONS[label].definition.raw.get("security") == []
        assert is_open or key not in NOBODYS or response.status_code == 401, (label, key)

    calls()
    return deployment.statuses


def possible(labels: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Nothing can be wrong with what takes no input."""
    return [
        (label, mode)
        for label, operation in labels.items()
        for mode in MODES
        if mode == "positive" or list(operation.iter_parameters()) or operation.body
    ]


@pytest.mark.parametrize(("label", "mode"), possible(OPERATIONS))
def test_whatever_is_called_is_answered_as_documented(label: str, mode: str) -> None:
    try_calls(
        label,
        mode,
        settings(
            max_examples=FEW,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.prove
def test_thousands_of_calls_are_answered_as_documented() -> None:
    statuses: Counter[int] = Counter()
    usual = settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck))
    for label, mode in possible(OPERATIONS):
        statuses += try_calls(label, mode, usual)

    print(f"{statuses.total()} calls: {dict(statuses)}")  # noqa: T201 - a proof's figures
    assert statuses.total() >= 5_000
    assert set(statuses) >= {200, 201, 202, 400, 401, 403, 404, 409, 429}
