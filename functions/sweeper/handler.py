"""Find what is due and nobody else looks after: lost wake-ups, expired leases, timeouts, schedules.

Trigger: EventBridge Scheduler, each minute; also invoked by the API's `process` route. Two sweeps
at once are harmless; one that fails is made good by the next. Invoked with {"action": …} it does
one more thing: `redrive` the dead letters, `pause` or `resume` the whole deployment. Whoever may
invoke it may do that; over the API only `redrive` can be asked for, by a key with `admin`.
"""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from nightdesk import bootstrap
from nightdesk.services.manage_workspace import pause_everything
from nightdesk.services.recover_tasks import sweep
from nightdesk.services.redrive_dead_letters import redrive
from nightdesk.services.run_schedules import run_schedules

logger = Logger()
bootstrap.share_logger(logger)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Entry point named in template.yaml; answers what was done, by number."""
    ports = bootstrap.sweeper()
    match event.get("action", "sweep"):
        case "sweep":
            # The schedules first: what they start is woken by this very sweep, should that fail.
            scheduled = len(run_schedules(bootstrap.scheduler()))
            return {"ok": True, **asdict(sweep(ports)), "scheduled": scheduled}
        case "redrive":
            return {"ok": True, "redriven": redrive(bootstrap.dead_letters(), ports.wake_ups)}
        case "pause":
            pause_everything(paused=True, tasks=ports.tasks)
            logger.warning("everything is paused: no task starts")
            return {"ok": True, "paused": True}
        case "resume":
            pause_everything(paused=False, tasks=ports.tasks)
            logger.warning("everything is resumed")
            return {"ok": True, "paused": False, **asdict(sweep(ports))}
        case unknown:
            allowed = "sweep, redrive, pause, resume"
            raise ValueError(f"action must be one of {allowed}; got {unknown!r}")
