"""What several operations of the document have in common."""

import re
from typing import Any

from nightdesk.services.submit_task import IDEMPOTENCY_KEY_MAX

_PART_WORDS = {
    "task_id": "The task's id.",
    "taskId": "The task's id.",
    "delivery_id": "The callback's id, as its list and its `webhook-id` header say it.",
    "key_id": "The key's id: the part between `nd_` and the secret.",
    "workspace_id": "The key's own workspace.",
    "agentId": "The specialist's id.",
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request makes one task of any number of requests.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": IDEMPOTENCY_KEY_MAX,
        "pattern": "^[\\x20-\\x7e]+$",
    },
}
_NUMBER = {"type": "integer", "minimum": 0}
HEADERS: dict[str, Any] = {
    "RateLimitPolicy": {
        "description": "The key's requests (q) in a window of seconds (w).",
        "schema": {"type": "string", "pattern": '^"key";q=[0-9]+;w=60$'},
    },
    "RateLimit": {
        "description": "The requests that are left (r) for the next seconds (t).",
        "schema": {"type": "string", "pattern": '^"key";r=[0-9]+;t=[0-9]+$'},
    },
    "RateLimitLimit": {"description": "Requests a minute.", "schema": _NUMBER},
    "RateLimitRemaining": {"description": "Requests that are left.", "schema": _NUMBER},
    "RateLimitReset": {"description": "When there are more: a Unix time.", "schema": _NUMBER},
    "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "WwwAuthenticate": {"description": "Bearer.", "schema": {"type": "string"}},
}


def ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def json_content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def quota_headers() -> dict[str, Any]:
    """What every answer to a good key carries."""
    return {
        "RateLimit-Policy": ref("headers", "RateLimitPolicy"),
        "RateLimit": ref("headers", "RateLimit"),
        "X-RateLimit-Limit": ref("headers", "RateLimitLimit"),
        "X-RateLimit-Remaining": ref("headers", "RateLimitRemaining"),
        "X-RateLimit-Reset": ref("headers", "RateLimitReset"),
    }


def parts_of(path: str) -> list[dict[str, Any]]:
    """The parameters that stand in the path."""
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PART_WORDS[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]
