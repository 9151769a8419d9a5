"""`python -m local run` and `python -m local demo`; see `make help`."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from local.errors import LocalRunError
from local.run import Options, run
from local.screen import Screen

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_PORT = 8420
INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedRun(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal: every `with` is left on the way out."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=("run", "demo"))
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes free ones")
    parser.add_argument("--repo", type=Path, help="a git repository instead of the bundled one")
    parser.add_argument("--issue", type=Path, help="a Markdown file instead of the bundled issue")
    parser.add_argument("--logs", type=Path, default=ROOT / ".local" / "logs")
    given = parser.parse_args()
    options = Options(
        stays=given.command == "run",
        port=given.port,
        repo=given.repo,
        issue=given.issue,
        root=ROOT,
        logs=given.logs.absolute(),
    )
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    started = time.time()
    with Screen() as screen:
        try:
            run(options, os.environ, screen)  # noqa: TID251 - the user's environment
        except LocalRunError as error:
            screen.error(str(error))
            if any(log.stat().st_mtime >= started for log in options.logs.glob("*.log")):
                screen.plain(f"Logs: {options.logs}")
            return 1
        except InterruptedRun:
            screen.quiet()
            screen.plain("Ended; nothing is left running.")
            return 0 if options.stays else INTERRUPTED
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Go, once: a second signal must not cut the cleaning up."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise InterruptedRun


if __name__ == "__main__":
    sys.exit(main())
