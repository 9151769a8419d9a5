"""The real clock and the real dice."""

import random
import secrets
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """`Clock` of the machine."""

    def now(self) -> datetime:
        """In whole milliseconds, the precision that is stored: a time reads back as it was."""
        moment = datetime.now(UTC)  # noqa: TID251 - this is the one place
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def sleep(self, duration: timedelta) -> None:
        time.sleep(max(0.0, duration.total_seconds()))


class SystemDice:
    """`Dice` of the operating system."""

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - spreads retries; nothing depends on its secrecy

    def token(self) -> str:
        return secrets.token_hex(16)
