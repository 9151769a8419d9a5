"""What the use cases behind the A2A routes work with, beside what all of the API works with."""

from dataclasses import dataclass

from nightdesk.domain.conversations import Conversations
from nightdesk.domain.push_configs import PushConfigs
from nightdesk.services.api_ports import ApiPorts


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationPorts:
    """The ports of all of the API, and the A2A face of tasks."""

    api: ApiPorts
    conversations: Conversations

    @property
    def push_configs(self) -> PushConfigs:
        return self.api.callbacks.push_configs

    @property
    def allow_http(self) -> bool:
        return self.api.callbacks.allow_http
