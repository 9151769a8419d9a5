"""Where a task's caller wants to be called back, and the port that keeps it.

What is kept here is checked when it comes in; whoever delivers checks the resolved address again,
at the moment of dialling, because a name can point elsewhere by then.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from nightdesk.domain.errors import InvalidInputError, NotFoundError

#: Configurations of one task; a caller that wants more has a distributor of its own.
CONFIGS_MAX = 5
URL_MAX = 2_000
SECRET_MAX = 4_096

_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
#: A scheme is a token (RFC 9110, 5.6.2).
_SCHEME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
#: What may stand in a header without beginning another one.
_HEADER_TEXT = re.compile(rf"[\x20-\x7e]{{0,{SECRET_MAX}}}", re.ASCII)
_URL = re.compile(r"[\x21-\x7e]+", re.ASCII)
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa")


class PushFormat(StrEnum):
    """What the callback's body is."""

    #: A2A's StreamResponse: {"task": …}, {"statusUpdate": …} or {"artifactUpdate": …}.
    A2A = "a2a"
    #: The predecessor's: {taskId, status, output?, error?, timestamp}.
    PLAIN = "plain"
    #: Ours: {type, timestamp, data}, where data is the task as the REST API shows it.
    JSON = "json"


#: The id of a workspace's own configuration; no configuration of a task can have it.
OF_WORKSPACE = "@workspace"


class PushConfigNotFoundError(NotFoundError):
    """The task has no configuration with this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushConfig:
    """One callback of one task. `token`, `credentials` are secrets: stored, sent, never shown."""

    task_id: str
    id: str
    #: It may hold a secret too (a chat's incoming webhook is one).
    url: str = field(repr=False)
    created_at: datetime
    format: PushFormat = PushFormat.A2A
    #: Sent back as X-A2A-Notification-Token, so that the receiver knows us.
    token: str = field(default="", repr=False)
    #: Sent as `Authorization: <scheme> <credentials>`; "" = no such header.
    scheme: str = ""
    credentials: str = field(default="", repr=False)


class PushConfigs(Protocol):
    """Callback configurations by task. The adapter and the fake pass the same tests."""

    def put(self, config: PushConfig) -> None:
        """Store it; one with the same id is replaced.

        Raises:
            InvalidInputError: the task has CONFIGS_MAX others already; however many are put at
                once, no more are kept.
        """
        ...

    def of_task(self, task_id: str) -> Sequence[PushConfig]:
        """Oldest first (consistent read)."""
        ...

    def delete(self, task_id: str, config_id: str) -> None:
        """Harmless when there is none."""
        ...


def workspace_owner(workspace_id: str) -> str:
    """What stands in `task_id` for the configuration of a workspace; no task can have this id."""
    return f"workspace#{workspace_id}"


def checked(config: PushConfig, *, allow_http: bool) -> PushConfig:
    """The configuration, if it can be used.

    `allow_http` also allows loopback and private addresses: for the local profile only.

    Raises:
        InvalidInputError: names the field and what is allowed.
    """
    if config.id != OF_WORKSPACE and not may_be_id(config.id):
        raise InvalidInputError("id", "id must be 1 to 64 letters, digits or . _ : -")
    _check_url(config.url, allow_http=allow_http)
    for name, text in (("token", config.token), ("credentials", config.credentials)):
        if not _HEADER_TEXT.fullmatch(text):
            allowed = f"at most {SECRET_MAX} printable ASCII characters, no line breaks"
            raise InvalidInputError(name, f"{name} must be {allowed}")
    if config.scheme and not _SCHEME.fullmatch(config.scheme):
        raise InvalidInputError("scheme", "scheme must be one word, such as Bearer")
    if config.credentials and not config.scheme:
        raise InvalidInputError("scheme", "scheme is required with credentials")
    return config


def may_be_id(config_id: str) -> bool:
    """Whether a configuration can have this id."""
    return _ID.fullmatch(config_id) is not None


def _check_url(url: str, *, allow_http: bool) -> None:
    if len(url) > URL_MAX or not _URL.fullmatch(url) or "\\" in url:
        raise InvalidInputError("url", f"url must be a URL of at most {URL_MAX} ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidInputError("url", "url is not a URL") from error
    for wrong, problem in (
        (parts.scheme not in _schemes(allow_http=allow_http), "must begin with https://"),
        (not host or port == 0, "must name a host"),
        (
            parts.username is not None or parts.password is not None,
            "must not hold a user or a password; use authentication",
        ),
        (not allow_http and not _may_be_public(host), "must name a public host"),
    ):
        if wrong:
            raise InvalidInputError("url", f"url {problem}")


def _schemes(*, allow_http: bool) -> tuple[str, ...]:
    return ("https", "http") if allow_http else ("https",)


def _may_be_public(host: str) -> bool:
    """False for what is private as it is written; names are judged when they are dialled."""
    name = host.rstrip(".").lower()
    try:
        return ipaddress.ip_address(name).is_global
    except ValueError:
        pass
    if name.rpartition(".")[2].isdigit() or "." not in name or name.startswith("0x"):
        return False  # other spellings of IPv4 addresses, and names of this network
    return not f".{name}".endswith(_LOCAL_NAMES)
