"""The review of the task's pull request: looked for first, never of a stale head, never twice."""

import logging

from nightdesk.domain.diff.pull_diff import PullDiff, refusal_of
from nightdesk.domain.errors import PermanentError
from nightdesk.domain.github_ports import GithubRefusedError
from nightdesk.domain.publication import is_marked, marker_of
from nightdesk.domain.pull_ports import HeadMovedError, PullComment
from nightdesk.domain.review.finding import Finding, findings_from, keys_of
from nightdesk.domain.review.marks import earlier_keys
from nightdesk.domain.review.texts import KnownFinding, ReviewDraft, review_draft
from nightdesk.services.effects.work import Work
from nightdesk.services.publisher_ports import PublisherPorts

logger = logging.getLogger(__name__)

NOTHING_TO_REPORT = "nothing to report"


def post_review(work: Work, ports: PublisherPorts) -> str:
    """The review's URL or, where none is published, why: silence is a result too."""
    findings = findings_from(work.row.payload.get("findings"))
    if not findings:
        return NOTHING_TO_REPORT
    if work.target.kind != "pull_request":
        raise PermanentError("only a pull request can be reviewed")
    own_id = ports.github.own_account().id
    reviews = ports.github.reviews(work.repo, work.target.number)
    ours = [review for review in reviews if review.author_id == own_id]
    # Before all else: what was posted may have moved the world on since its answer was lost.
    for review in ours:
        if is_marked(review.body, work.row.task_id, work.row.row):
            return review.url
    try:
        return _posted(work, ports, findings, ours)
    except HeadMovedError as moved:
        return f"discarded: {moved}"


def _posted(
    work: Work, ports: PublisherPorts, findings: tuple[Finding, ...], ours: list[PullComment]
) -> str:
    head = work.target.head_sha or str(work.row.payload.get("head", ""))
    if reason := _why_stale(work, ports, head):
        return f"discarded: {reason}"
    diff = ports.github.pull_diff(work.repo, work.target.number, head)
    known = [_known(finding, diff) for finding in findings]
    fresh = _without_repeats(known, work, ports, ours)
    if not fresh:
        return f"{NOTHING_TO_REPORT}: all {len(known)} findings were reported before"
    repeated = len(known) - len(fresh)
    try:
        return _sent(_draft(work, ports, fresh, head, repeated), work, ports)
    except GithubRefusedError as refused:
        logger.warning("[Publisher] %s: %s; all is put into the body", work.row.task_id, refused)
        folded = [KnownFinding(one.finding, one.keys, is_inline=False) for one in fresh]
        return _sent(_draft(work, ports, folded, head, repeated), work, ports)


def _why_stale(work: Work, ports: PublisherPorts, head: str) -> str:
    task = ports.tasks.get(work.row.task_id)
    if task is not None and task.superseded_by:
        return f"superseded by task {task.superseded_by}"
    pull = ports.github.pull(work.repo, work.target.number)
    if not pull.is_open:
        return "the pull request is closed"
    if pull.head_sha != head:
        return str(HeadMovedError(head, pull.head_sha))
    return ""


def _known(finding: Finding, diff: PullDiff) -> KnownFinding:
    file = diff.file(finding.path)
    code = file.text_of(finding.line) if file is not None else ""
    keys = keys_of(finding.path, finding.title, code)
    return KnownFinding(finding, keys, is_inline=not refusal_of(finding.anchor, diff))


def _without_repeats(
    known: list[KnownFinding], work: Work, ports: PublisherPorts, ours: list[PullComment]
) -> list[KnownFinding]:
    """What nobody of us has said here yet, whatever people made of it: answered, resolved, hidden.

    The bodies of our reviews name all of their findings, the comments at lines their own.
    """
    if not ours:
        return known
    comments = ports.github.line_comments(work.repo, work.target.number)
    before = earlier_keys([*ours, *comments], author_id=ours[0].author_id)
    return [one for one in known if not one.keys & before]


def _draft(
    work: Work,
    ports: PublisherPorts,
    findings: list[KnownFinding],
    head: str,
    repeated: int,
) -> ReviewDraft:
    task_id = work.row.task_id
    task = ports.tasks.get(task_id)
    specialist = task.agent_id if task else "specialist"
    return review_draft(
        work.row.payload,
        findings,
        commit=head,
        repeated=repeated,
        specialist=specialist,
        task_id=task_id,
        marker=marker_of(specialist, task_id, work.row.row),
    )


def _sent(draft: ReviewDraft, work: Work, ports: PublisherPorts) -> str:
    return ports.github.review(work.repo, work.target.number, draft).url
