"""Answer a read token for the repository of a running task.

Trigger: invoked by the executors with {"taskId": "..."}. Refusals, and what only a person can mend,
are answers ({"error": "..."}); what may pass is raised. The answer is never logged.
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from nightdesk import bootstrap
from nightdesk.domain.errors import ForbiddenError, PermanentError
from nightdesk.services.answer_token import answer_token

logger = Logger()
bootstrap.share_logger(logger)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Entry point named in template.yaml; answers {"token", "repo", "expiresAt"?}."""
    task_id = event.get("taskId")
    if not isinstance(task_id, str) or not task_id:
        return {"error": "taskId is required"}
    try:
        return answer_token(task_id, bootstrap.token_broker())
    except (ForbiddenError, PermanentError) as error:
        logger.warning("no token for task %s: %s", task_id, error)
        return {"error": str(error)}
