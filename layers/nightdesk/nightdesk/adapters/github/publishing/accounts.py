"""Who writes; where is in the base, since every call needs it."""

from nightdesk.adapters.github.publishing.write_access import WriteAccess
from nightdesk.domain.github_ports import Account


class GithubAccounts(WriteAccess):
    def own_account(self) -> Account:
        return self._tokens.own_account()
