"""The issue or pull request that a task is about, as its session reads it."""

import re
from dataclasses import dataclass

from nightdesk.domain.untrusted_text import without_hidden_text

MAX_COMMENT_CHARACTERS = 4_000
_COMMENT_HEADING = re.compile(r"^--- comment \d+ by .*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class IssueComment:
    """One comment; `author` is a login, `text` Markdown as it was written."""

    author: str
    text: str


@dataclass(frozen=True, slots=True)
class IssueText:
    """Title, body and comments as they were written: untrusted. `comments` are oldest first."""

    title: str
    body: str = ""
    author: str = ""
    labels: tuple[str, ...] = ()
    comments: tuple[IssueComment, ...] = ()
    kind: str = "issue"
    #: Later ones, which were not read.
    comments_left_out: int = 0

    def visible(self) -> "IssueText":
        """The same without what a person would not see on the page."""
        return IssueText(
            title=_one_line(self.title),
            body=without_hidden_text(self.body).strip(),
            author=_one_line(self.author),
            labels=tuple(_one_line(label) for label in self.labels),
            comments=tuple(
                IssueComment(_one_line(comment.author), without_hidden_text(comment.text).strip())
                for comment in self.comments
            ),
            kind=self.kind,
            comments_left_out=self.comments_left_out,
        )

    def to_text(self) -> str:
        """A readable page: title, author and labels, an empty line, the body, the comments."""
        lines = [f"Title: {self.title}"]
        if self.author:
            lines.append(f"Author: {self.author}")
        if self.labels:
            lines.append(f"Labels: {', '.join(self.labels)}")
        lines += ["", self.body or "(no description)"]
        for number, comment in enumerate(self.comments, start=1):
            text = comment.text[:MAX_COMMENT_CHARACTERS]
            cut = "" if text == comment.text else "\n[... the rest of this comment is left out]"
            lines += ["", f"--- comment {number} by {comment.author}", text + cut]
        return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(without_hidden_text(text).split())


def question_in(page: str) -> str:
    """The title, description and comments of a page made by `to_text`, without its headings."""
    head, _, rest = page.partition("\n\n")
    title = head.split("\n", 1)[0].removeprefix("Title: ")
    return f"{title}\n{_COMMENT_HEADING.sub('', rest)}"
