"""What the use cases behind the A2A routes work with, beside what all of the API works with."""

from dataclasses import dataclass

from nightdesk.domain.conversations import Conversations
from nightdesk.domain.push_configs import PushConfigs
from nightdesk.services.api_ports import ApiPorts


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationPorts:
    """`allow_http`: callbacks may go to http and to this machine (the local profile)."""

    api: ApiPorts
    conversations: Conversations
    push_configs: PushConfigs
    allow_http: bool = False
