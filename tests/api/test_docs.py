"""The documents name what there is, and nothing else."""

import re
from pathlib import Path

from nightdesk.api import errors
from nightdesk.api.requests import CreateBody
from nightdesk.api.routes import ROUTES
from nightdesk.domain.event_log import EventKind
from nightdesk.domain.specialist import EVENTS, INTENTS, TOOLS
from nightdesk.domain.specialist_document import KEYS
from tests.api.caller import TASKS, Caller

DOCS = Path(__file__).parents[2] / "docs"


def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    text = (DOCS / "api.md").read_text()
    documented = set(re.findall(r"^\| `(\w+ /api/[^`?]*)", text, re.MULTILINE))

    routes = {re.sub("<[a-z_]+>", "{id}", f"{route.method} {route.path}") for route in ROUTES}

    assert documented == routes


def test_every_error_code_is_documented() -> None:
    text = (DOCS / "api.md").read_text()

    for code in [errors.INTERNAL.code, *(answer.code for _, answer in errors.ANSWERS)]:
        assert f"`{code}`" in text


def test_every_field_of_a_new_task_is_documented() -> None:
    text = (DOCS / "api.md").read_text()

    for field in CreateBody.__struct_encode_fields__:
        assert f"| `{field}` |" in text


def test_every_key_of_a_specialist_file_is_documented() -> None:
    text = (DOCS / "specialists.md").read_text()

    words = [*KEYS, *EVENTS, *TOOLS, *INTENTS]
    assert [word for word in words if f"`{word}" not in text] == []


def test_every_kind_of_event_and_every_field_of_a_task_is_documented(api: Caller) -> None:
    text = (DOCS / "api.md").read_text()
    task = api.call("GET", f"{TASKS}/{api.create().task['id']}").task

    assert [kind for kind in EventKind if f"`{kind.value}`" not in text] == []
    assert [name for name in task if name not in text] == []


def test_the_documented_call_works(api: Caller) -> None:
    text = (DOCS / "api.md").read_text()
    found = re.search(r"""-d '(\{"prompt".*\})'""", text)
    assert found is not None

    answer = api.call("POST", TASKS, raw=found[1].replace('"default"', '"team"'))

    assert answer.status == 201
