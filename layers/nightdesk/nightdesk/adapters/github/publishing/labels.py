"""Labels of issues and pull requests."""

from collections.abc import Sequence

from nightdesk.adapters.github.paging import all_items
from nightdesk.adapters.github.publishing.write_access import DISCUSS, WriteAccess
from nightdesk.adapters.github.shapes import label_name, repository_path

_LABEL_PAGES = 10


class GithubLabels(WriteAccess):
    def labels_of_repository(self, repo: str) -> Sequence[str]:
        path, token = repository_path(repo, "labels"), self._token(repo, DISCUSS)
        found = all_items(self._client, path, token=token, max_pages=_LABEL_PAGES)
        return [label_name(item) for item in found]

    def add_labels(self, repo: str, number: int, labels: Sequence[str]) -> None:
        path = repository_path(repo, "issues", number, "labels")
        self._client.post(path, token=self._token(repo, DISCUSS), body={"labels": list(labels)})
