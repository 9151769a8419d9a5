"""Make, list, rotate and revoke API keys: of the local run, or of a stack on AWS (`--stack`).

python -m local.key create --workspace default
"""

import argparse
import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.errors import LocalRunError
from nightdesk.adapters.dynamodb.access_store import DynamoAccessStore
from nightdesk.adapters.dynamodb.tables import TableNames, connect
from nightdesk.adapters.system import SystemClock, SystemDice
from nightdesk.domain.api_key import ApiKey, Operation
from nightdesk.domain.errors import NightdeskError
from nightdesk.domain.rate_limit import PER_MINUTE_DEFAULT
from nightdesk.services.manage_keys import (
    GRACE_DEFAULT,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
)

#: Where a local run says how to reach it; gone when it has ended.
RUN_FILE = Path(".local") / "run.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", help="a stack on AWS; the local run when not given")
    parser.add_argument("--run-file", type=Path, default=RUN_FILE, help="which local run")
    parser.add_argument("--workspace", default="default")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="show a new key, once")
    create.add_argument("--agents", default="", help="ids of specialists, by comma; empty: all")
    create.add_argument("--operations", default="read,write", help="of read, write, admin")
    create.add_argument("--description", default="")
    create.add_argument("--rate", type=int, default=PER_MINUTE_DEFAULT, help="requests a minute")
    rotate = commands.add_parser("rotate", help="show a new secret, once; the old one runs out")
    rotate.add_argument("id")
    rotate.add_argument(
        "--grace", type=int, default=int(GRACE_DEFAULT.total_seconds()), help="seconds"
    )
    commands.add_parser("list", help="the workspace's keys, without their secrets")
    commands.add_parser("revoke", help="refuse it from now on").add_argument("id")
    options = parser.parse_args()
    try:
        connect(TableNames(access=_access_table(options.stack, options.run_file)))
        print(_answer(options))
    except (LocalRunError, NightdeskError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _answer(options: argparse.Namespace) -> str:
    access, clock = DynamoAccessStore(), SystemClock()
    if options.command == "create":
        return create_key(
            workspace_id=options.workspace,
            agents=[agent for agent in options.agents.split(",") if agent],
            operations=_operations(options.operations),
            description=options.description,
            requests_per_minute=options.rate,
            access=access,
            clock=clock,
            dice=SystemDice(),
        ).text
    if options.command == "rotate":
        grace = timedelta(seconds=options.grace)
        return rotate_key(
            options.id, grace=grace, access=access, clock=clock, dice=SystemDice()
        ).text
    if options.command == "revoke":
        return f"{revoke_key(options.id, access=access, clock=clock).id} is revoked"
    return "\n".join(
        f"{key.id}  {key.workspace_id}  {'revoked' if key.revoked_at else 'valid  '}  "
        f"{','.join(key.operations)}  {key.requests_per_minute}/min  {key.uses} uses  "
        f"{_last_use(key)}  {key.description}"
        for key in list_keys(workspace_id=options.workspace, access=access)
    )


def _last_use(key: ApiKey) -> str:
    return "never" if key.last_used_at is None else f"{key.last_used_at:%Y-%m-%d %H:%M}Z"


def _operations(names: str) -> list[Operation]:
    try:
        return [Operation(name.strip()) for name in names.split(",")]
    except ValueError as error:
        raise LocalRunError(f"{error}. Next: some of {', '.join(Operation)}.") from error


def _access_table(stack: str | None, run_file: Path) -> str:
    """The deployed name of the table, and AWS clients pointed to where it is."""
    if stack:
        formation = boto3.client("cloudformation")
        outputs = formation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
        return next(str(o["OutputValue"]) for o in outputs if o["OutputKey"] == "AccessTable")
    if not run_file.exists():
        raise LocalRunError(
            "Nothing runs here. Next: `make run` first, or name a stack on AWS: make key STACK=name"
        )
    run = json.loads(run_file.read_text(encoding="utf-8"))
    _speak_only_to(run["aws"])
    return str(run["accessTable"])


def _speak_only_to(aws: dict[str, str]) -> None:
    """Forget the user's own AWS settings in this process."""
    environment = os.environ  # noqa: TID251 - what botocore reads
    for name in [name for name in environment if name.startswith("AWS_")]:
        del environment[name]
    environment.update(aws)


if __name__ == "__main__":
    sys.exit(main())
