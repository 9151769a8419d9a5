"""Receive GitHub's webhooks.

Trigger: API Gateway (HTTP API, payload format 2.0), POST /api/webhooks/github. GitHub signs the
body; no key is needed. Failure: every error is an answer; GitHub waits for 10 seconds and never
repeats a delivery by itself. What cannot be decided in time is kept for the poller.
"""

import base64
import binascii
import gc

# Nothing that imports make is garbage, and looking for it takes a twelfth of the cold start.
gc.disable()

import json  # noqa: E402
from typing import Any  # noqa: E402

from aws_lambda_powertools.logging import Logger  # noqa: E402

from nightdesk import bootstrap  # noqa: E402
from nightdesk.services.receive_webhook import (  # noqa: E402
    WebhookAnswer,
    WebhookRequest,
    receive_webhook,
)

logger = Logger()
bootstrap.share_logger(logger)
ports = bootstrap.github_webhook()

gc.freeze()
gc.enable()


def _request(event: dict[str, Any]) -> WebhookRequest:
    """The bytes as GitHub signed them; what is no base64 fits no signature."""
    headers = {str(name).lower(): str(value) for name, value in event.get("headers", {}).items()}
    body = str(event.get("body") or "").encode("utf-8", "surrogatepass")
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True)
        except binascii.Error:
            body = b""
    return WebhookRequest(headers=headers, body=body)


def _for_gateway(answer: WebhookAnswer) -> dict[str, Any]:
    return {
        "statusCode": answer.status.value,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
        "body": json.dumps(answer.body),
        "isBase64Encoded": False,
    }


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Entry point named in template.yaml."""
    try:
        answer = receive_webhook(_request(event), ports)
    except Exception:  # the last one to catch it
        logger.exception("[GitHubWebhook] failed")
        return {"statusCode": 500, "body": '{"ok": false, "error": "internal error"}'}
    # Never the body or a header: those may hold secrets.
    logger.info("answered", status=answer.status.value)
    return _for_gateway(answer)
