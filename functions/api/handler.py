"""The REST API.

Trigger: API Gateway (HTTP API, payload format 2.0), every request below /api/. It authenticates the
request's key itself. Failure: every error is an HTTP answer in one shape (api_errors); the function
itself never fails on a request, and nothing retries one but its client.
"""

from typing import Any

from api_app import build_app, logger

from nightdesk import bootstrap

app = build_app(bootstrap.api())


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Entry point named in template.yaml."""
    return app(event, context)
