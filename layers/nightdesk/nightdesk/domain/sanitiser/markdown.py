"""Write a document anew from what a Markdown parser understood of it.

Only what is listed here comes out: headings, paragraphs, lists, quotes, tables, code, emphasis,
allowed links. Everything else is text, and text is escaped. This is an allow list by construction:
what the parser calls an image or raw HTML has no way into the result.
"""

import html
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nightdesk.domain.sanitiser.plain_text import (
    is_allowed_link,
    is_command,
    parts_of,
    visible,
)
from nightdesk.domain.sanitiser.policy import Policy
from nightdesk.domain.sanitiser.secret_patterns import without_secrets
from nightdesk.domain.sanitiser.word_lists import CODE_LANGUAGES, HTML_ELEMENTS

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

_ESCAPED = re.compile(r"[\\`*\[\]<>~|]")
_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITY = re.compile(r"&(?=#?[A-Za-z0-9]{1,40};)")
_BANG_AT_END = re.compile(r"!$")
_BLOCK_START = re.compile(r"^(#{1,6}(?=\s|$)|[-+=:]|\d{1,9}(?=[.)]))")
_HEADING_END = re.compile(r"#(?=#*$)")
_TASK = re.compile(r"^\[[ xX]\] ")
_BACKTICKS = re.compile(r"`+")
_TAG_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)")
_HTML_COMMENT_END = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>", "<!": ">"}


def parser(*, html_blocks: bool = True) -> "MarkdownIt":
    """CommonMark with GitHub's tables and strikethrough. Imported late: only the publisher pays."""
    from markdown_it import MarkdownIt  # noqa: PLC0415

    made = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return made if html_blocks else made.disable("html_block")


def rewritten(text: str, policy: Policy) -> str:
    """The document, written anew under the policy; "" when nothing is left."""
    from markdown_it.tree import SyntaxTreeNode  # noqa: PLC0415

    tree = SyntaxTreeNode(parser().parse(text))
    return "\n".join(_Writer(policy).blocks(tree.children)).strip("\n")


def code_block(text: str, policy: Policy, *, language: str = "") -> list[str]:
    """Lines of a fenced block that its content cannot end. A command gets a blank before it."""
    lines = visible(text, policy).split("\n")
    lines = [" " + line if is_command(line, policy) else line for line in lines]
    longest = max((len(run) for line in lines for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence + language, *lines, fence]


class _Writer:
    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._block_writers: dict[str, Callable[[Any], list[str]]] = {
            "paragraph": self._paragraph,
            "heading": self._heading,
            "bullet_list": self._list,
            "ordered_list": self._list,
            "blockquote": self._quote,
            "fence": self._fence,
            "code_block": self._fence,
            "hr": lambda _: ["___"],
            "html_block": self._html_block,
            "table": self._table,
        }

    # Blocks -----------------------------------------------------------------------------------

    def blocks(self, nodes: Iterable["SyntaxTreeNode"], *, tight: bool = False) -> list[str]:
        lines: list[str] = []
        previous, alternate = "", False
        for node in nodes:
            # Two lists in a row are told apart by their marks alone.
            alternate = node.type == previous and not alternate
            written = self._block(node, alternate=alternate)
            if not written:
                continue
            if lines and not tight:
                lines.append("")
            lines += written
            previous = node.type
        return lines

    def _block(self, node: "SyntaxTreeNode", *, alternate: bool) -> list[str]:
        if node.type in {"bullet_list", "ordered_list"}:
            return self._list(node, alternate=alternate)
        writer = self._block_writers.get(node.type)
        return writer(node) if writer else []

    def _paragraph(self, node: "SyntaxTreeNode") -> list[str]:
        return [line for line in self._inline_of(node).split("\n") if line]

    def _heading(self, node: "SyntaxTreeNode") -> list[str]:
        text = " ".join(self._inline_of(node).replace("\\\n", " ").split("\n")).strip()
        marks = "#" * int(node.tag[1])
        return [f"{marks} {_HEADING_END.sub(chr(92) + '#', text)}"] if text else []

    def _quote(self, node: "SyntaxTreeNode") -> list[str]:
        return [f"> {line}".rstrip() for line in self.blocks(node.children)]

    def _fence(self, node: "SyntaxTreeNode") -> list[str]:
        words = node.info.split() if node.type == "fence" else []
        language = words[0].lower() if words and words[0].lower() in CODE_LANGUAGES else ""
        return code_block(node.content.removesuffix("\n"), self._policy, language=language)

    def _list(self, node: "SyntaxTreeNode", *, alternate: bool = False) -> list[str]:
        ordered = node.type == "ordered_list"
        number = int(node.attrs.get("start", 1)) if ordered else 0
        mark = (")" if alternate else ".") if ordered else ("*" if alternate else "-")
        tight = all(
            c.hidden for item in node.children for c in item.children if c.type == "paragraph"
        )
        lines: list[str] = []
        for item in node.children:
            prefix = f"{number}{mark} " if ordered else f"{mark} "
            number += 1
            content = self.blocks(item.children, tight=tight) or [""]
            if lines and not tight:
                lines.append("")
            lines.append((prefix + content[0]).rstrip())
            lines += [" " * len(prefix) + line if line else "" for line in content[1:]]
        return lines

    def _html_block(self, node: "SyntaxTreeNode") -> list[str]:
        """Comments go; of anything else the text stays, read as Markdown without HTML blocks."""
        from markdown_it.tree import SyntaxTreeNode  # noqa: PLC0415

        content = node.content.strip()
        for start, end in _HTML_COMMENT_END.items():
            if content.startswith(start):
                if end in content:
                    content = content.partition(end)[2]
                else:  # it would hide all that follows
                    content = content.removeprefix(start)
                break
        tree = SyntaxTreeNode(parser(html_blocks=False).parse(content))
        return self.blocks(tree.children)

    def _table(self, node: "SyntaxTreeNode") -> list[str]:
        rows = [row for part in node.children for row in part.children]
        cells = [[self._cell(cell) for cell in row.children] for row in rows]
        rules = [_alignment(cell) for cell in rows[0].children]
        lines = [cells[0], rules, *cells[1:]]
        return ["| " + " | ".join(line) + " |" for line in lines]

    def _cell(self, node: "SyntaxTreeNode") -> str:
        text = self._inline_of(node, in_table=True)
        return " ".join(text.replace("\\\n", " ").split("\n"))

    # Inlines ----------------------------------------------------------------------------------

    def _inline_of(self, node: "SyntaxTreeNode", *, in_table: bool = False) -> str:
        children = node.children[0].children if node.children else []
        in_item = node.parent is not None and node.parent.type == "list_item"
        return _Inline(self._policy, in_table=in_table, in_item=in_item).written(children)


class _Inline:
    """Writes the inline content of one block, left to right."""

    def __init__(self, policy: Policy, *, in_table: bool, in_item: bool) -> None:
        self._policy = policy
        self._in_table = in_table
        self._may_be_task = in_item
        self._written = ""

    def written(self, nodes: Iterable["SyntaxTreeNode"]) -> str:
        nodes = list(nodes)
        read = self._read_as(nodes)
        harmless = without_secrets(read, self._policy.known_secrets)
        if harmless == read:
            self._write_all(nodes)
        else:  # a secret that markup parts is whole again on the page: the markup goes
            self._lines(harmless)
        lines = (line.strip() for line in self._written.split("\n"))
        text = "\n".join(lines).strip("\n")
        # A hard break at the very end would be a lone backslash.
        return text[:-1].rstrip() if re.search(r"(?<!\\)(?:\\\\)*\\$", text) else text

    def _read_as(self, nodes: Iterable["SyntaxTreeNode"]) -> str:
        """What a reader of the page would copy from it."""
        read = ""
        for node in nodes:
            match node.type:
                case "text" | "text_special" | "code_inline" | "image":
                    read += visible(node.content, self._policy)
                case "softbreak" | "hardbreak":
                    read += "\n"
                case "em" | "strong" | "s" | "link":
                    read += self._read_as(node.children)
                case _:
                    pass
        return read

    def _lines(self, text: str) -> None:
        for number, line in enumerate(text.split("\n")):
            self._put("\n" if number else "")
            self._text(line)

    def _write_all(self, nodes: Iterable["SyntaxTreeNode"]) -> None:
        for form, content in self._merged(nodes):
            match form:
                case "text":
                    self._text(content)
                case "code_inline":
                    self._code(visible(content, self._policy).replace("\n", " "))
                case "softbreak":
                    self._put("\n")
                case "hardbreak":
                    self._put("\\\n" if self._written and not self._at_line_start() else "\n")
                case "em" | "strong" | "s":
                    self._wrapped({"em": "*", "strong": "**", "s": "~~"}[form], content)
                case "link":
                    self._link(content)
                case _:  # nothing else may come out
                    pass

    def _merged(self, nodes: Iterable["SyntaxTreeNode"]) -> list[tuple[str, Any]]:
        """Drop HTML and images first, then join the text on both sides of what was dropped."""
        merged: list[tuple[str, Any]] = []
        for node in nodes:
            form, content = node.type, self._content_of(node)
            if node.type in {"image", "html_inline", "text_special"}:
                form = "code_inline" if content.startswith("<") else "text"
            if form == "text" and merged and merged[-1][0] == "text":
                merged[-1] = ("text", merged[-1][1] + content)
            else:
                merged.append((form, content))
        return [
            (form, visible(content, self._policy).replace("\n", " ") if form == "text" else content)
            for form, content in merged
        ]

    def _content_of(self, node: "SyntaxTreeNode") -> Any:
        match node.type:
            case "text" | "text_special" | "code_inline":
                return node.content
            case "html_inline":
                return _shown_tag(node.content)
            case "image":
                return node.content  # its alternative text, as it was written
            case _:
                return node

    def _at_line_start(self) -> bool:
        return not self._written or self._written.endswith("\n")

    def _put(self, text: str) -> None:
        """Append; two code spans side by side would be read as one."""
        if text.startswith("`") and self._written.endswith("`"):
            text = " " + text
        self._written += text

    def _text(self, text: str) -> None:
        if self._at_line_start():
            text = text.lstrip(" \t")
            if not self._written and self._may_be_task and (task := _TASK.match(text)):
                self._put(task.group())
                text = text[task.end() :].lstrip(" \t")
                for part in parts_of(text, self._policy, at_line_start=True):
                    self._part(part.text, part.form)
                return
        for part in parts_of(text, self._policy, at_line_start=self._at_line_start()):
            self._part(part.text, part.form)

    def _part(self, text: str, form: str) -> None:
        if not text:
            return
        if form == "code":
            self._code(text)
        elif form == "link":
            self._put(f"<{_in_table(text) if self._in_table else text}>")
        else:
            self._put(_escaped(text, at_line_start=self._at_line_start()))

    def _code(self, content: str) -> None:
        if not content.strip():
            return
        if self._in_table:
            content = content.replace("|", "\\|")
        longest = max((len(run) for run in _BACKTICKS.findall(content)), default=0)
        ticks = "`" * (longest + 1)
        padded = content.startswith(("`", " ")) or content.endswith(("`", " "))
        self._put(f"{ticks} {content} {ticks}" if padded else f"{ticks}{content}{ticks}")

    def _wrapped(self, mark: str, node: "SyntaxTreeNode") -> None:
        inner = self._nested(node)
        if inner.strip():
            self._put(f"{mark}{inner}{mark}")

    def _nested(self, node: "SyntaxTreeNode") -> str:
        """What a child writes on its own, as if it went on in the same line."""
        child = _Inline(self._policy, in_table=self._in_table, in_item=False)
        child._written = "" if self._at_line_start() else "\0"
        child._write_all(node.children)
        return child._written.removeprefix("\0")

    def _link(self, node: "SyntaxTreeNode") -> None:
        address = html.unescape(str(node.attrs.get("href", "")))
        address = visible(address, self._policy)
        text = self._nested(node)
        if not is_allowed_link(address, self._policy):
            self._dead_link(text, address, node)
        elif node.info == "auto":
            self._put(f"<{_in_table(address) if self._in_table else address}>")
        elif text.strip():
            self._put(f"[{text.strip()}]({_in_table(address) if self._in_table else address})")

    def _dead_link(self, text: str, address: str, node: "SyntaxTreeNode") -> None:
        """The words stay, and the address is shown as code where a person may want to look."""
        if node.info != "auto" and text.strip():
            self._put(text)
            if not address.lower().startswith(("http://", "https://")):
                return
            self._put(" (")
            self._code(address[:300])
            self._put(")")
        else:
            self._code(address[:300])


def _shown_tag(tag: str) -> str:
    """Nothing for a real element or a comment; a placeholder such as `<name>` is shown as it is."""
    match = _TAG_NAME.match(tag)
    if match is None or match[1].lower() in HTML_ELEMENTS:
        return ""
    return tag


def _escaped(text: str, *, at_line_start: bool) -> str:
    text = _ESCAPED.sub(r"\\\g<0>", text)
    text = _UNDERSCORE.sub(r"\\_", text)
    text = _ENTITY.sub(r"\\&", text)
    text = _BANG_AT_END.sub(r"\\!", text)
    if at_line_start and (start := _BLOCK_START.match(text)):
        mark = start.group()
        if mark[0].isdigit():
            return mark + "\\" + text[start.end() :]
        return "\\" + text
    return text


def _in_table(text: str) -> str:
    return text.replace("|", "%7C")


def _alignment(cell: "SyntaxTreeNode") -> str:
    style = str(cell.attrs.get("style", ""))
    if style.endswith("center"):
        return ":-:"
    if style.endswith("right"):
        return "--:"
    return ":--" if style.endswith("left") else "---"
