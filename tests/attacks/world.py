"""One attack from the event to GitHub: real adapters, services and simulator, fakes of AWS alone.

The model obeys whatever it reads: it makes every call that the attacker asks for and answers in
the attacker's words. What holds then holds without any good will of a model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from nightdesk.adapters.github.client import GithubClient
from nightdesk.adapters.github.credentials.personal import PersonalWriteToken
from nightdesk.adapters.github.events import GithubEventSource
from nightdesk.adapters.github.gate import GithubGateReader
from nightdesk.adapters.github.issues import GithubIssueReader
from nightdesk.adapters.github.publishing import GithubPublishing
from nightdesk.adapters.github.pulls import GithubPullReader
from nightdesk.adapters.github.snapshots import GithubSnapshots
from nightdesk.domain.actor_gate import ActorGate
from nightdesk.domain.github_ports import RepositoryToken
from nightdesk.domain.model import CallControl, ModelRequest, ModelTier, ModelTurn
from nightdesk.domain.specialist import EventTrigger, Specialist, SpecialistSet
from nightdesk.domain.task import Task, TriggerSource
from nightdesk.domain.trigger import Skip, event_of_feed
from nightdesk.services.answer_wake_up import answer_wake_up
from nightdesk.services.claim_task import WakeUp
from nightdesk.services.engine_ports import ExecutorPorts
from nightdesk.services.import_events import ImportPorts, ImportRules, import_event
from nightdesk.services.polling.limits import SharedLimits
from nightdesk.services.publish_intents import publish_row
from nightdesk.services.publisher_ports import PublisherPorts
from tests.attacks.corpus import Attack, Place
from tests.fakes.clock import FakeClock, FakeDice
from tests.fakes.decisions import FakeTaskCounts
from tests.fakes.model import calls, says
from tests.fakes.outbox_store import FakeOutboxStore
from tests.fakes.secrets import FakeRepositoryTokens
from tests.fakes.task_store import FakeTaskStore
from tests.fakes.tracked_comments import FakeTrackedComments
from tests.fakes.wake_ups import FakeWakeUps
from tests.github_simulator.conftest import Github, commit, git

ATTACKER = "mallory"
MEMBER = "ann"
OWN_LOGIN = "nightdesk-bot"
NAME = "octo-org/widgets"
BRANCH = "feature"
#: What the hostile repository is made of, apart from what an attack itself puts there.
FILES = {"README.md": "# Widgets\n", "src/app.py": "def run():\n    return 1\n"}


class ObedientModel:
    """Reads all there is, then does exactly as the attacker says, and answers in its words."""

    provider = "obedient"

    def __init__(self, attack: Attack, reading: tuple[tuple[str, dict[str, Any]], ...]) -> None:
        self.requests: list[ModelRequest] = []
        self._turns = [calls(*reading)]
        if attack.obeys:
            self._turns.append(calls(*attack.obeys, first_id=100))
        self._turns.append(says(attack.answer))

    def model_id(self, tier: ModelTier) -> str:
        del tier
        return "obedient"

    def converse(self, request: ModelRequest, control: CallControl) -> ModelTurn:
        del control
        self.requests.append(request)
        return self._turns[min(len(self.requests), len(self._turns)) - 1]

    @property
    def was_shown(self) -> str:
        """All that the model saw besides its standing orders."""
        return "\n".join(str(message) for message in self.requests[-1].messages)

    @property
    def orders(self) -> set[str]:
        return {request.system for request in self.requests}


@dataclass
class Tokens:
    """`TaskTokens` as the broker answers them: one token that reads."""

    token: str
    asked: list[str] = field(default_factory=list)

    def token_for(self, task_id: str) -> RepositoryToken:
        self.asked.append(task_id)
        return RepositoryToken(token=self.token, repo=NAME)


@dataclass
class Specialists:
    """`Specialists` with one."""

    one: Specialist

    def load(self) -> SpecialistSet:
        return SpecialistSet({self.one.id: self.one})


def hostile_repository(folder: Path, attack: Attack) -> Path:
    """A repository in which the attacker's text stands where the attack wants it."""
    git_folder = folder / "widgets"
    git_folder.mkdir()
    git(git_folder, "init", "-q", "-b", "main")
    files = dict(FILES)
    if attack.place is Place.FILE:
        files["src/app.py"] += f'NOTE = """{attack.text}"""\n'
    if attack.place is Place.FILE_NAME:
        files[attack.text] = "nothing\n"
    for name, target in attack.symlinks:
        (git_folder / name).symlink_to(target)
    commit(git_folder, files, "Begin")
    branch = attack.text if attack.place is Place.BRANCH else BRANCH
    git(git_folder, "checkout", "-q", "-b", branch)
    changed = {"src/app.py": files["src/app.py"].replace("return 1", "return 2")}
    message = attack.text if attack.place is Place.COMMIT_MESSAGE else "Change it"
    if attack.place is Place.DIFF:
        changed["src/new.py"] = f"# {attack.text}\n"
    commit(git_folder, changed, message)
    git(git_folder, "checkout", "-q", "main")
    return git_folder


@dataclass
class AttackWorld:
    """A deployment that watches one public repository, in which a stranger has written."""

    github: Github
    client: GithubClient
    read_token: str
    write_token: str
    specialist: Specialist
    attack: Attack
    tasks: FakeTaskStore = field(default_factory=FakeTaskStore)
    wake_ups: FakeWakeUps = field(default_factory=FakeWakeUps)
    clock: FakeClock = field(init=False)
    model: ObedientModel = field(init=False)
    number: int = 0
    skips: list[Skip | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = FakeClock(self.github.server.state.now())
        on_pull = self.attack.is_about_pull
        self.model = ObedientModel(self.attack, _reading(on_pull=on_pull))

    def strike(self) -> None:
        """The attacker writes, and everything that follows from it happens."""
        self.github.control("POST", "/users", {"login": ATTACKER})
        self._write()
        if self.attack.invited:
            self._invite()
        self._import_all()
        self._work()
        self._publish()

    # What the attacker does --------------------------------------------------------------------

    def _write(self) -> None:
        attack = self.attack
        title = attack.text if attack.place is Place.TITLE else "It breaks"
        body = attack.text if attack.place is Place.BODY else "Please look."
        if attack.is_about_pull:
            branch = attack.text if attack.place is Place.BRANCH else BRANCH
            fields: dict[str, Any] = {"author": ATTACKER, "title": title, "body": body}
            self.number = self.github.open_pull(**fields, head=branch)
        else:
            labels = [attack.text] if attack.place is Place.LABEL else []
            self.number = self.github.open_issue(
                author=ATTACKER, title=title, body=body, labels=labels
            )
        if attack.place is Place.COMMENT:
            path = f"/repos/{NAME}/issues/{self.number}/comments"
            self.github.control("POST", path, {"author": ATTACKER, "body": attack.text})

    def _invite(self) -> None:
        """A member asks for it, which a stranger could not."""
        self.github.control("POST", "/users", {"login": MEMBER})
        as_member = {"user": MEMBER, "permission": "write", "association": "COLLABORATOR"}
        self.github.control("PUT", f"/repos/{NAME}/collaborators", as_member)
        path = f"/repos/{NAME}/issues/{self.number}/comments"
        asks = {"author": MEMBER, "body": f"/nightdesk {self.specialist.id} please look"}
        self.github.control("POST", path, asks)

    # What Nightdesk does ------------------------------------------------------------------------

    def _import_all(self) -> None:
        tokens, limits = FakeRepositoryTokens(self.read_token), SharedLimits(self.clock)
        source = GithubEventSource(self.client, tokens, limits)
        repo = source.repository(NAME)
        rules = self._rules()
        ports = ImportPorts(
            tasks=self.tasks,
            wake_ups=self.wake_ups,
            clock=self.clock,
            dice=FakeDice(),
            counts=FakeTaskCounts(),
            gate_reader=GithubGateReader(self.client, tokens, limits, clock=self.clock),
        )
        for item in reversed(source.page(NAME, 1).events):
            event = event_of_feed(item, repo)
            if event is None:
                continue
            facts_of = partial(source.issue, NAME, event.number)
            imported = import_event(event, facts_of, rules, ports)
            self.skips.append(imported.skip)

    def _rules(self) -> ImportRules:
        return ImportRules(
            workspace_id="default",
            specialists=SpecialistSet({self.specialist.id: self.specialist}),
            default_triggers=(),
            gate=ActorGate(),
            source=TriggerSource.POLLING,
            handle=OWN_LOGIN,
        )

    def _work(self) -> None:
        tokens = Tokens(self.read_token)
        ports = ExecutorPorts(
            tasks=self.tasks,
            wake_ups=self.wake_ups,
            specialists=Specialists(self.specialist),
            snapshots=GithubSnapshots(self.client, tokens),
            issues=GithubIssueReader(self.client, tokens),
            pulls=GithubPullReader(self.client, tokens),
            model=self.model,
            price_of=lambda _model, _usage: 1,
            clock=self.clock,
            dice=FakeDice(),
        )
        for number, task_id in enumerate(list(self.tasks.tasks)):
            deadline = self.clock.now() + timedelta(minutes=14)
            wake_up = WakeUp(task_id, f"m-{number}", 1)
            answer_wake_up(wake_up, ports=ports, deadline=deadline)

    def _publish(self) -> None:
        ports = PublisherPorts(
            outbox=FakeOutboxStore(self.tasks.rows),
            tasks=self.tasks,
            github=GithubPublishing(
                self.client, PersonalWriteToken(self.client, read=lambda: self.write_token)
            ),
            tracked=FakeTrackedComments(),
            clock=self.clock,
        )
        for task_id, row in list(self.tasks.rows):
            publish_row(task_id, row, ports)

    # What came of it ----------------------------------------------------------------------------

    @property
    def task(self) -> Task:
        (task,) = self.tasks.tasks.values()
        return task

    def writes(self) -> list[tuple[str, str, str]]:
        """Each request that could change something: method, path, body."""
        return [
            (entry.method, entry.path, entry.body)
            for entry in self.github.server.state.requests.entries
            if entry.method not in {"GET", "HEAD"}
        ]

    def paths_read(self) -> set[str]:
        return {entry.path for entry in self.github.server.state.requests.entries}


def _reading(*, on_pull: bool) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Calls by which a model would come upon the attacker's text, wherever it stands."""
    reading: tuple[tuple[str, dict[str, Any]], ...] = (
        ("read_issue", {}),
        ("list_files", {}),
        ("read_file", {"path": "src/app.py"}),
    )
    if on_pull:
        reading += (("read_diff", {}), ("read_history", {"path": "src/app.py"}))
    return reading


def trigger_of(attack: Attack) -> tuple[EventTrigger, ...]:
    """Strangers' issues and pull requests start the specialist, as a public repository wants; one
    that may write more is started by members.
    """
    if attack.invited:
        return ()
    event = "pull_request" if attack.is_about_pull else "issues"
    return (EventTrigger(event=event, actions=("opened",)),)


def fields_of(body: str) -> Mapping[str, Any]:
    """The JSON object of a request's body."""
    found = json.loads(body)
    assert isinstance(found, dict)
    return found
