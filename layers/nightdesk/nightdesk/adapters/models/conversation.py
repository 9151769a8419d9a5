"""Make a session's messages acceptable to every provider, without changing what they say.

Deterministic and append-only: what comes out for a prefix of a conversation stays the same when the
conversation grows, because prompt caches and signed reasoning depend on it.
"""

from collections.abc import Iterable

from nightdesk.domain.model import Block, Message

_NO_OUTPUT = "(no output)"


def normalised(messages: Iterable[Message], *, provider: str) -> list[Message]:
    """The messages with their roles in turn, tool results first, and without what providers refuse:
    blank text, and the reasoning of another provider.
    """
    result: list[Message] = []
    for message in messages:
        content = [kept for block in message["content"] if (kept := _kept(block, provider))]
        if not content:
            continue
        if result and result[-1]["role"] == message["role"]:
            content = result.pop()["content"] + content
        # A message that answers tool calls must begin with the results.
        content.sort(key=lambda block: "toolResult" not in block)
        result.append({"role": message["role"], "content": content})
    return result


def result_text(tool_result: Block) -> str:
    """All text of a tool's result; never blank."""
    text = "\n".join(part["text"] for part in tool_result["content"] if "text" in part)
    return text if text.strip() else _NO_OUTPUT


def _kept(block: Block, provider: str) -> Block | None:
    if "text" in block:
        return block if block["text"].strip() else None
    if "reasoningContent" in block:
        return block if block["reasoningContent"].get("provider") == provider else None
    return block
