"""Secrets in SSM SecureStrings or in Secrets Manager: read when needed, kept for a minute, never
logged. Errors name the secret and the kind of failure, nothing else.
"""

from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.ports import Clock

#: How long a rotated or revoked secret goes on being used.
KEPT_FOR = timedelta(seconds=60)
#: Throttles are repeated by the client, with its own waits; after that the caller decides.
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"total_max_attempts": 3, "mode": "standard"},
)


class Secrets(ABC):
    """Reads secrets by name, for many threads. The client is made on first use."""

    _service: str
    _missing: str

    def __init__(self, *, clock: Clock, region: str | None = None) -> None:
        self._clock = clock
        self._region = region
        self._client: Any = None
        self._kept: dict[str, tuple[datetime, str]] = {}
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sorted(self._kept)})"

    def read(self, name: str) -> str:
        """The secret's value; "" when it does not exist, or for no name.

        That it does not exist is kept for a minute too, like any value.

        Raises:
            UnavailableError: AWS refuses or does not answer.
        """
        if not name:
            return ""
        with self._lock:  # one thread asks, the others wait for its answer
            now = self._clock.now()
            if name in self._kept and now - self._kept[name][0] < KEPT_FOR:
                return self._kept[name][1]
            value = self._read(name)
            self._kept[name] = now, value
            return value

    @abstractmethod
    def _connect(self, session: botocore.session.Session) -> Any: ...

    @abstractmethod
    def _ask(self, client: Any, name: str) -> str: ...

    def _read(self, name: str) -> str:
        try:
            return self._ask(self._connected(), name).strip()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == self._missing:
                return ""
            raise UnavailableError(f"{self._service} {name}: {code}") from None
        except BotoCoreError as error:
            raise UnavailableError(f"{self._service} {name}: {type(error).__name__}") from None

    def _connected(self) -> Any:
        if self._client is None:
            self._client = self._connect(botocore.session.get_session())
        return self._client


class SsmSecrets(Secrets):
    """`Secrets` in SSM parameters, encrypted ones as a rule."""

    _service = "ssm"
    _missing = "ParameterNotFound"

    def _connect(self, session: botocore.session.Session) -> Any:
        return session.create_client("ssm", region_name=self._region, config=_CONFIG)

    def _ask(self, client: Any, name: str) -> str:
        answer = client.get_parameter(Name=name, WithDecryption=True)
        return str(answer["Parameter"]["Value"])


class SecretsManagerSecrets(Secrets):
    """`Secrets` in Secrets Manager; one that holds bytes counts as empty."""

    _service = "secretsmanager"
    _missing = "ResourceNotFoundException"

    def _connect(self, session: botocore.session.Session) -> Any:
        return session.create_client("secretsmanager", region_name=self._region, config=_CONFIG)

    def _ask(self, client: Any, name: str) -> str:
        return str(client.get_secret_value(SecretId=name).get("SecretString", ""))


class StoredCallbackKey:
    """`CallbackKey` in one secret."""

    def __init__(self, secrets: Secrets, name: str) -> None:
        self._secrets, self._name = secrets, name

    def read(self) -> str:
        return self._secrets.read(self._name)
