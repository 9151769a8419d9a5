"""A pull request opened on GitHub gets a review, and a push only what is new: as deployed."""

import hashlib
import hmac
import json
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
import requests

from local.run import Nightdesk
from local.simulator import AUTHOR, Simulator
from tests.ministack.test_webhook import SECRET

pytestmark = pytest.mark.ministack

Found = TypeVar("Found")
WITHIN_SECONDS = 60.0
FIRST = "def late(ferry):\n    breakpoint()\n    return ferry.delay > 0\n"
#: The line above moves down; the new one is another finding.
SECOND = "import logging\n\n\n" + FIRST + "    # FIXME: the last ferry of the day\n"


@dataclass
class PullRequest:
    """A pull request of the simulated repository, made over GitHub's own API."""

    nightdesk: Nightdesk
    simulator: Simulator
    number: int = 0
    head: str = ""
    title: str = "Tell late ferries"
    seen: set[str] = field(default_factory=set)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(
            method,
            f"{self.simulator.url}/repos/{self.simulator.repository}{path}",
            headers={"Authorization": f"Bearer {self.simulator.write_token}"},
            json=body,
            timeout=10,
        )
        answer.raise_for_status()
        return answer.json()

    def control(self, method: str, path: str, body: Any) -> Any:
        answer = requests.request(
            method, f"{self.simulator.url}/_simulator{path}", json=body, timeout=10
        )
        answer.raise_for_status()
        return answer.json()

    def commit(self, text: str, parent: str) -> str:
        """One file, on top of a commit."""
        tree = self.api(
            "POST",
            "/git/trees",
            {
                "base_tree": parent,
                "tree": [
                    {"path": "ferry/late.py", "mode": "100644", "type": "blob", "content": text}
                ],
            },
        )
        made = {"message": "Tell late ferries", "tree": tree["sha"], "parents": [parent]}
        return str(self.api("POST", "/git/commits", made)["sha"])

    def open(self, branch: str) -> None:
        base = self.api("GET", "/git/ref/heads/main")["object"]["sha"]
        self.head = self.commit(FIRST, base)
        self.api("POST", "/git/refs", {"ref": f"refs/heads/{branch}", "sha": self.head})
        fields = {
            "author": AUTHOR,
            "association": "MEMBER",
            "title": self.title,
            "head": branch,
            "labels": ["review"],
        }
        path = f"/repos/{self.simulator.repository}"
        self.number = int(self.control("POST", f"{path}/pulls", fields)["number"])

    def push(self, text: str) -> None:
        self.head = self.commit(text, self.head)
        path = f"/repos/{self.simulator.repository}/pulls/{self.number}"
        self.control("PATCH", path, {"actor": AUTHOR, "head": self.head})

    def deliver_push(self) -> None:
        """GitHub's webhook about the push."""
        pull = self.api("GET", f"/pulls/{self.number}")
        sent = {
            "action": "synchronize",
            "number": self.number,
            "pull_request": pull,
            "repository": pull["base"]["repo"],
            "sender": pull["user"],
        }
        body = json.dumps(sent).encode()
        answer = requests.post(
            f"{self.nightdesk.url}/api/webhooks/github",
            data=body,
            headers={
                "Content-Type": "application/json",
                "X-GitHub-Event": "pull_request",
                "X-GitHub-Delivery": f"00000000-0000-0000-0000-{self.number:012}",
                "X-Hub-Signature-256": f"sha256={_signature(body)}",
            },
            timeout=35,
        )
        assert answer.status_code == 202, answer.text
        assert answer.json().get("taskIds"), answer.text

    def reviews(self) -> list[dict[str, Any]]:
        return list(self.api("GET", f"/pulls/{self.number}/reviews"))

    def comments(self) -> list[dict[str, Any]]:
        return list(self.api("GET", f"/pulls/{self.number}/comments"))

    def new_task(self) -> dict[str, Any]:
        """The review's task that was not seen yet."""
        for task in self.nightdesk.api.tasks("default"):
            about = task["agentId"] == "pr-reviewer" and self.title in task["title"]
            if about and task["id"] not in self.seen:
                self.seen.add(task["id"])
                return dict(task)
        return {}

    def published(self, task_id: str) -> str:
        """What became of the task's review, once that is known."""
        return within(lambda: self.nightdesk.api.task(task_id)["publication"] or "")


def _signature(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def within(look: Callable[[], Found]) -> Found:
    """The first answer that is something."""
    end = time.monotonic() + WITHIN_SECONDS
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)
    return found


@pytest.fixture
def pull(nightdesk: Nightdesk) -> Iterator[PullRequest]:
    """An open pull request with the label `review`, whose review is posted."""
    assert nightdesk.simulator is not None
    made = PullRequest(nightdesk, nightdesk.simulator)
    made.seen = {task["id"] for task in nightdesk.api.tasks("default")}
    nightdesk.api.poll_github()
    made.open(f"late-{time.time_ns()}")

    def polled() -> dict[str, Any]:
        nightdesk.api.poll_github()
        return made.new_task()

    task = within(polled)
    assert made.published(task["id"]).startswith("http")
    yield made
    made.control("DELETE", "/faults", {})


def store_webhook_secret(nightdesk: Nightdesk) -> None:
    deployment = nightdesk.deployment
    function = deployment.outputs["GithubWebhookFunction"]
    configuration = deployment.client("lambda").get_function_configuration(FunctionName=function)
    name = configuration["Environment"]["Variables"]["GITHUB_WEBHOOK_SECRET_PARAMETER"]
    deployment.client("ssm").put_parameter(
        Name=name, Value=SECRET, Type="SecureString", Overwrite=True
    )


def test_a_pull_request_gets_a_review_and_a_push_only_what_is_new(
    nightdesk: Nightdesk, pull: PullRequest
) -> None:
    (review,) = pull.reviews()
    (comment,) = pull.comments()
    assert (review["state"], review["commit_id"]) == ("COMMENTED", pull.head)
    assert "No language model was used" in review["body"]
    assert (comment["path"], comment["line"]) == ("ferry/late.py", 2)
    assert comment["body"].startswith("**Warning:** A call of a debugger was left in")

    store_webhook_secret(nightdesk)
    pull.push(SECOND)
    pull.deliver_push()
    assert pull.published(within(pull.new_task)["id"]).startswith("http")

    assert len(pull.reviews()) == 2
    assert [(c["line"], c["commit_id"]) for c in pull.comments()][1:] == [(7, pull.head)]
    assert pull.reviews()[1]["body"].startswith("**1 finding** in 7 added lines")


def test_the_pull_request_that_a_local_run_proposes_is_reviewed(nightdesk: Nightdesk) -> None:
    simulator = nightdesk.simulator
    assert simulator is not None
    nightdesk.api.poll_github()
    words = shlex.split(simulator.pull_command())
    url, body = words[2], json.loads(words[words.index("-d") + 1])
    pull = PullRequest(nightdesk, simulator, title=f"Refunds {time.time_ns()}")
    opened = requests.post(url, json=body | {"title": pull.title}, timeout=10)
    opened.raise_for_status()
    pull.number = int(opened.json()["number"])

    def polled() -> dict[str, Any]:
        nightdesk.api.poll_github()
        return pull.new_task()

    assert pull.published(within(polled)["id"]).startswith("http")
    assert {(comment["path"], comment["line"]) for comment in pull.comments()} == {
        ("quayside/cancelling.py", 15),
        ("quayside/notifications.py", 41),
    }


def test_a_review_whose_head_is_gone_when_it_could_be_posted_is_discarded(
    nightdesk: Nightdesk, pull: PullRequest
) -> None:
    store_webhook_secret(nightdesk)
    fault = {"kind": "status", "status": 502, "method": "POST", "path": "/reviews$"}
    pull.control("POST", "/faults", fault)
    pull.push(SECOND)
    pull.deliver_push()
    task_id = within(pull.new_task)["id"]
    path = f"{pull.simulator.url}/_simulator/faults"
    within(lambda: not [f for f in requests.get(path, timeout=10).json() if f["count"]])

    pull.push(SECOND + "\n")

    def swept() -> str:
        requests.post(
            f"{nightdesk.url}/api/background-tasks/process",
            headers={"Authorization": f"Bearer {nightdesk.key}"},
            timeout=35,
        ).raise_for_status()
        return str(nightdesk.api.task(task_id)["publication"] or "")

    assert within(swept).startswith("discarded: the head of the pull request has moved")
    assert len(pull.reviews()) == 1
