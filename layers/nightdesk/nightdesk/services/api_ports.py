"""What the use cases behind the REST API work with: adapters on AWS, fakes in tests."""

from dataclasses import dataclass

from nightdesk.domain.access_ports import AccessStore
from nightdesk.domain.functions import Functions
from nightdesk.domain.ports import Clock, Dice, Specialists, TaskStore, WakeUps
from nightdesk.services.callback_ports import CallbackPorts


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Names of the functions that the API invokes."""

    sweeper_function: str
    github_poller_function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPorts:
    tasks: TaskStore
    access: AccessStore
    wake_ups: WakeUps
    specialists: Specialists
    functions: Functions
    callbacks: CallbackPorts
    clock: Clock
    dice: Dice
    settings: ApiSettings
