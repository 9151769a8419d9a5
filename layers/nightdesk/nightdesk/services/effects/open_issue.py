"""A new issue in the task's own repository, found by its marker before it is opened."""

from nightdesk.domain.errors import PermanentError
from nightdesk.domain.publication import allowed_labels, comment_body, is_marked, marker_of
from nightdesk.domain.sanitiser import Kind, Policy, sanitise
from nightdesk.services.effects.work import Work
from nightdesk.services.publisher_ports import PublisherPorts

_TITLE_MAX = 200


def open_issue(work: Work, ports: PublisherPorts) -> str:
    """Only our own account's issues count as ours: anybody can copy the marker."""
    task_id = work.row.task_id
    task = ports.tasks.get(task_id)
    specialist = task.agent_id if task else "specialist"
    given = work.row.payload.get("title")
    policy = Policy(kind=Kind.TITLE, max_characters=_TITLE_MAX)
    title = sanitise(given if isinstance(given, str) else "", policy)
    if not title:
        raise PermanentError("the intent has no title")
    marker = marker_of(specialist, task_id, work.row.row)
    body = comment_body(work.row.payload, specialist=specialist, task_id=task_id, marker=marker)
    own = ports.github.own_account()
    for issue in ports.github.issues_since(work.repo, own.login, work.search_from):
        if issue.author_id == own.id and is_marked(issue.body, task_id, work.row.row):
            return issue.url
    labels = _labels(work, ports)
    return ports.github.open_issue(work.repo, title=title, body=body, labels=labels).url


def _labels(work: Work, ports: PublisherPorts) -> tuple[str, ...]:
    """Without any that is allowed, the issue is opened all the same."""
    wanted = work.row.payload.get("labels")
    if not wanted:
        return ()
    allowed = work.origin.allowed_labels or tuple(ports.github.labels_of_repository(work.repo))
    try:
        return allowed_labels(wanted, allowed)
    except PermanentError:
        return ()
