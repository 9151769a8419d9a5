"""What holds at every moment, whatever crashes (design, section 4): checked after every call.

`Invariants` observes a `Region` and compares what is stored with what was stored one call ago. To
add a rule, write a method whose name says it and add it to `_RULES_OF_A_CHANGE` (it is asked about
each task that a call has changed) or `_RULES_OF_A_MOMENT` (about everything that is stored).
"""

from collections.abc import Callable
from itertools import pairwise

from nightdesk.domain.notices import TOLD, delivery, delivery_id, notice
from nightdesk.domain.outbox import OutboxState, github_row
from nightdesk.domain.publication import is_marked, is_of_thread
from nightdesk.domain.session import EntryKind
from nightdesk.domain.task import TRANSITIONS, Hold, Origin, Task, TaskStatus
from nightdesk.domain.tracking import is_status_row
from tests.engine.world import ENRICHER
from tests.fakes.clock import NOON
from tests.fakes.region import Invocation, Region, Snapshot

#: Fields that never fall within a run.
_COUNTERS = (
    "attempts",
    "tool_call_count",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cost_micros",
    "last_entry",
    "hops",
    "inbox",
    "inbox_read",
)
#: What may still be written to a task that has ended.
_AFTER_THE_END = frozenset({"publication", "has_dependants", "has_callbacks"})


class Invariants:
    """Raises AssertionError from the step that breaks a rule."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._before = region.snapshot()
        #: Who claimed which fence of which task.
        self.owners: dict[tuple[str, int], Invocation | None] = {}
        #: What a task depends on and a person began anew only after it had stopped waiting.
        self._retried_too_late: dict[str, set[str]] = {}
        region.observers.append(self.check)

    def check(self, actor: Invocation | None) -> None:
        before, now = self._before, self._region.snapshot()
        self._before = now
        for task_id in before.tasks.keys() | now.tasks.keys():
            old, new = before.tasks.get(task_id), now.tasks.get(task_id)
            if old == new:
                continue
            if old is not None and new is not None:
                for rule in _RULES_OF_A_CHANGE:
                    rule(self, old, new, actor)
            elif old is not None:
                assert old.status is not TaskStatus.RUNNING, f"deleted while it ran: {old}"
        for moment_rule in _RULES_OF_A_MOMENT:
            moment_rule(self, before, now)

    # About a change of one task --------------------------------------------------------------

    def moves_only_as_the_states_allow(
        self, old: Task, new: Task, actor: Invocation | None
    ) -> None:
        if new.run == old.run:
            allowed = TRANSITIONS[old.status] | {old.status}
            assert new.status in allowed, f"{old.status} -> {new.status}: {new}"
        else:
            retried = (TaskStatus.FAILED, TaskStatus.CANCELLED)
            assert old.status in retried, f"a new run of {old}"
            assert (new.run, new.status) == (old.run + 1, TaskStatus.PENDING), f"{old} -> {new}"

    def is_final_once_it_has_ended(self, old: Task, new: Task, actor: Invocation | None) -> None:
        if old.status.is_terminal and new.run == old.run:
            changed = {
                name
                for name in Task.__dataclass_fields__
                if getattr(old, name) != getattr(new, name)
            }
            assert changed <= _AFTER_THE_END, f"changed after its end: {changed} of {new}"

    def counts_upwards_within_a_run(self, old: Task, new: Task, actor: Invocation | None) -> None:
        if new.run == old.run:
            fallen = [name for name in _COUNTERS if getattr(new, name) < getattr(old, name)]
            assert not fallen, f"{fallen} fell: {old} -> {new}"
        assert new.fence >= old.fence, f"the fence fell: {old} -> {new}"

    def makes_no_more_attempts_than_allowed(
        self, old: Task, new: Task, actor: Invocation | None
    ) -> None:
        assert new.attempts <= new.max_attempts, f"too many attempts: {new}"

    def has_one_owner_for_each_fence(self, old: Task, new: Task, actor: Invocation | None) -> None:
        if new.fence == old.fence:
            return
        assert new.fence == old.fence + 1, f"a fence was left out: {old} -> {new}"
        assert new.status is TaskStatus.RUNNING, f"a fence without a claim: {new}"
        assert (new.id, new.fence) not in self.owners, f"claimed twice: {new}"
        self.owners[new.id, new.fence] = actor

    def is_taken_from_nobody_alive(self, old: Task, new: Task, actor: Invocation | None) -> None:
        """Only whoever claimed it moves it while its lease runs."""
        moved = new.status is not TaskStatus.RUNNING or new.fence != old.fence
        if old.status is not TaskStatus.RUNNING or not moved or actor is None:
            return
        owner = self.owners.get((old.id, old.fence))
        if actor is not owner and old.lease_until is not None:
            assert old.lease_until <= actor.clock.now(), f"{actor} took {old} from {owner}"

    def is_cancelled_once_a_cancel_was_accepted(
        self, old: Task, new: Task, actor: Invocation | None
    ) -> None:
        if old.cancel_requested and new.run == old.run:
            ends = (TaskStatus.RUNNING, TaskStatus.CANCELLED)
            assert new.status in ends, f"accepted a cancel, then {old} -> {new}"
            assert new.cancel_requested, f"forgot a cancel: {old} -> {new}"
            assert new.last_entry == old.last_entry, f"went on after a cancel: {old} -> {new}"

    # About everything that is stored ---------------------------------------------------------

    def runs_no_more_than_there_are_slots(self, before: Snapshot, now: Snapshot) -> None:
        running = {(t.id, t.fence) for t in now.tasks.values() if t.status is TaskStatus.RUNNING}
        held = [(slot.task_id, slot.fence) for slot in now.slots if slot.task_id is not None]
        assert len(running) <= len(now.slots), f"too many run: {running}"
        assert sorted(held) == sorted(running), f"slots hold {held}, but {running} run"
        for task in now.tasks.values():
            if task.status is TaskStatus.RUNNING:
                assert task.slot is not None
                assert now.slots[task.slot].task_id == task.id, f"{task} is not in its slot"

    def runs_one_task_of_a_group(self, before: Snapshot, now: Snapshot) -> None:
        groups = [t.group for t in now.tasks.values() if t.status is TaskStatus.RUNNING and t.group]
        assert len(groups) == len(set(groups)), f"a group runs twice: {groups}"

    def starts_nothing_before_what_it_waits_for(self, before: Snapshot, now: Snapshot) -> None:
        for task in now.tasks.values():
            depends_on = set(now.origins[task.id].depends_on)
            old = before.tasks.get(task.id)
            if old is None or old.run < task.run or old.held is Hold.DEPENDENCIES:
                self._retried_too_late[task.id] = set()
                continue
            known = [now.tasks[i] for i in depends_on if i in now.tasks]
            # A person may begin one anew when this task waits no more; it does not wait again.
            retried = {t.id for t in known if t.run > before.tasks.get(t.id, t).run}
            too_late = self._retried_too_late.setdefault(task.id, set())
            too_late |= retried
            if old.fence < task.fence:
                awaited = [t for t in known if t.id not in too_late]
                assert all(t.status.is_terminal for t in awaited), f"too early: {task}"

    def hands_each_message_over_once(self, before: Snapshot, now: Snapshot) -> None:
        for task in now.tasks.values():
            assert task.inbox_read <= task.inbox, f"read what was not sent: {task}"
            if now.tasks.get(task.id) == before.tasks.get(task.id):
                continue
            said = (EntryKind.NOTE, EntryKind.ANSWER)
            run = (task.id, task.run)
            told = [e for key, e in now.journal.items() if key[:2] == run and e.kind in said]
            assert len(told) == task.inbox_read, f"{len(told)} messages in the journal of {task}"
            if task.status is TaskStatus.COMPLETED:
                assert task.inbox_read == task.inbox, f"completed over a message: {task}"

    def keeps_every_journal_without_gaps(self, before: Snapshot, now: Snapshot) -> None:
        if now.journal == before.journal and now.tasks == before.tasks:
            return
        for key, entry in before.journal.items():
            assert now.journal.get(key) == entry, f"a journal entry changed: {key}"
        for task in now.tasks.values():
            written = sorted(k[2] for k in now.journal if k[:2] == (task.id, task.run))
            assert written == list(range(1, task.last_entry + 1)), f"{task}: entries {written}"

    def answers_each_tool_call_once(self, before: Snapshot, now: Snapshot) -> None:
        for key in now.journal.keys() - before.journal.keys():
            entry = now.journal[key]
            if entry.kind is EntryKind.TOOL:
                same = [
                    other
                    for other in now.journal.values()
                    if (other.task_id, other.run) == (entry.task_id, entry.run)
                    and other.kind is EntryKind.TOOL
                    and other.data["toolUseId"] == entry.data["toolUseId"]
                ]
                assert len(same) == 1, f"answered twice: {same}"

    def writes_effects_with_completion_and_only_then(self, before: Snapshot, now: Snapshot) -> None:
        for key, old in before.rows.items():
            row = now.rows.get(key)
            assert row is not None, f"an effect was lost: {key}"
            assert row.payload == old.payload, f"an effect changed: {key}"
            final = old.state is not OutboxState.PENDING
            assert not final or row.state is old.state, f"an effect was reopened: {key}"
            if is_status_row(key[1]):
                assert now.origins[key[0]].tracking, f"nobody asked to be shown: {key}"
        for task in now.tasks.values():
            prefix = f"github#{task.run:04d}#"
            rows = [
                r
                for t, r in now.rows
                if t == task.id and r.startswith(prefix) and not is_status_row(r)
            ]
            if task.status is not TaskStatus.COMPLETED:
                assert not rows, f"{task} is not COMPLETED, but has {rows}"
            elif now.origins[task.id].target is not None:
                assert f"{prefix}comment#1" in rows, f"{task} has no comment"
                proposed = any(
                    "intent" in entry.data
                    for key, entry in now.journal.items()
                    if key[:2] == (task.id, task.run)
                )
                assert (f"{prefix}labels#1" in rows) == proposed, f"{task}: {rows}"

    def writes_a_notice_with_each_change_that_somebody_wants_to_hear_of(
        self, before: Snapshot, now: Snapshot
    ) -> None:
        for task in now.tasks.values():
            old = before.tasks.get(task.id)
            if old is None or old.status is task.status or task.status not in TOLD:
                continue
            if task.has_callbacks:
                assert (task.id, notice(task).row) in now.rows, f"nobody is told of {task}"

    def publishes_each_effect_at_most_once(self, before: Snapshot, now: Snapshot) -> None:
        bodies = [body for number in self._region.github.comments for body in self._bodies(number)]
        for key in {thread_of(origin) for origin in now.origins.values() if origin.tracking}:
            times = sum(is_of_thread(body, key) for body in bodies)
            assert times <= 1, f"{times} comments show the same: {key}"
        for task_id, row in now.rows:
            times = sum(is_marked(body, task_id, row) for body in bodies)
            assert times <= 1, f"published {times} times: {task_id} {row}"

    def _bodies(self, number: int) -> list[str]:
        return self._region.github.bodies(number)

    # About the end ---------------------------------------------------------------------------

    def check_the_end(self) -> None:
        """Every task has ended, and everything that it owed the world is done, once."""
        now = self._region.snapshot()
        for task in now.tasks.values():
            assert task.status.is_terminal, f"never ended: {task}"
        assert all(slot.task_id is None for slot in now.slots), f"slots are held: {now.slots}"
        bodies = [body for number in self._region.github.comments for body in self._bodies(number)]
        for (task_id, name), row in now.rows.items():
            assert row.state is OutboxState.DONE, f"never published: {row}"
            if "#comment#" in name and now.origins[task_id].tracking != "sticky":
                times = sum(is_marked(body, task_id, name) for body in bodies)
                assert times == 1, f"published {times} times: {row}"
        self.shows_the_end_of_every_task(now, bodies)
        self._check_callbacks(now)
        for (task_id, run), entries in _by_run(now).items():
            kinds = [kind for _, kind in sorted(entries)]
            assert kinds.count(EntryKind.OUTPUT) <= 1, f"{task_id} run {run}: {kinds}"
            for kind, following in pairwise(kinds):
                assert kind is not EntryKind.OUTPUT, f"{following} after the output of {task_id}"

    def shows_the_end_of_every_task(self, now: Snapshot, bodies: list[str]) -> None:
        """A tracking comment shows the newest of its tasks that had something to say."""
        threads: dict[str, list[Task]] = {}
        for task in now.tasks.values():
            if now.origins[task.id].tracking:
                threads.setdefault(thread_of(now.origins[task.id]), []).append(task)
        gone = {thread_of(o) for i, o in now.origins.items() if o.tracking and i not in now.tasks}
        for key, tasks in threads.items():
            if key in gone:
                continue  # what a person deleted has no state that could be shown
            shown = [body for body in bodies if is_of_thread(body, key)]
            newest = max(tasks, key=lambda task: (task.created_at, task.id))
            told = newest.status in (TaskStatus.COMPLETED, TaskStatus.FAILED)
            assert len(shown) == 1 or not (shown or told), f"{key}: {shown}"
            for body in shown:
                unfinished = ("is working on", "waits for", "tries again")
                assert not any(words in body for words in unfinished), f"{newest}: {body}"
                if newest.status is TaskStatus.COMPLETED:
                    row = github_row(newest.run, "comment", 1)
                    assert is_marked(body, newest.id, row), f"{newest}: {body}"
                elif newest.status is TaskStatus.FAILED:
                    assert "**failed**" in body, f"{newest}: {body}"

    def _check_callbacks(self, now: Snapshot) -> None:
        """Every configuration has heard of its task's end; repetitions have one id and body."""
        heard: dict[str, set[bytes]] = {}
        for request in self._region.receivers.got:
            heard.setdefault(request.headers["webhook-id"], set()).add(request.body)
        for (task_id, _), config in self._region.push_configs.kept.items():
            name = delivery(notice(now.tasks[task_id]), config.id, content={}, now=NOON).row
            bodies = heard.get(delivery_id(task_id, name), set())
            assert len(bodies) == 1, f"{config} heard {bodies} of {name}"


def thread_of(origin: Origin) -> str:
    """The key of the tracking comment of a task of the region's only specialist."""
    assert origin.target is not None
    if origin.tracking == "sticky":
        return f"{origin.target.repo_id}-{origin.target.number}-{ENRICHER.id}"
    return f"task-{origin.task_id}"


def _by_run(now: Snapshot) -> dict[tuple[str, int], list[tuple[int, EntryKind]]]:
    found: dict[tuple[str, int], list[tuple[int, EntryKind]]] = {}
    for (task_id, run, seq), entry in now.journal.items():
        found.setdefault((task_id, run), []).append((seq, entry.kind))
    return found


_RULES_OF_A_CHANGE: tuple[Callable[[Invariants, Task, Task, Invocation | None], None], ...] = (
    Invariants.moves_only_as_the_states_allow,
    Invariants.is_final_once_it_has_ended,
    Invariants.counts_upwards_within_a_run,
    Invariants.makes_no_more_attempts_than_allowed,
    Invariants.has_one_owner_for_each_fence,
    Invariants.is_taken_from_nobody_alive,
    Invariants.is_cancelled_once_a_cancel_was_accepted,
)
_RULES_OF_A_MOMENT: tuple[Callable[[Invariants, Snapshot, Snapshot], None], ...] = (
    Invariants.runs_no_more_than_there_are_slots,
    Invariants.runs_one_task_of_a_group,
    Invariants.starts_nothing_before_what_it_waits_for,
    Invariants.hands_each_message_over_once,
    Invariants.keeps_every_journal_without_gaps,
    Invariants.answers_each_tool_call_once,
    Invariants.writes_effects_with_completion_and_only_then,
    Invariants.writes_a_notice_with_each_change_that_somebody_wants_to_hear_of,
    Invariants.publishes_each_effect_at_most_once,
)
