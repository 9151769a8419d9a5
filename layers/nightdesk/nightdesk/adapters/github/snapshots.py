"""The files of a task's repository, as the tarball that GitHub makes of a commit (`Snapshots`)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.shapes import repository_path
from nightdesk.adapters.snapshots.tarball import SnapshotLimits, snapshot_of_tarball
from nightdesk.domain.github_ports import TaskTokens
from nightdesk.domain.task import Target
from nightdesk.domain.workspace_files import Snapshot

_FULL_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class GithubSnapshots:
    """`Snapshots` at the target's head commit or, for an issue, of the default branch."""

    def __init__(
        self, client: GithubClient, tokens: TaskTokens, *, limits: SnapshotLimits | None = None
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._limits = limits or SnapshotLimits()

    @contextmanager
    def open(self, task_id: str, target: Target) -> Iterator[Snapshot]:
        token = self._tokens.token_for(task_id).token
        commit = target.head_sha if _FULL_SHA.fullmatch(target.head_sha) else ""
        # HEAD is the default branch; the archive itself names its commit.
        path = repository_path(target.repo, "tarball", commit or "HEAD")
        limit = self._limits.download_bytes
        with self._client.download(path, token=token, max_bytes=limit + 1) as chunks:
            snapshot = snapshot_of_tarball(chunks, commit=commit, limits=self._limits)
        with snapshot:
            yield snapshot
