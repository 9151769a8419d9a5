"""`on:` of a specialist's file in every spelling of GitHub Actions, through the file's own YAML."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nightdesk.adapters.specialist_yaml import markdown_document
from nightdesk.domain.document_values import DocumentError
from nightdesk.domain.name_filter import NameFilter
from nightdesk.domain.specialist import EVENTS, Audience, EventTrigger, Specialist
from nightdesk.domain.specialist_document import specialist_from
from nightdesk.domain.trigger_document import FILTERS, PULL_FILTERS


def read(on: str) -> Specialist:
    keys, body = markdown_document(f"---\nname: R\n{on}\n---\nReview.\n")
    return specialist_from(keys, body, file_id="r")


PULL = EventTrigger(event="pull_request")
OPENED = EventTrigger(event="issues", actions=("opened",))


@pytest.mark.parametrize(
    ("on", "triggers"),
    [
        ("on: issues", (EventTrigger(event="issues"),)),
        ('"on": issues', (EventTrigger(event="issues"),)),
        ("on: [issues, pull_request]", (EventTrigger(event="issues"), PULL)),
        ("on:\n  - issues\n  - pull_request", (EventTrigger(event="issues"), PULL)),
        ("on:\n  issues:\n  pull_request:", (EventTrigger(event="issues"), PULL)),
        ("on: {issues: {types: opened}}", (OPENED,)),
        ("on:\n  issues:\n    types: [opened]", (OPENED,)),
        ("on:\n  issues:\n    actions:\n      - opened", (OPENED,)),
        (
            "on:\n  pull_request:\n    branches-ignore: [wip/**]\n    paths-ignore: '**.md'",
            (
                EventTrigger(
                    event="pull_request",
                    branches_ignore=NameFilter(("wip/**",)),
                    paths_ignore=NameFilter(("**.md",)),
                ),
            ),
        ),
        (
            "on: {pull_request: {paths_ignore: [a], drafts: false}}",
            (EventTrigger(event="pull_request", paths_ignore=NameFilter(("a",)), drafts=False),),
        ),
    ],
)
def test_each_spelling_means_the_same(on: str, triggers: tuple[EventTrigger, ...]) -> None:
    assert read(on).triggers == triggers


@pytest.mark.parametrize(
    ("on", "reason"),
    [
        ("on: push", "key on: 'push' is not allowed; allowed: issues, issue_comment, pull_request"),
        ("on: {pull_request_target: }", "key on: 'pull_request_target' is not allowed; allowed: "),
        ("on: {workflow_dispatch: }", "allowed: issues, issue_comment, pull_request, schedule"),
        ("on: {issues: {type: opened}}", "unknown key on.issues.type; allowed: actions, labels"),
        ("on: {issues: {paths: [a]}}", "unknown key on.issues.paths"),
        (
            "on: {issues: {types: [opened], actions: [opened]}}",
            "key on.issues.actions is given twice",
        ),
        ("on: {issues: {types: [synchronize]}}", "key on.issues.actions: 'synchronize'"),
        ("on: {pull_request: {branches: a, branches-ignore: b}}", "only one of them is allowed"),
        ("on: {pull_request: {paths: ['!a']}}", "key on.pull_request.paths: "),
        ("on: {pull_request: {paths: ['a[']}}", "key on.pull_request.paths: a[: a set needs"),
        ("on: {pull_request: {paths-ignore: ['!a']}}", "patterns without !"),
        ("on: 7", "key on: 7 is not allowed"),
        ("allow: anybody", "key allow: 'anybody' is not allowed; allowed: everyone, members"),
        ("allow: everyone\ntools: [read_file, ask_person]", "key allow: 'everyone' is not allowed"),
    ],
)
def test_what_is_wrong_is_named(on: str, reason: str) -> None:
    with pytest.raises(DocumentError) as raised:
        read(on)
    assert reason in str(raised.value)


def test_whose_events_count_depends_on_what_it_may_do() -> None:
    assert read("on: issues").audience is Audience.EVERYONE
    assert read("allow: members").audience is Audience.MEMBERS
    assert read("tools: [read_file, ask_person]").audience is Audience.MEMBERS
    assert read("allow: everyone\nintents: {comment: 1, labels: 2}").audience is Audience.EVERYONE


PATTERN = st.sampled_from(["main", "release/**", "**", "src/*.py?", "[a-z]+", "!old", "é"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "labels": st.lists(st.sampled_from(["bug", "on", "yes", "help wanted"]), max_size=3),
    "locked": st.booleans(),
    "closed": st.booleans(),
    "drafts": st.booleans(),
    "forks": st.booleans(),
    **{
        key: st.lists(PATTERN, min_size=1, max_size=4)
        for key in ("branches", "branches-ignore", "paths", "paths-ignore")
    },
}
SPELT = {"actions": ["actions", "types"], "paths-ignore": ["paths-ignore", "paths_ignore"]}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """`on:` as somebody could write it, right or wrong."""
    found: dict[str, Any] = {}
    for event in draw(st.lists(st.sampled_from([*EVENTS, "push"]), min_size=1, unique=True)):
        keys = draw(st.lists(st.sampled_from([*FILTERS, *PULL_FILTERS, "typo"]), unique=True))
        actions = st.sampled_from(EVENTS.get(event, ("opened",)))
        values = {**VALUES, "actions": actions | st.lists(actions, max_size=3), "typo": st.none()}
        filters = {draw(st.sampled_from(SPELT.get(key, [key]))): draw(values[key]) for key in keys}
        found[event] = filters or draw(st.sampled_from([{}, None]))
    return found


@given(documents())
def test_a_file_is_read_as_it_says_or_refused_by_the_key_that_is_wrong(on: dict[str, Any]) -> None:
    text = yaml.safe_dump({"on": on}, allow_unicode=True, sort_keys=False)
    try:
        triggers = {trigger.event: trigger for trigger in read(text).triggers}
    except DocumentError as error:
        message = str(error)
        assert message.startswith(("key on", "keys on.", "unknown key on."))
        return
    assert list(triggers) == list(on)
    for event, filters in on.items():
        trigger = triggers[event]
        for key, value in (filters or {}).items():
            name = {"types": "actions"}.get(key, key.replace("-", "_"))
            got = getattr(trigger, name)
            got = got.patterns if isinstance(got, NameFilter) else got
            if isinstance(value, bool):
                assert got is value
            else:
                named = [value] if isinstance(value, str) else value
                assert set(got) == set(named)
        assert "typo" not in (filters or {})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_no_value_of_on_breaks_more_than_its_own_file(value: Any) -> None:
    keys = {"name": "R", "on": value, "allow": value}
    for document in (keys, {**keys, "allow": None}, {"name": "R", "on": {"schedule": value}}):
        try:
            specialist_from(document, "Review.", file_id="r")
        except Exception as error:  # noqa: BLE001 - which one is what is tested
            assert isinstance(error, DocumentError)  # noqa: PT017
