"""The client and the tokens with which all of the publisher's calls are made.

Every call says which repository it writes to and which permissions it needs; with a GitHub App its
token can do nothing else. The sets below are all that there are: a new effect takes one of them or
adds the smallest that GitHub's documentation of its calls allows.
"""

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.shapes import repository_of, repository_path
from nightdesk.domain.github_ports import METADATA, Permissions, Repository, WriteTokens

#: Comments, labels and new issues; pull requests are issues too.
DISCUSS: Permissions = {"issues": "write", "pull_requests": "write"}
#: Reviews with inline comments, and reading what they are about.
REVIEW: Permissions = {"pull_requests": "write", "contents": "read"}
CHECKS: Permissions = {"checks": "write"}
STATUSES: Permissions = {"statuses": "write"}
#: A branch and its pull request. Never `workflows`: GitHub refuses such commits then.
BRANCH: Permissions = {"contents": "write", "pull_requests": "write"}


class WriteAccess:
    """Base of what writes."""

    def __init__(self, client: GithubClient, tokens: WriteTokens) -> None:
        self._client = client
        self._tokens = tokens
        self._ids: dict[str, int] = {}

    def repository(self, repo: str) -> Repository:
        token = self._tokens.token_for(repo, 0, METADATA).token
        found = repository_of(self._client.get(repository_path(repo), token=token).data)
        self._ids[found.full_name] = found.id
        return found

    def _token(self, repo: str, permissions: Permissions) -> str:
        """A token for this repository (its present name) that has these permissions.

        Asked again before each call: it is kept as long as it is good, and no longer.
        """
        repo_id = self._ids.get(repo) or self.repository(repo).id
        return self._tokens.token_for(repo, repo_id, permissions).token
