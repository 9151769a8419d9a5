"""`nightdesk.yml` narrows and never widens, whatever stands in it and whatever happens."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightdesk.adapters.specialist_yaml import small_yaml_document
from nightdesk.domain.document_values import DocumentError
from nightdesk.domain.gate_ports import ChangedPaths, Permission
from nightdesk.domain.name_filter import NameFilter
from nightdesk.domain.repository_rules import NO_RULES, Narrowing, RepositoryRules
from nightdesk.domain.repository_rules_document import KEYS, NARROWING_KEYS, rules_from
from nightdesk.domain.specialist import EventTrigger, Specialist
from nightdesk.domain.specialist_document import SpecialistFileError
from nightdesk.domain.task import Limits, Origin
from tests.fakes.github import AUTHOR
from tests.fakes.specialists import specialist
from tests.webhook.test_commands import comment
from tests.webhook.world import WebhookWorld, account, issue, payload, pull

EXAMPLE = Path(__file__).parents[2] / "examples" / "nightdesk.yml"
DOCS = Path(__file__).parents[2] / "docs" / "github.md"


def read(text: str) -> RepositoryRules:
    return rules_from(small_yaml_document(text))


# Reading --------------------------------------------------------------------------------------


def test_the_example_says_all_that_there_is() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    rules = read(text)
    assert rules.by_specialist["developer"] == Narrowing(enabled=False)
    reviewer = rules.by_specialist["pr-reviewer"]
    assert reviewer.paths == NameFilter(("src/**", "!**/*.md"))
    assert reviewer.limits == Limits(turns=15, cost_micros=200_000)
    assert [key for key in KEYS if f"{key}:" not in text] == []


def test_every_key_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [key for key in KEYS if f"`{key}`" not in text] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("on: {}", "unknown key on; allowed: enabled, "),
        ("enabled: nope", "key enabled: 'nope' is not allowed; allowed: true, false"),
        ("specialists: [a]", "key specialists: "),
        ("specialists: {a: 1}", "key specialists.a: 1 is not allowed"),
        ("specialists: {a: {intent: {}}}", "unknown key specialists.a.intent"),
        ("specialists: {a: {actions: [oppened]}}", "key specialists.a.actions: 'oppened'"),
        ("specialists: {a: {paths: ['[']}}", "key specialists.a.paths: "),
        ("specialists: {'../a': true}", "key id: '../a'"),
        ("limits: {cost_usd: 1000}", "key limits.cost_usd: 1000"),
        ("intents: {merge: 1}", "unknown key intents.merge"),
        ("drafts: []", "key drafts: [] is not allowed"),
    ],
)
def test_a_mistake_is_named_by_its_key(text: str, reason: str) -> None:
    with pytest.raises(DocumentError) as raised:
        read(text)
    assert reason in str(raised.value)


@given(st.text(max_size=200) | st.text(alphabet="{}[]:&*!-#|>'\"\\ \nae0%,?", max_size=120))
def test_no_text_breaks_more_than_its_own_file(text: str) -> None:
    with suppress(SpecialistFileError):
        assert isinstance(read(text), RepositoryRules)


def test_a_bomb_of_aliases_and_a_tower_of_brackets_are_refused_at_once() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    for text in (bomb, "labels: " + "[" * 30_000, "labels: " + "{a: " * 15_000):
        with pytest.raises(SpecialistFileError):
            read(text)


# Narrowing ------------------------------------------------------------------------------------

WORDS = ("a", "b")
PATTERNS = st.lists(
    st.sampled_from(["a/**", "!a/x", "**", "b", "!b", "main", "reporter", "[ab]*", "!ann"]),
    min_size=1,
    max_size=3,
).filter(lambda found: not all(pattern.startswith("!") for pattern in found))
NARROWINGS = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans(),
        "commands": st.booleans(),
        "events": st.lists(st.sampled_from(["issues", "pull_request"]), min_size=1),
        "actions": st.lists(st.sampled_from(["opened", "synchronize"]), min_size=1),
        "labels": st.lists(st.sampled_from(WORDS), min_size=1),
        "authors": PATTERNS,
        "branches": PATTERNS,
        "paths": PATTERNS,
        "drafts": st.booleans(),
        "forks": st.booleans(),
        "intents": st.dictionaries(st.sampled_from(["comment", "labels"]), st.integers(0, 10)),
        "limits": st.fixed_dictionaries(
            {},
            optional={
                "turns": st.integers(1, 200),
                "timeout": st.integers(1_000, 1_800_000),
                "cost_usd": st.floats(0.01, 100),
                "tokens": st.integers(1_000, 100_000_000),
            },
        ),
    },
)
DOCUMENTS = st.builds(
    lambda everybody, others, own: {**everybody, "others": others, "specialists": own},
    NARROWINGS,
    st.booleans(),
    st.dictionaries(
        st.sampled_from(["enricher", "reviewer", "off", "nobody"]), NARROWINGS | st.booleans()
    ),
)
SPECIALISTS = (
    replace(
        specialist("enricher"),
        triggers=(EventTrigger(event="issues"), EventTrigger(event="pull_request")),
        intents=(("comment", 1), ("labels", 2)),
    ),
    replace(
        specialist("reviewer"),
        triggers=(EventTrigger(event="pull_request", paths=NameFilter(("a/**",)), drafts=False),),
        limits=Limits(turns=20, tokens=50_000, cost_micros=500_000),
        timeout_ms=60_000,
    ),
)
SENT = st.one_of(
    st.builds(
        lambda labels: ("issues", payload("opened", issue=issue(12, labels=labels))),
        st.lists(st.sampled_from(WORDS), max_size=2).map(
            lambda names: [{"name": n} for n in names]
        ),
    ),
    st.builds(
        lambda action, draft, fork: (
            "pull_request",
            payload(
                action,
                pull_request=pull(
                    13,
                    draft=draft,
                    head={"ref": "x", "sha": "b" * 40, "repo": {"id": 7 if fork else 501}},
                ),
            ),
        ),
        st.sampled_from(["opened", "synchronize"]),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        lambda name, association: (
            "issue_comment",
            comment(f"/nightdesk {name}", association, sender=account(AUTHOR.id, AUTHOR.login)),
        ),
        st.sampled_from(["enricher", "reviewer", "off"]),
        st.sampled_from(["OWNER", "NONE"]),
    ),
)


def started(
    rules: RepositoryRules, event: str, sent: dict[str, Any], level: str, paths: tuple[str, ...]
) -> dict[str, tuple[Origin, int]]:
    """What an event starts: the origin and the timeout of each task, by specialist."""
    world = WebhookWorld()
    for each in SPECIALISTS:
        world.specialists.add(each)
    world.gate_reader.found = rules
    world.gate_reader.permissions[AUTHOR.id] = Permission(level, level)
    world.gate_reader.changed[13] = ChangedPaths(paths)
    world.deliver(event, sent)
    return {
        task.agent_id: (world.tasks.origins[task.id], task.timeout_ms)
        for task in world.tasks.tasks.values()
    }


@settings(max_examples=300, deadline=None)
@given(
    document=DOCUMENTS,
    event_and_payload=SENT,
    level=st.sampled_from(["write", "read"]),
    paths=st.lists(st.sampled_from(["a/x", "a/y", "b", "README.md"]), max_size=3).map(tuple),
)
def test_whatever_the_file_says_no_more_is_started_and_nothing_may_do_more(
    document: dict[str, Any],
    event_and_payload: tuple[str, dict[str, Any]],
    level: str,
    paths: tuple[str, ...],
) -> None:
    event, sent = event_and_payload
    without = started(NO_RULES, event, sent, level, paths)
    narrowed = started(rules_from(document), event, sent, level, paths)

    assert narrowed.keys() <= without.keys()
    for name, (origin, timeout_ms) in narrowed.items():
        before, timeout_before = without[name]
        assert timeout_ms <= timeout_before
        assert origin.limits.turns <= before.limits.turns
        for most, own in (
            (before.limits.tokens, origin.limits.tokens),
            (before.limits.cost_micros, origin.limits.cost_micros),
        ):
            assert most is None or (own is not None and own <= most)
        allowed = dict(before.intents)
        assert all(count <= allowed.get(intent, 0) for intent, count in origin.intents)
        assert origin.target == before.target
        assert origin.allowed_labels == before.allowed_labels
        assert set(before.approvals) <= set(origin.approvals)


@given(document=DOCUMENTS)
def test_a_specialist_that_is_lowered_twice_is_lowered_once(document: dict[str, Any]) -> None:
    rules = rules_from(document)
    for each in SPECIALISTS:
        once = rules.applied_to(each)
        assert rules.applied_to(once) == once
        assert isinstance(once, Specialist)


def test_others_false_makes_the_file_a_list_of_who_may_work() -> None:
    rules = read("others: false\nspecialists: {enricher: true}")
    opened = ("issues", payload("opened", issue=issue(12)))
    assert set(started(rules, *opened, "read", ())) == {"enricher"}
    assert set(started(read("others: false"), *opened, "read", ())) == set()


def test_filters_of_events_leave_commands_alone() -> None:
    rules = read("specialists: {enricher: {labels: [never], drafts: false, paths: [never]}}")
    command = ("issue_comment", comment("/nightdesk enricher", "OWNER"))
    assert set(started(rules, *command, "write", ())) == {"enricher"}
    assert set(started(read("commands: false"), *command, "write", ())) == set()


def test_the_keys_of_one_and_of_all_are_the_same() -> None:
    assert set(KEYS) - set(NARROWING_KEYS) == {"others", "specialists"}
