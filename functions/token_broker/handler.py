"""Answer a read token for the repository of a running task.

Trigger: invoked by the executors with {"taskId": "...", "refused"?: "..."}. Refusals, waits that
GitHub asks for, and what only a person can mend, are answers ({"error": "...", "retryAfter"?: 90});
what else may pass is raised. The answer is never logged.
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from nightdesk import bootstrap
from nightdesk.services.answer_token import answer_executor

logger = Logger()
bootstrap.share_logger(logger)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Entry point named in template.yaml; answers {"token", "repo", "expiresAt"?}."""
    return answer_executor(event, bootstrap.token_broker())
