"""Who writes, and where."""

from nightdesk.adapters.github.publishing.write_access import WriteAccess
from nightdesk.adapters.github.shapes import account_of, repository_of, repository_path
from nightdesk.domain.github_ports import Account, Repository


class GithubAccounts(WriteAccess):
    #: The token and whose it is.
    _own: tuple[str, Account] | None = None

    def own_account(self) -> Account:
        """Asked once for each token."""
        token = self._token()
        if self._own is None or self._own[0] != token:
            self._own = token, account_of(self._client.get("/user", token=token).data)
        return self._own[1]

    def repository(self, repo: str) -> Repository:
        return repository_of(self._client.get(repository_path(repo), token=self._token()).data)
