"""What a session says to a language model and hears from it, in the Bedrock Converse shape.

Messages are the plain dictionaries of Converse, because they are journalled and replayed as they
are:

    {"role": "user" | "assistant", "content": [block, ...]}
    block = {"text": str}
          | {"toolUse": {"toolUseId": str, "name": str, "input": {...}}}
          | {"toolResult": {"toolUseId": str, "content": [{"text": str}],
                            "status": "success" | "error"}}
          | {"reasoningContent": {"provider": str, "block": {...}}}    opaque to us; sent back
                            unchanged to the provider that made it, and left out for any other

Providers sign what a model thought together with everything before it (system prompt, tools and
messages), and refuse or drop a block whose past has changed. So a session only ever appends.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from threading import Event, Lock
from typing import Any, Protocol

from nightdesk.domain.errors import (
    CallAbortedError,
    ErrorCode,
    PermanentError,
    TransientError,
    TryLaterError,
)

Message = dict[str, Any]
Block = dict[str, Any]

#: Key of a tool call's input that was no JSON object: {INVALID_INPUT: the raw text, capped}.
#: Such a call is a whole turn, not an error: `invalid_input` finds it, and the session answers it
#: with an error result, so that the model can call again. It also marks the call that
#: MAX_TOKENS cut in the middle.
INVALID_INPUT = "_invalid"


def invalid_input(tool_use: Block) -> str | None:
    """The raw text of a tool call's input that was no JSON object; None when the input is one."""
    arguments: Mapping[str, Any] = tool_use["input"]
    return str(arguments[INVALID_INPUT]) if arguments.keys() == {INVALID_INPUT} else None


class ModelTier(StrEnum):
    """How capable a model the specialist asks for; the configuration maps tiers to models."""

    FAST = "fast"
    BALANCED = "balanced"
    SMART = "smart"


class StopReason(StrEnum):
    """Why the model stopped, in Converse's words."""

    END_TURN = "end_turn"
    TOOL_USE = "tool_use"
    MAX_TOKENS = "max_tokens"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it; `input_schema` is a JSON schema of an object."""

    name: str
    description: str
    input_schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `input` excludes what was read from or written to the cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    #: The provider sent no counts: these are ours, from the bytes of the call, too high on purpose.
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call: the whole conversation so far, and what the model may do next."""

    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    tier: ModelTier
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class ModelTurn:
    """The model's whole answer. `message` is an assistant message with at least one block,
    unless the model said nothing.
    """

    message: Message
    stop_reason: StopReason
    usage: Usage
    model_id: str

    @property
    def text(self) -> str:
        """The text blocks of the answer, joined."""
        return "".join(block.get("text", "") for block in self.message["content"]).strip()

    @property
    def tool_uses(self) -> tuple[Block, ...]:
        """The tool calls of the answer, in their order: {toolUseId, name, input}."""
        return tuple(b["toolUse"] for b in self.message["content"] if "toolUse" in b)


@dataclass(slots=True)
class CallControl:
    """Lets another thread cut a model call at any moment, also one that hangs in a read.

    The adapter registers how to cut its connection with `on_abort` and calls `check` between
    chunks; the engine calls `abort` when the task is cancelled, handed over or lost.
    `stall_timeout` is the longest silence between two chunks, `total_timeout` the whole call.
    """

    total_timeout: timedelta = timedelta(minutes=10)
    stall_timeout: timedelta = timedelta(seconds=60)
    on_chunk: Callable[[], None] = lambda: None
    _aborted: Event = field(default_factory=Event)
    _closers: list[Callable[[], None]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def on_abort(self, close: Callable[[], None]) -> None:
        """Register how to cut the connection; called at once when the call is aborted already."""
        with self._lock:
            self._closers.append(close)
            aborted = self._aborted.is_set()
        if aborted:
            close()

    def abort(self) -> None:
        """Cut the call from any thread. Idempotent."""
        with self._lock:
            self._aborted.set()
            closers = list(self._closers)
        for close in closers:
            close()

    @property
    def aborted(self) -> bool:
        return self._aborted.is_set()

    def check(self) -> None:
        """Raise CallAbortedError when the call has been cut by our own side."""
        if self._aborted.is_set():
            raise CallAbortedError("the model call was aborted")


class Model(Protocol):
    """A language model behind one provider. An adapter never retries: the engine does, because
    each call is reserved against the task's budget and lease first.
    """

    @property
    def provider(self) -> str:
        """`bedrock`, `anthropic`, `openai` or `offline`."""
        ...

    def model_id(self, tier: ModelTier) -> str:
        """The provider's name of the model that serves this tier."""
        ...

    def converse(self, request: ModelRequest, control: CallControl) -> ModelTurn:
        """Answer with one whole turn, streamed internally.

        Raises:
            ModelAuthError: 401 or 403, no credentials, or the model is not enabled (permanent).
            ModelRequestError: the provider calls our request invalid, 400, 404, 413, 422
                (permanent).
            ModelThrottledError: 429, or the provider says that it is overloaded (529, 503 with
                Retry-After); carries how long to wait.
            ModelUnavailableError: 5xx, timeout, cut stream, malformed answer (transient).
            CallAbortedError: `control.abort()` was called.
        """
        ...


class ModelAuthError(PermanentError):
    """The provider refuses our credentials; a person must mend the configuration."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ErrorCode.MODEL_AUTH)


class ModelRequestError(PermanentError):
    """The provider calls the request itself invalid; sending it again cannot help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ErrorCode.MODEL_ERROR)


class ModelUnavailableError(TransientError):
    """The provider failed, fell silent or answered something unreadable."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ErrorCode.MODEL_ERROR)


class ModelThrottledError(TryLaterError):
    """The provider asks us to wait; that costs the task no attempt."""

    def __init__(self, message: str, *, retry_after: timedelta) -> None:
        super().__init__(message, retry_after=retry_after)
