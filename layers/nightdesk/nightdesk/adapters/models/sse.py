"""Parse server-sent events (WHATWG HTML, section 9.2) from bytes, however these are cut.

A sequence of UTF-8 may be split between two chunks, as may a line or its ending, so lines are
found in the bytes and decoded whole.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """`event` is the empty string when the server names none."""

    event: str
    data: str


class SseParser:
    """Feed it bytes; each feed returns the events that became complete."""

    def __init__(self) -> None:
        self._buffer = b""
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        events = []
        for line in self._lines(chunk):
            if line:
                self._field(line)
            elif self._data or self._event:
                events.append(ServerSentEvent(self._event, "\n".join(self._data)))
                self._event, self._data = "", []
        return events

    def _lines(self, chunk: bytes) -> list[bytes]:
        """The complete lines. A line ends with CR LF, LF or CR; a CR at the very end waits, for
        its LF may be in the next chunk.
        """
        self._buffer += chunk
        lines = self._buffer.splitlines(keepends=True)
        if not lines:
            return []
        last = lines[-1]
        if last.endswith(b"\n"):
            self._buffer = b""
        else:
            self._buffer = lines.pop()
        return [line.rstrip(b"\r\n") for line in lines]

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", errors="replace")
        if name == b"event":
            self._event = text
        elif name == b"data":
            self._data.append(text)
