"""Call the deployment's HTTP API, as any client does."""

from typing import Any

import requests

from local.errors import LocalRunError

#: The API gives up after 30 s.
CALL_SECONDS = 35
TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


class ApiClient:
    """One key's view of the API below `base`."""

    def __init__(self, base: str, key: str) -> None:
        self._base = base
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {key}"

    def poll_github(self) -> dict[str, Any]:
        """Ask for a poll now; answers what it found, repository by repository."""
        return self._call("POST", "/api/polling/check")

    def tasks(self, workspace_id: str) -> list[dict[str, Any]]:
        """The newest tasks."""
        answer = self._call("GET", f"/api/background-tasks?workspaceId={workspace_id}")
        found: list[dict[str, Any]] = answer["tasks"]
        return found

    def task(self, task_id: str) -> dict[str, Any]:
        """One task, with its output once it has completed."""
        answer = self._call("GET", f"/api/background-tasks/{task_id}")
        found: dict[str, Any] = answer.get("task", answer)
        return found

    def _call(self, method: str, path: str) -> dict[str, Any]:
        try:
            answer = self._session.request(method, self._base + path, timeout=CALL_SECONDS)
        except requests.RequestException as error:
            raise LocalRunError(f"The API did not answer {method} {path}: {error}") from error
        if not answer.ok:
            raise LocalRunError(
                f"The API answered {answer.status_code} to {method} {path}: {answer.text[:300]}"
            )
        result: dict[str, Any] = answer.json()
        return result
