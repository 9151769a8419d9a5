"""Check what a row may do, and do it."""

from collections.abc import Callable

from nightdesk.domain.errors import ErrorCode, PermanentError
from nightdesk.domain.github_ports import Repository
from nightdesk.domain.intents.names import COMMENT, ISSUE, LABELS, PULL_REQUEST, REVIEW
from nightdesk.domain.outbox import OutboxRow
from nightdesk.domain.publication import intent_of_row
from nightdesk.domain.task import Origin, Target
from nightdesk.domain.tracking import is_status_row
from nightdesk.services.effects.add_labels import add_labels
from nightdesk.services.effects.open_issue import open_issue
from nightdesk.services.effects.open_pull_request import open_pull_request
from nightdesk.services.effects.post_comment import post_comment
from nightdesk.services.effects.post_review import post_review
from nightdesk.services.effects.show_progress import show_progress
from nightdesk.services.effects.work import Work
from nightdesk.services.publisher_ports import PublisherPorts

#: Each makes its effect true however often it is called, and answers what became of it: its
#: URL, "" (it has none), or why there is nothing to see (`discarded: …`, `nothing to report`).
_EFFECTS: dict[str, Callable[[Work, PublisherPorts], str]] = {
    COMMENT: post_comment,
    LABELS: add_labels,
    REVIEW: post_review,
    ISSUE: open_issue,
    PULL_REQUEST: open_pull_request,
}


def apply_intent(row: OutboxRow, ports: PublisherPorts) -> str:
    """Make the effect true; answers what became of it, as `_EFFECTS` says.

    Raises:
        PermanentError: it is not allowed, or GitHub refuses it for good.
        TransientError, TryLaterError: it may work later.
    """
    origin = ports.tasks.get_origin(row.task_id)
    if origin is None or origin.target is None:
        raise PermanentError("the task has no target on GitHub")
    effect = _effect_of(row, origin)
    repository = ports.github.repository(origin.target.repo)
    _check_same(repository, origin.target)
    return effect(Work(row, origin, origin.target, repository.full_name), ports)


def _effect_of(row: OutboxRow, origin: Origin) -> Callable[[Work, PublisherPorts], str]:
    """What is to be made true, if the Origin allows it."""
    if is_status_row(row.row):
        if not (origin.tracking or origin.shows_status):
            raise PermanentError("the task has no tracking comment")
        return show_progress
    intent, number = intent_of_row(row.row)
    if intent not in _EFFECTS:
        raise PermanentError(f"there is no intent {intent!r}")
    if number > origin.allows(intent):
        raise PermanentError(f"the specialist may propose {origin.allows(intent)} x {intent}")
    if intent != ISSUE and origin.target is not None and not origin.target.number:
        raise PermanentError(f"the task is about no issue that {intent!r} could go to")
    return _EFFECTS[intent]


def _check_same(repository: Repository, target: Target) -> None:
    """A name that was given up and taken by somebody else must not receive our results."""
    if target.repo_id and repository.id != target.repo_id:
        message = f"{target.repo} is another repository now"
        raise PermanentError(message, ErrorCode.REPOSITORY_UNREACHABLE)
