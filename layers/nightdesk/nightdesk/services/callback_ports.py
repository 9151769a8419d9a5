"""What the use cases around callbacks work with."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightdesk.domain.ports import OutboxStore
from nightdesk.domain.push_configs import PushConfigs

if TYPE_CHECKING:  # for the cold start
    from nightdesk.domain.callbacks import CallbackKey


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackPorts:
    """`allow_http`: callbacks may go to http and to this machine (the local profile)."""

    push_configs: PushConfigs
    outbox: OutboxStore
    key: "CallbackKey"
    allow_http: bool = False
