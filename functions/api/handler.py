"""The REST API.

Trigger: API Gateway (HTTP API, payload format 2.0), every request below /api/. It authenticates the
request's key itself. Failure: every error is an HTTP answer in one shape (nightdesk.api.errors);
the function itself never fails on a request, and nothing retries one but its client.
"""

import gc

# Nothing that imports make is garbage, and looking for it takes a twelfth of the cold start.
gc.disable()

from typing import Any  # noqa: E402

from nightdesk import bootstrap  # noqa: E402
from nightdesk.api.app import build_app, logger  # noqa: E402

bootstrap.share_logger(logger)
app = build_app(bootstrap.api())

gc.freeze()
gc.enable()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Entry point named in template.yaml."""
    return app(event, context)
