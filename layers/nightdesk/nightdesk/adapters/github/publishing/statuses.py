"""Commit statuses."""

from nightdesk.adapters.github.publishing.write_access import STATUSES, WriteAccess
from nightdesk.adapters.github.shapes import repository_path


class GithubStatuses(WriteAccess):
    def set_status(
        self, repo: str, sha: str, *, state: str, context: str, description: str
    ) -> None:
        body = {"state": state, "context": context, "description": description}
        path = repository_path(repo, "statuses", sha)
        self._client.post(path, token=self._token(repo, STATUSES), body=body)
