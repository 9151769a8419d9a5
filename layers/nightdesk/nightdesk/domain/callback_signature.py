"""Signatures of callbacks, as the Standard Webhooks specification has them.

A callback carries `webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`:
one or more `v1,<base64>` separated by spaces, each the HMAC-SHA256 of `<id>.<timestamp>.<body>`.
Two of them while a workspace goes over to a new secret, so that a receiver may know either.

A secret is kept nowhere: it is derived from the deployment's one callback key (an SSM SecureString)
and from the workspace and the number of its secret, each time it is needed.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta

#: How long a replaced secret goes on being used beside the new one.
OLD_SECRET_VALID_FOR = timedelta(hours=24)

_PREFIX = "whsec_"


def secret_of(callback_key: str, workspace_id: str, version: int) -> str:
    """The workspace's `version`-th signing secret, as its owners keep it: `whsec_<base64>`."""
    name = f"callbacks\n{workspace_id}\n{version}".encode()
    derived = hmac.new(callback_key.encode(), name, hashlib.sha256).digest()
    return _PREFIX + base64.b64encode(derived).decode()


def signature(secrets: Sequence[str], *, delivery_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each of the secrets."""
    return " ".join(f"v1,{_signed(s, delivery_id, timestamp, body)}" for s in secrets)


def _signed(secret: str, delivery_id: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    content = f"{delivery_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
