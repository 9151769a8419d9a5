"""The comment on the task's issue or pull request, found by its marker before it is written."""

from nightdesk.domain.publication import comment_body, is_marked, marker_of
from nightdesk.services.effects.show_status import show_status
from nightdesk.services.effects.tracking_comment import show_task
from nightdesk.services.effects.work import Work
from nightdesk.services.publisher_ports import PublisherPorts


def post_comment(work: Work, ports: PublisherPorts) -> str:
    """The first comment of a task with a tracking comment takes that one's place."""
    is_tracked = work.origin.tracking and work.row.row.endswith("#1")
    url = show_task(work, ports) if is_tracked else _post(work, ports)
    show_status(work, ports)
    return url


def _post(work: Work, ports: PublisherPorts) -> str:
    task_id = work.row.task_id
    task = ports.tasks.get(task_id)
    specialist = task.agent_id if task else "specialist"
    marker = marker_of(specialist, task_id, work.row.row)
    body = comment_body(work.row.payload, specialist=specialist, task_id=task_id, marker=marker)
    own_id = ports.github.own_account().id
    for comment in ports.github.comments_since(work.repo, work.target.number, work.search_from):
        if comment.author_id == own_id and is_marked(comment.body, task_id, work.row.row):
            return comment.url
    return ports.github.comment(work.repo, work.target.number, body).url
