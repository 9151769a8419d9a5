"""What polling is made with, and how it is configured."""

from dataclasses import dataclass
from datetime import timedelta

from nightdesk.domain.decisions import DecisionLog
from nightdesk.domain.deferred_events import DeferredEvents
from nightdesk.domain.github_ports import EventSource, PollStates
from nightdesk.domain.ports import Specialists
from nightdesk.domain.trigger import DefaultTrigger
from nightdesk.services.import_events import TASKS_PER_HOUR, ImportPorts
from nightdesk.services.polling.limits import SharedLimits

#: Repositories polled at one time; GitHub allows 100 requests at once, whatever they are for.
AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerSettings:
    """`repos` is the setting as it stands: malformed entries are reported by each poll."""

    repos: str
    interval: timedelta
    workspace_id: str
    default_triggers: tuple[DefaultTrigger, ...] = ()
    own_account_ids: frozenset[int] = frozenset()
    allowed_bot_ids: frozenset[int] = frozenset()
    mention_handle: str = ""
    tasks_per_hour: int = TASKS_PER_HOUR
    progress_comments: bool = True
    #: 1 = in this thread, one after the other.
    at_once: int = AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerPorts(ImportPorts):
    source: EventSource
    states: PollStates
    #: The same that `source` enters before each request.
    limits: SharedLimits
    decisions: DecisionLog
    deferred: DeferredEvents
    specialists: Specialists
    settings: PollerSettings
