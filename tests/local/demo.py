"""Run `python -m local …` as people do, and find what it leaves behind."""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from local.cloud import inherited_environment

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-run" / "bin" / "python"
WITHIN_SECONDS = 120.0


class Demo:
    """A running `python -m local …` whose children can be told by their temporary folder."""

    def __init__(
        self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        assert PYTHON.exists(), "not installed: make .venv-run/.done .venv-cloud/.done"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.output = folder / "output.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    str(PYTHON), "-m", "local", *arguments,
                    "--port", "0", "--logs", str(folder / "logs"),
                ],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **inherited_environment(),
                    "HOME": os.environ["HOME"],  # noqa: TID251 - where uv keeps its cache
                    "PYTHONPATH": str(ROOT / "layers" / "nightdesk"),
                    "TMPDIR": str(self.temporary),
                    **(environment or {}),
                },
            )  # fmt: skip

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + WITHIN_SECONDS
        while text not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.02)

    def end(self) -> int:
        return self.process.wait(timeout=WITHIN_SECONDS)

    def survivors(self) -> list[str]:
        """Command lines of processes that were started by this run."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes()
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if str(self.temporary).encode() in environment:
                found.append(command)
        return found
