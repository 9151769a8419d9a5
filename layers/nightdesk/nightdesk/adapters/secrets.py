"""Secrets in SSM SecureString parameters: read when needed, kept for a minute, never logged."""

from datetime import datetime, timedelta
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nightdesk.domain.errors import UnavailableError
from nightdesk.domain.ports import Clock

#: How long a rotated or revoked secret goes on being used.
KEPT_FOR = timedelta(seconds=60)
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"total_max_attempts": 3, "mode": "standard"},
)


class SsmSecrets:
    """Reads parameters by name. The client is made on first use."""

    def __init__(self, *, clock: Clock, region: str | None = None) -> None:
        self._clock = clock
        self._region = region
        self._client: Any = None
        self._kept: dict[str, tuple[datetime, str]] = {}

    def __repr__(self) -> str:
        return f"SsmSecrets({sorted(self._kept)})"

    def read(self, name: str) -> str:
        """The parameter's value; "" when it does not exist, or for no name.

        Raises:
            UnavailableError: SSM refuses or does not answer. The message names the parameter and
                the kind of failure, nothing else.
        """
        if not name:
            return ""
        now = self._clock.now()
        if name in self._kept and now - self._kept[name][0] < KEPT_FOR:
            return self._kept[name][1]
        value = self._read(name)
        self._kept[name] = now, value
        return value

    def _read(self, name: str) -> str:
        try:
            answer = self._ssm().get_parameter(Name=name, WithDecryption=True)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == "ParameterNotFound":
                return ""
            raise UnavailableError(f"SSM parameter {name}: {code}") from None
        except BotoCoreError as error:
            raise UnavailableError(f"SSM parameter {name}: {type(error).__name__}") from None
        return str(answer["Parameter"]["Value"]).strip()

    def _ssm(self) -> Any:
        if self._client is None:
            session = botocore.session.get_session()
            self._client = session.create_client("ssm", region_name=self._region, config=_CONFIG)
        return self._client
