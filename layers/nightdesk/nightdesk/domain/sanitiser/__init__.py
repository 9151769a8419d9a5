"""The one choke point of everything that is published: comments, titles, labels, error texts.

The text is written anew from what a Markdown parser understood (`markdown`), again and again until
that changes nothing: the result is then, by construction, a text in which the parser finds only
what is allowed. What does not settle is shown as one block of code.
"""

import re

from nightdesk.domain.sanitiser.markdown import code_block, rewritten
from nightdesk.domain.sanitiser.plain_text import parts_of, visible
from nightdesk.domain.sanitiser.policy import Kind, Policy

__all__ = ["Kind", "Policy", "sanitise"]

_PASSES = 8
_LABEL_MAX = 50
CUT_NOTICE = "*(The rest was cut, it is too long for one comment.)*"


def sanitise(text: str, policy: Policy) -> str:
    """The text as it may be published under the policy; sanitising it again changes nothing."""
    match policy.kind:
        case Kind.MARKDOWN:
            return _markdown(text, policy)
        case Kind.TITLE:
            return _title(text, policy)
        case Kind.LABEL:
            return _one_line(text, policy)[: min(_LABEL_MAX, policy.max_characters)].rstrip()


def _markdown(text: str, policy: Policy) -> str:
    # Cut first of all: parsing takes time. The result is about as long as its source.
    source = visible(_lines(text[: 2 * policy.max_characters]), policy)
    fits = len(text) <= 2 * policy.max_characters and len(source) <= policy.max_characters
    settled = _settled(_cut(source, policy.max_characters), policy)
    if fits and len(settled) <= policy.max_characters:
        return settled
    return _shortened(settled, policy)


def _shortened(settled: str, policy: Policy) -> str:
    """The longest beginning that fits, with a notice. A fence that is cut open is closed again."""
    room = policy.max_characters - len(CUT_NOTICE) - 2
    length = room
    while length > 0:
        whole = rewritten(_cut(settled, length), policy)
        result = _settled(f"{whole}\n\n{CUT_NOTICE}", policy)
        if len(result) <= policy.max_characters:
            return result
        length -= max(len(result) - policy.max_characters, length // 16, 1)
    return ""


def _settled(source: str, policy: Policy) -> str:
    """Rewrite until nothing changes."""
    for _ in range(_PASSES):
        result = rewritten(source, policy)
        if result == source:
            return result
        source = result
    return "\n".join(code_block(source, policy))


def _title(text: str, policy: Policy) -> str:
    """One line. GitHub renders code spans in titles, so what must not work is put into one."""
    line = _one_line(text, policy)[: policy.max_characters]
    for _ in range(_PASSES):
        result = "".join(_title_pieces(line, policy))[: policy.max_characters].strip()
        if result == line:
            return result
        line = result
    return re.sub(r"[^\w .,:-]+", " ", line).strip()


def _title_pieces(line: str, policy: Policy) -> list[str]:
    """Text between backticks is code already; the rest is split into harmless parts."""
    pieces: list[str] = []
    for index, piece in enumerate(line.split("`")):
        if index % 2:
            pieces.append(f"`{piece}`")
        else:
            parts = parts_of(piece, policy, at_line_start=index == 0)
            pieces += [part.text if part.form == "text" else f"`{part.text}`" for part in parts]
    return pieces


def _one_line(text: str, policy: Policy) -> str:
    return " ".join(visible(_lines(text), policy).split())


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _cut(text: str, length: int) -> str:
    """At the end of a line, or else of a word, in the last eighth; else anywhere."""
    if len(text) <= length:
        return text
    head = text[:length]
    for separator in ("\n", " "):
        place = head.rfind(separator)
        if place > length - length // 8:
            return head[:place]
    return head
