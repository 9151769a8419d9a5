"""Reading specialist files: ours, the predecessors', and broken ones."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nightdesk.adapters.specialist_files import FILE_BYTES_MAX, SpecialistFiles
from nightdesk.domain.model import ModelTier
from nightdesk.domain.specialist import (
    READING_TOOLS,
    Concurrency,
    ConcurrencyGroup,
    EventTrigger,
    OnConflict,
    Role,
    Specialist,
    SpecialistSet,
)
from nightdesk.domain.specialist_document import KEYS, SpecialistFileError, specialist_from
from nightdesk.domain.task import Limits

FULL = """\
---
id: issue-enricher
name: Issue Enricher
description: Transforms rough requirements into well-structured GitHub issues
role: DEVELOPER
model_tier: smart            # also modelTier; fast | balanced | smart
on:                          # events that start it
  issues: {actions: [opened], labels: [enricher]}
tools: [list_files, read_file, search_code, read_issue]
intents: {comment: 1}        # what it may propose, and how many
limits: {turns: 30, timeout: 15m, cost_usd: 0.50}
concurrency: {group: issue, on_conflict: supersede}
---
# Enrich

---
A line of three dashes belongs to the prompt.
"""

#: As the predecessor ships it: no id, camel case, the file's name is the id.
OLD_MARKDOWN = """\
---
name: PR Reviewer
description: Reviews
modelTier: balanced
role: gate
roleReminder: Be kind.
---
Review it.
"""

OLD_YAML = """\
id: desk-check
name: Desk Check
description: "Checks: everything"
role: CRAFTER
role_reminder: Remember.
modelTier: fast
model: gpt-x
default_provider: opencode
defaultAdapter: acp
system_prompt: |
  Check it.
execution:
  role: GATE
  model_tier: balanced
  provider: claude
"""


def write(folder: Path, **files: str) -> SpecialistSet:
    """Write files (`a_md` is a.md) and load the folder."""
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem.replace('_', '-')}.{suffix}").write_text(text, encoding="utf-8")
    return SpecialistFiles(folder).load()


def keys(**changed: Any) -> str:
    """A small valid file with some keys changed; None takes one out."""
    document = {"name": "A", "description": "B", **changed}
    kept = {key: value for key, value in document.items() if value is not None}
    return f"---\n{yaml.safe_dump(kept, allow_unicode=True)}---\nDo it.\n"


def reason(folder: Path, **changed: Any) -> str:
    """Why a file with these keys is refused."""
    loaded = write(folder, a_md=keys(**changed))
    assert loaded.by_id == {}
    (broken,) = loaded.broken
    assert (broken.file, broken.id) == ("a.md", "a")
    return broken.reason


def test_the_designs_example_loads_whole(tmp_path: Path) -> None:
    loaded = write(tmp_path, any_md=FULL)

    assert loaded.broken == ()
    assert loaded.by_id == {
        "issue-enricher": Specialist(
            id="issue-enricher",
            name="Issue Enricher",
            description="Transforms rough requirements into well-structured GitHub issues",
            prompt="# Enrich\n\n---\nA line of three dashes belongs to the prompt.",
            role=Role.DEVELOPER,
            tier=ModelTier.SMART,
            triggers=(EventTrigger(event="issues", actions=("opened",), labels=("enricher",)),),
            tools=("list_files", "read_file", "search_code", "read_issue"),
            intents=(("comment", 1),),
            limits=Limits(turns=30, cost_micros=500_000),
            timeout_ms=900_000,
            concurrency=Concurrency(group=ConcurrencyGroup.ISSUE, on_conflict=OnConflict.SUPERSEDE),
        )
    }


def test_the_predecessors_markdown_loads_unchanged(tmp_path: Path) -> None:
    found = write(tmp_path, pr_reviewer_md=OLD_MARKDOWN).by_id["pr-reviewer"]

    assert (found.name, found.tier, found.role) == ("PR Reviewer", ModelTier.BALANCED, Role.GATE)
    assert (found.prompt, found.reminder) == ("Review it.", "Be kind.")
    assert (found.tools, found.intents, found.triggers) == (READING_TOOLS, (("comment", 1),), ())


@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_the_predecessors_yaml_loads_unchanged(tmp_path: Path, suffix: str) -> None:
    found = write(tmp_path, **{f"x_{suffix}": OLD_YAML}).by_id["desk-check"]

    assert (found.prompt, found.reminder) == ("Check it.", "Remember.")
    assert (found.role, found.tier) == (Role.GATE, ModelTier.BALANCED)


def test_what_the_predecessors_files_ask_for_in_vain_is_said(tmp_path: Path) -> None:
    found = write(tmp_path, x_yaml=OLD_YAML).by_id["desk-check"]

    assert found.notices == (
        "default_provider opencode is not used: the deployment decides",
        "default_adapter acp is not used: the deployment decides",
        "provider claude is not used: the deployment decides",
        "model gpt-x is not used: the tier decides which model runs",
    )


def test_tier_and_role_have_the_predecessors_defaults(tmp_path: Path) -> None:
    found = write(tmp_path, a_md=keys()).by_id["a"]

    assert (found.tier, found.role) == (ModelTier.SMART, Role.CRAFTER)


def test_the_id_of_the_file_wins_over_its_name(tmp_path: Path) -> None:
    assert write(tmp_path, a_md=keys(id="other")).ids == ("other",)


def test_specialists_are_found_in_folders_but_not_among_translations_or_readmes(
    tmp_path: Path,
) -> None:
    for name in ("team/b.md", "locales/zh-CN/b.md", ".git/c.md", "README.md", "d.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(keys(), encoding="utf-8")

    loaded = SpecialistFiles(tmp_path).load()

    assert (loaded.ids, loaded.broken) == (("b",), ())


def test_a_disabled_file_is_shown_and_not_used(tmp_path: Path) -> None:
    loaded = write(tmp_path, a_md=keys(enabled=False), b_md=keys())

    assert loaded.ids == ("b",)
    assert [specialist.id for specialist in loaded.disabled] == ["a"]
    assert loaded.why_off("a") == "its file says enabled: false"


# `on:` ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    ["on: issues", "on: [issues]", "on:\n  issues:", "on: {issues: {}}", '"on": issues'],
)
def test_on_is_a_key_although_yaml_1_1_reads_it_as_true(tmp_path: Path, written: str) -> None:
    found = write(tmp_path, a_md=f"---\nname: A\n{written}\n---\nDo it.").by_id["a"]

    assert found.triggers == (EventTrigger(event="issues"),)


@pytest.mark.parametrize("written", ["true: issues", "yes: issues", "off: issues", "1: issues"])
def test_nothing_but_on_is_on(tmp_path: Path, written: str) -> None:
    loaded = write(tmp_path, a_md=f"---\nname: A\n{written}\n---\nDo it.")

    assert "unknown key" in loaded.broken[0].reason


def test_a_word_that_yaml_1_1_reads_as_true_stays_a_word(tmp_path: Path) -> None:
    assert write(tmp_path, a_md="---\nname: yes\n---\nDo it.").by_id["a"].name == "yes"


# Broken files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"name": None}, "key name is missing"),
        ({"name": " "}, "key name is missing"),
        ({"name": 7}, "key name: 7 is not allowed; allowed: text"),
        ({"nmae": "x"}, "unknown key nmae; allowed: id, name, description, role, model_tier"),
        ({"role": "KING"}, "key role: 'KING' is not allowed; allowed: ROUTA, CRAFTER, GATE, DEV"),
        ({"model_tier": "huge"}, "key model_tier: 'huge' is not allowed; allowed: fast, balanced"),
        ({"modelTier": "fast", "model_tier": "fast"}, "key model_tier is given twice, also as"),
        ({"tools": ["shell"]}, "key tools: 'shell' is not allowed; allowed: list_files, read_file"),
        ({"tools": {"a": 1}}, "key tools: {'a': 1} is not allowed"),
        ({"tools": [["x"]]}, "key tools: ['x'] is not allowed"),
        ({"intents": {"merge": 1}}, "unknown key intents.merge; allowed: comment, labels"),
        (
            {"intents": {"comment": 11}},
            "key intents.comment: 11 is not allowed; allowed: a whole n",
        ),
        ({"intents": {"comment": True}}, "key intents.comment: True is not allowed"),
        ({"intents": ["comment"]}, "key intents: ['comment'] is not allowed"),
        ({"approval": ["shell"]}, "key approval: 'shell' is not allowed; allowed: comment, list_f"),
        (
            {"approval": ["labels"]},
            "key approval: 'labels' is not allowed; allowed: comment, list_files",
        ),
        (
            {"approval": ["labels"], "intents": {"comment": 1, "labels": 0}},
            "key approval: 'labels' is not allowed",
        ),
        (
            {"approval": "read_file", "tools": ["list_files"]},
            "key approval: 'read_file' is not allowed; allowed: comment, list_files",
        ),
        (
            {"approval": ["ask_person"], "tools": ["ask_person"]},
            "key approval: 'ask_person' is not allowed; allowed: comment",
        ),
        (
            {"approval": "comment", "intents": {}, "tools": []},
            "key approval: 'comment' is not allowed; allowed: nothing: it has neither",
        ),
        ({"approval": {"comment": 1}}, "key approval: {'comment': 1} is not allowed"),
        ({"labels": [""]}, "key labels: '' is not allowed; allowed: a label of 1 to 50"),
        ({"labels": 7}, "key labels: 7 is not allowed"),
        (
            {"limits": {"turns": 0}},
            "key limits.turns: 0 is not allowed; allowed: a whole number fr",
        ),
        ({"limits": {"turns": 201}}, "key limits.turns: 201 is not allowed"),
        ({"limits": {"turns": None}}, "key limits.turns: None is not allowed"),
        (
            {"limits": {"timeout": "31m"}},
            "key limits.timeout: '31m' is not allowed; allowed: 1s to",
        ),
        ({"limits": {"timeout": "15 minutes"}}, "key limits.timeout: '15 minutes' is not allowed"),
        ({"limits": {"timeout": 999}}, "key limits.timeout: 999 is not allowed"),
        ({"limits": {"timeout": 1.5}}, "key limits.timeout: 1.5 is not allowed"),
        ({"limits": {"cost_usd": 0}}, "key limits.cost_usd: 0 is not allowed; allowed: dollars"),
        ({"limits": {"cost_usd": "1"}}, "key limits.cost_usd: '1' is not allowed"),
        ({"limits": {"cost_usd": float("nan")}}, "key limits.cost_usd: nan is not allowed"),
        ({"limits": {"cost_usd": float("inf")}}, "key limits.cost_usd: inf is not allowed"),
        ({"limits": {"tokens": 10}}, "key limits.tokens: 10 is not allowed"),
        ({"limits": {"hours": 1}}, "unknown key limits.hours; allowed: turns, timeout, cost_usd"),
        ({"limits": 5}, "key limits: 5 is not allowed; allowed: a mapping"),
        ({"on": {"star": {}}}, "key on: 'star' is not allowed; allowed: issues, issue_comment"),
        ({"on": {"issues": {"actions": ["oepned"]}}}, "key on.issues.actions: 'oepned' is not all"),
        (
            {"on": {"issues": {"branch": "x"}}},
            "unknown key on.issues.branch; allowed: actions, lab",
        ),
        ({"on": 5}, "key on: 5 is not allowed"),
        ({"concurrency": {"group": "moon"}}, "key concurrency.group: 'moon' is not allowed"),
        ({"concurrency": {"on_conflict": "queue"}}, "key concurrency.group is missing"),
        ({"enabled": "perhaps"}, "key enabled: 'perhaps' is not allowed; allowed: true, false"),
        ({"system_prompt": "x"}, "key system_prompt and a prompt below the keys"),
        ({"execution": {"speed": 1}}, "unknown key execution.speed; allowed: role, provider"),
        ({"description": "d" * 501}, "key description: 501 characters; allowed: at most 500"),
    ],
)
def test_a_bad_key_is_named_with_its_value_and_what_is_allowed(
    tmp_path: Path, changed: dict[str, Any], named: str
) -> None:
    assert named in reason(tmp_path, **changed)


@pytest.mark.parametrize("bad", ["", "../x", "a b", "-a", "ä", 7, "a" * 64])
def test_an_id_is_plain(tmp_path: Path, bad: object) -> None:
    assert "key id:" in reason(tmp_path, id=bad)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "does not begin with its keys"),
        ("# No keys\n", "does not begin with its keys"),
        ("---\nname: A\n", "line --- below the keys is missing"),
        ("---\nname: [A\n---\nx", "not valid YAML: "),
        ("---\nname: A\nname: B\n---\nx", "key name is given twice, line 3"),
        ("---\n- a\n---\nx", "the file holds no keys"),
        ("---\n---\nx", "the file holds no keys"),
        ("---\nname: A\n---\n", "the prompt is missing"),
        ("---\nname: 2026-99-99\n---\nx", "not valid YAML: ValueError"),
        ("---\nname: !!python/object/apply:os.system [true]\n---\nx", "not valid YAML: "),
        ("---\nname: " + "[" * 5_000 + "\n---\nx", "not valid YAML: "),
        ("---\nname: &a [*a]\n---\nx", "key name: "),
        ("---\nname: A\n---\n" + "x" * FILE_BYTES_MAX, "bytes; allowed: at most"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, text: str, named: str) -> None:
    loaded = write(tmp_path, a_md=text, good_md=keys())

    assert loaded.ids == ("good",)
    assert named in loaded.broken[0].reason


def test_a_file_that_is_not_utf8_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"---\nname: \xff\n---\nx")

    assert SpecialistFiles(tmp_path).load().broken[0].reason == "the file is not UTF-8"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbf" + keys().replace("\n", "\r\n").encode())

    assert SpecialistFiles(tmp_path).load().ids == ("a",)


def test_a_broken_file_switches_off_no_other(tmp_path: Path) -> None:
    loaded = write(tmp_path, a_md=keys(), b_md=keys(role="KING"), c_yaml=OLD_YAML)

    assert loaded.ids == ("a", "desk-check")
    assert loaded.why_off("b") == (
        "b.md: key role: 'KING' is not allowed; allowed: ROUTA, CRAFTER, GATE, DEVELOPER"
    )
    assert loaded.why_off("nobody") is None


def test_two_files_with_one_id_are_both_off_and_name_each_other(tmp_path: Path) -> None:
    loaded = write(tmp_path, a_md=keys(id="x"), b_md=keys(id="x"), c_md=keys())

    assert loaded.ids == ("c",)
    assert [(b.file, b.reason) for b in loaded.broken] == [
        ("a.md", "id x is also the id of b.md; allowed: one file an id"),
        ("b.md", "id x is also the id of a.md; allowed: one file an id"),
    ]


def test_a_broken_twin_does_not_take_a_good_file_with_it(tmp_path: Path) -> None:
    loaded = write(tmp_path, a_md=keys(id="x"), b_md=keys(id="x", role="KING"))

    assert loaded.ids == ("x",)
    assert [broken.file for broken in loaded.broken] == ["b.md"]


def test_a_folder_that_does_not_exist_is_visible(tmp_path: Path) -> None:
    loaded = SpecialistFiles(tmp_path / "nowhere").load()

    assert loaded.by_id == {}
    assert "does not exist" in loaded.broken[0].reason


# Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [("15m", 900_000), ("90s", 90_000), ("1500ms", 1_500), ("1 m", 60_000), (2_000, 2_000)],
)
def test_a_timeout_is_written_in_several_ways(
    tmp_path: Path, written: object, milliseconds: int
) -> None:
    found = write(tmp_path, a_md=keys(limits={"timeout": written})).by_id["a"]

    assert found.timeout_ms == milliseconds


@pytest.mark.parametrize(
    ("dollars", "micros"), [(0.29, 290_000), (1, 1_000_000), (0.0000001, 1), (100, 100_000_000)]
)
def test_dollars_become_exact_millionths(tmp_path: Path, dollars: float, micros: int) -> None:
    found = write(tmp_path, a_md=keys(limits={"cost_usd": dollars})).by_id["a"]

    assert found.limits.cost_micros == micros


def test_no_tools_and_no_intents_can_be_asked_for(tmp_path: Path) -> None:
    found = write(tmp_path, a_md=keys(tools=[], intents={})).by_id["a"]

    assert (found.tools, found.intents) == ((), ())


def test_asking_people_is_asked_for(tmp_path: Path) -> None:
    plain = write(tmp_path, a_md=keys()).by_id["a"]
    asking = write(
        tmp_path,
        a_md=keys(
            tools=["read_file", "ask_person"],
            intents={"comment": 1, "labels": 2},
            approval=["labels", "comment", "read_file", "labels"],
        ),
    ).by_id["a"]

    assert (plain.tools, plain.approvals) == (READING_TOOLS, ())
    assert asking.tools == ("read_file", "ask_person")
    assert asking.approvals == ("labels", "comment", "read_file")
    assert write(tmp_path, a_md=keys(approval=[])).by_id["a"].approvals == ()


# Reading again --------------------------------------------------------------------------------


def test_files_are_read_again_only_when_one_has_changed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(keys(), encoding="utf-8")
    files = SpecialistFiles(tmp_path)
    first = files.load()

    assert files.load() is first
    (tmp_path / "b.md").write_text(keys(), encoding="utf-8")
    assert files.load().ids == ("a", "b")
    (tmp_path / "b.md").unlink()
    assert files.load().ids == ("a",)
    (tmp_path / "a.md").write_text(keys(name="Z"), encoding="utf-8")
    os.utime(tmp_path / "a.md", ns=(0, 0))
    assert files.load().by_id["a"].name == "Z"


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_KEYS = st.sampled_from(KEYS)


@given(document=st.dictionaries(_KEYS | st.text() | st.integers(), _VALUES), body=st.text())
def test_a_document_is_read_or_refused_in_words(document: dict[Any, Any], body: str) -> None:
    try:
        found = specialist_from({"name": "A", **document}, body, file_id="a")
    except SpecialistFileError:
        return
    assert found.prompt
