"""The title and the prompt of a task that an event made.

What strangers wrote stands only between the fence's marks, and in the title, which no model sees.
"""

from nightdesk.domain.github_ports import IssueFacts
from nightdesk.domain.issue_text import IssueText
from nightdesk.domain.task import TITLE_MAX
from nightdesk.domain.trigger import GithubEvent
from nightdesk.domain.untrusted_text import fence_rule, fenced, without_hidden_text

#: GitHub allows 65,536; a session that needs the rest reads it with its tool.
BODY_CHARACTERS = 40_000
COMMENT_CHARACTERS = 20_000
#: GitHub's own limits are 256 for a title, 50 for a label and 100 labels.
TITLE_CHARACTERS = 1_000
LABEL_CHARACTERS = 100
LABELS = 100
_CUT_NOTICE = "\n[... the rest is left out here; read_issue shows it]"


def task_title(event: GithubEvent, facts: IssueFacts) -> str:
    """`[GitHub issues] owner/repo — opened: <issue title>`, one line, at most TITLE_MAX."""
    words = " ".join(without_hidden_text(facts.title).split())
    title = f"[GitHub {event.event}] {event.repo.full_name} — {event.action}: {words}"
    return title if len(title) <= TITLE_MAX else title[: TITLE_MAX - 1].rstrip() + "…"


def task_prompt(event: GithubEvent, facts: IssueFacts, *, delimiter: str, request: str = "") -> str:
    """What the session is told first: the job, the facts of the event, the text as data.

    `request` are the words of a command. `delimiter` is drawn at random for this task (32
    hexadecimal digits).
    """
    kind = "pull request" if event.kind == "pull_request" else "issue"
    lines = [
        f"Do your job for the {kind} below. Your result is published there as it is.",
        "",
        f"Repository: {event.repo.full_name}",
        f"Event: {event.name}",
        f"{kind.capitalize()}: #{event.number}",
        f"Actor: {_login(event.actor.login)} ({_association(event, facts)})",
        "",
        fence_rule(delimiter),
        "",
        fenced(_issue_text(event, facts), label="issue", delimiter=delimiter),
    ]
    if event.text:
        comment = _cut(without_hidden_text(event.text).strip(), COMMENT_CHARACTERS)
        lines += ["", "The comment that started this task:", ""]
        lines += [fenced(comment, label="comment", delimiter=delimiter)]
    if request:
        lines += ["", "What a member of the repository asks of you in it:", ""]
        lines += [fenced(request, label="request", delimiter=delimiter)]
    return "\n".join(lines)


def _issue_text(event: GithubEvent, facts: IssueFacts) -> str:
    visible = IssueText(
        title=facts.title,
        body=facts.body,
        author=facts.author.login,
        labels=facts.labels,
        kind=event.kind,
    ).visible()
    cut = _cut(visible.body, BODY_CHARACTERS)
    return IssueText(
        title=_cut(visible.title, TITLE_CHARACTERS),
        body=cut,
        author=visible.author[:LABEL_CHARACTERS],
        labels=tuple(label[:LABEL_CHARACTERS] for label in visible.labels[:LABELS]),
        kind=visible.kind,
    ).to_text()


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + _CUT_NOTICE


def _login(login: str) -> str:
    """Only what a login may hold: it stands outside of the fence."""
    return "".join(c for c in login if c.isascii() and (c.isalnum() or c in "-[]_"))[:60]


def _association(event: GithubEvent, facts: IssueFacts) -> str:
    is_author = event.actor.id == facts.author.id and not event.text
    known = event.actor_association or (facts.author_association if is_author else "")
    return known if known.replace("_", "").isalpha() else "association unknown"
