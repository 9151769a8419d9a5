"""Write what happens to the terminal: live where there is one, plain lines elsewhere."""

import re
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.status import Status
from rich.text import Text

PLAIN_WIDTH = 100
HTML_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


class Screen:
    """Lines with the time since the start, and below them what is going on right now."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        if not self._console.is_terminal:
            self._console.width = PLAIN_WIDTH
        self._started = time.monotonic()
        self._status: Status | None = None
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.quiet()

    def step(self, what: str, text: str) -> None:
        """One line: when, what, and the details."""
        elapsed = time.monotonic() - self._started
        line = Text.assemble((f"{elapsed:6.1f} s  ", "dim"), (f"{what:<11}", "bold"), text)
        self._console.print(line)

    def plain(self, text: str = "") -> None:
        """Text without a time; for commands to paste, never wrapped."""
        self._console.print(Text(text), soft_wrap=True)

    def now(self, text: str) -> None:
        """What is going on: one moving line on a terminal, a line for each change elsewhere."""
        if text == self._shown:
            return
        self._shown = text
        if not self._console.is_terminal:
            self.step("…", text)
        elif self._status is None:
            self._status = self._console.status(Text(text))
            self._status.start()
        else:
            self._status.update(Text(text))

    def quiet(self) -> None:
        """Nothing is going on any more."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        self._shown = ""

    def markdown(self, text: str) -> None:
        """A comment as people read it."""
        shown = HTML_COMMENT.sub("", text).strip()
        self._console.print(Padding(Markdown(shown), (1, 2)), soft_wrap=False)

    def error(self, text: str) -> None:
        """Why it ends."""
        self.quiet()
        self._console.print(Text(text, style="bold red"))
