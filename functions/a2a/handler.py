"""What other agents call: A2A 1.0 and the predecessor's task API.

Trigger: API Gateway (HTTP API, payload format 2.0), every request below /a2a/ and the agent card at
the root. It authenticates the request's key itself; cards are public. Failure: every error is an
answer in the words of the protocol that was spoken; the function itself never fails on a request,
and nothing retries one but its client.
"""

import gc

# Nothing that imports make is garbage, and looking for it takes a twelfth of the cold start.
gc.disable()

from typing import Any  # noqa: E402

from aws_lambda_powertools.logging import Logger  # noqa: E402

from nightdesk import bootstrap  # noqa: E402

logger = Logger()
bootstrap.share_logger(logger)
app = bootstrap.a2a()

gc.freeze()
gc.enable()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Entry point named in template.yaml."""
    answer = app(event)
    # Never the path, the query, the body or a header: those may hold secrets.
    logger.info("answered", status=answer["statusCode"])
    return answer
