"""What a reader's browser would make of a published text, judged apart from the sanitiser.

The text is rendered as GitHub does it, with HTML let through, and the page is searched for what
must not be there. If cmark-gfm (GitHub's own parser) is installed, its page is judged too.
"""

import importlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

from nightdesk.domain.sanitiser.policy import DOCUMENTATION_HOSTS

_TAGS = """
a blockquote br code del em h1 h2 h3 h4 h5 h6 hr input li ol p pre s strong table tbody td th thead
tr ul
"""
_ALLOWED_TAGS = frozenset(_TAGS.split())
_LIVE_TEXT = re.compile(
    r"(?:^|[^\w`])@[A-Za-z0-9]"  # a mention
    r"|#\d"  # a reference
    r"|(?<![A-Za-z0-9])GH-\d"
    r"|[a-z][a-z0-9+.-]{0,20}://|www\."  # an address that would be linked
    r"|[\w.+-]{1,40}@[\w-]{1,40}\.\w",
    re.IGNORECASE,
)
_REFERENCE_PAGE = re.compile(r"https://github\.com/[^/]+/[^/]+/(?:issues|pulls?|discussions)/")
_COMMAND = re.compile(r"^/[a-z][\w-]*(?:\s|$)", re.IGNORECASE | re.MULTILINE)
_HIDDEN = re.compile(
    r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x1b\U000e0000-\U000e007f]"
)


def findings(text: str) -> list[str]:
    """Everything in a published text that should not be there."""
    found = [f"hidden character {match!r}" for match in _HIDDEN.findall(text)]
    found += [f"command {match!r}" for match in _COMMAND.findall(text)]
    for name, page in pages(text):
        judged = _Page()
        judged.feed(page)
        judged.close()
        judged.end_text()
        found += [f"{name}: {problem}" for problem in judged.problems]
    return found


def pages(text: str) -> Iterator[tuple[str, str]]:
    """The text as HTML, by each renderer that there is."""
    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    yield "markdown-it", renderer.render(text)
    try:
        cmark = importlib.import_module("cmarkgfm")
    except ImportError:
        return
    options = importlib.import_module("cmarkgfm.cmark").Options.CMARK_OPT_UNSAFE
    extensions = ["table", "strikethrough", "autolink", "tasklist"]
    page = cmark.markdown_to_html_with_extensions(text, options=options, extensions=extensions)
    yield "cmark-gfm", page


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self._text: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.end_text()
        if tag not in _ALLOWED_TAGS:
            self.problems.append(f"<{tag}>")
        for name, value in attrs:
            self._judge_attribute(name, value or "")
        if tag not in {"br", "hr", "input"}:
            self._open.append(tag)

    def _judge_attribute(self, name: str, value: str) -> None:
        if name == "href":
            allowed = value.startswith("https:") and _host_of(value) in DOCUMENTATION_HOSTS
            if not allowed or _REFERENCE_PAGE.match(value):
                self.problems.append(f"link to {value}")
        elif name not in {"class", "start", "align", "style", "type", "checked", "disabled"}:
            self.problems.append(f"attribute {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        self.end_text()
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def handle_comment(self, data: str) -> None:
        self.problems.append(f"comment {data}")

    def end_text(self) -> None:
        text, self._text = "".join(self._text), []
        if {"code", "pre"} & set(self._open):
            return
        is_its_own_link = "a" in self._open and _host_of(text) in DOCUMENTATION_HOSTS
        if _LIVE_TEXT.search(text) and not is_its_own_link:
            self.problems.append(f"live text {text!r}")


def _host_of(text: str) -> str:
    try:
        return urlsplit(text).netloc
    except ValueError:
        return ""
