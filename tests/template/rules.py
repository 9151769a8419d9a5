"""What must hold of the template and what no linter says; each rule answers what breaks it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nightdesk.config import SettingError, read_settings
from tests.template.stack import ROOT, Stack

Rule = Callable[[Stack], Iterator[str]]

RATE = re.compile(r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minutes|hours|days))\)")
#: Names end in :* where AWS wants streams of a log group, which GetAtt appends by itself.
WILDCARDS_THAT_AWS_DEMANDS = {
    # A global or cross-region inference profile calls the model in regions that AWS chooses.
    "arn:${AWS::Partition}:bedrock:*::foundation-model/*",
    "arn:${AWS::Partition}:bedrock:${AWS::Region}:${AWS::AccountId}:inference-profile/*",
    "arn:${AWS::Partition}:bedrock:${AWS::Region}:${AWS::AccountId}:application-inference-profile/*",
    # Streams of a table are named after the time of their creation.
    "${OutboxTable.Arn}/stream/*",
}
#: Read by Powertools itself.
POWERTOOLS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"}
#: Read by Lambda and by the Lambda Web Adapter, in functions that stream.
LAMBDA = {"AWS_LAMBDA_EXEC_WRAPPER", "AWS_LWA_INVOKE_MODE"}
#: The executor reads what anyone may have written: it must hold nothing that GitHub accepts.
UNTRUSTED_ROLE = "ExecutorRole"
FORBIDDEN_TO_THE_UNTRUSTED = ("Github", "Access", "Webhook", "iam:", "sts:")
#: Which role may read which secret, and so whose function may know its name. A new secret is a
#: line here; whoever is not named reads none.
SECRETS_OF_ROLES = {
    "ApiRole": {"CallbackKeyParameter"},
    "NotifierRole": {"CallbackKeyParameter"},
    "ExecutorRole": {"ModelApiKeyParameter"},
    "GithubPollerRole": {"GithubReadTokenParameter", "GithubAppPrivateKeyParameter"},
    "TokenBrokerRole": {"GithubReadTokenParameter", "GithubAppPrivateKeyParameter"},
    "PublisherRole": {"GithubWriteTokenParameter", "GithubAppPrivateKeyParameter"},
    "GithubWebhookRole": {
        "GithubAppPrivateKeyParameter",
        "GithubReadTokenParameter",
        "GithubWebhookSecretParameter",
        "GithubWebhookSecretPreviousParameter",
    },
}
#: A secret by its own name and no other; Secrets Manager adds six characters of its own.
SECRET = re.compile(
    r"arn:\$\{AWS::Partition\}:(?:ssm:\$\{AWS::Region\}:\$\{AWS::AccountId\}:parameter\$\{(\w+)\}"
    r"|secretsmanager:\$\{AWS::Region\}:\$\{AWS::AccountId\}:secret:\$\{(\w+)\}-\?{6})",
)


def queues_outlast_their_functions(stack: Stack) -> Iterator[str]:
    """AWS asks for six times the function's timeout."""
    for name, queue, function in _queue_mappings(stack):
        visible = int(stack.of_type("AWS::SQS::Queue")[queue].get("VisibilityTimeout", 30))
        timeout = int(stack.of_type("AWS::Lambda::Function")[function]["Timeout"])
        if visible < 6 * timeout:
            yield f"{name}: visibility {visible} s is less than 6 x {timeout} s"


def redrive_waits_for_five_receives(stack: Stack) -> Iterator[str]:
    for name, queue, _ in _queue_mappings(stack):
        policy = stack.of_type("AWS::SQS::Queue")[queue].get("RedrivePolicy", {})
        if int(policy.get("maxReceiveCount", 0)) < 5:
            yield f"{name}: {queue} has no dead-letter queue after five or more receives"


def dead_letters_outlive_messages(stack: Stack) -> Iterator[str]:
    queues = stack.of_type("AWS::SQS::Queue")
    for name, queue in queues.items():
        policy = queue.get("RedrivePolicy")
        if policy is None:
            continue
        dead = queues[policy["deadLetterTargetArn"]["Fn::GetAtt"][0]]
        days = 86_400
        if int(dead.get("MessageRetentionPeriod", 4 * days)) <= int(
            queue.get("MessageRetentionPeriod", 4 * days)
        ):
            yield f"{name}: messages keep their age among the dead letters"


def mappings_fit_into_reserved_concurrency(stack: Stack) -> Iterator[str]:
    for name, _, function in _queue_mappings(stack):
        mapping = stack.of_type("AWS::Lambda::EventSourceMapping")[name]
        scaling = mapping.get("ScalingConfig")
        if scaling is None:
            yield f"{name}: without MaximumConcurrency SQS throttles and buries messages"
            continue
        maximum = int(stack.default(scaling["MaximumConcurrency"]))
        properties = stack.of_type("AWS::Lambda::Function")[function]
        reserved = stack.default(properties.get("ReservedConcurrentExecutions", 0))
        if int(reserved) and maximum > int(reserved):
            yield f"{name}: {maximum} at once, but {reserved} reserved"


def reserved_concurrency_can_be_left_out(stack: Stack) -> Iterator[str]:
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        reserved = function.get("ReservedConcurrentExecutions")
        if reserved is not None and "Fn::If" not in reserved:
            yield f"{name}: accounts with a quota of 10 cannot deploy a fixed reservation"


def self_waking_functions_may_loop(stack: Stack) -> Iterator[str]:
    """Lambda ends a chain of 16 that goes through a queue, unless told otherwise."""
    functions = stack.of_type("AWS::Lambda::Function")
    for name, queue, function in _queue_mappings(stack):
        role = functions[function]["Role"]["Fn::GetAtt"][0]
        sends = any(
            statement.role == role
            and "sqs:SendMessage" in statement.actions
            and f"{queue}.Arn" in statement.resources
            for statement in stack.statements()
        )
        if sends and functions[function].get("RecursiveLoop") != "Allow":
            yield f"{name}: {function} sends to its own queue and would be stopped"


def batches_report_single_failures(stack: Stack) -> Iterator[str]:
    for name, mapping in stack.of_type("AWS::Lambda::EventSourceMapping").items():
        if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
            yield f"{name}: one failure would repeat the whole batch"


def streams_never_block(stack: Stack) -> Iterator[str]:
    for name, mapping in stack.of_type("AWS::Lambda::EventSourceMapping").items():
        if "StartingPosition" not in mapping:
            continue
        if mapping["StartingPosition"] != "TRIM_HORIZON":
            yield f"{name}: LATEST misses what is written while it is created"
        if not 0 <= mapping.get("MaximumRetryAttempts", -1) <= 10:
            yield f"{name}: unbounded retries block the shard for a day"
        if not 60 <= mapping.get("MaximumRecordAgeInSeconds", -1) <= 3_600:
            yield f"{name}: records of any age are retried"
        if not mapping.get("BisectBatchOnFunctionError"):
            yield f"{name}: one bad record fails its whole batch"
        if not mapping.get("FilterCriteria", {}).get("Filters"):
            yield f"{name}: every write of the table would invoke it"


def stream_filters_are_json(stack: Stack) -> Iterator[str]:
    for name, mapping in stack.of_type("AWS::Lambda::EventSourceMapping").items():
        for entry in mapping.get("FilterCriteria", {}).get("Filters", []):
            try:
                json.loads(entry["Pattern"])
            except ValueError as error:
                yield f"{name}: {error}"


def schedules_are_written_as_aws_reads_them(stack: Stack) -> Iterator[str]:
    for name, schedule in stack.of_type("AWS::Scheduler::Schedule").items():
        for expression in _arms(schedule["ScheduleExpression"]):
            # A parameter of 2 or more stands in the place of the number.
            if not RATE.fullmatch(re.sub(r"\$\{\w+\}", "2", expression)):
                yield f"{name}: {expression!r} is no rate()"


def schedules_do_not_pile_up(stack: Stack) -> Iterator[str]:
    """The default is 185 retries over a day."""
    for name, schedule in stack.of_type("AWS::Scheduler::Schedule").items():
        retry = schedule["Target"].get("RetryPolicy", {})
        if retry.get("MaximumRetryAttempts", 185) > 2:
            yield f"{name}: unbounded retries"
    invoked = {
        schedule["Target"]["Arn"]["Fn::GetAtt"][0]
        for schedule in stack.of_type("AWS::Scheduler::Schedule").values()
    }
    bounded = {
        config["FunctionName"]["Ref"]
        for config in stack.of_type("AWS::Lambda::EventInvokeConfig").values()
        if config.get("MaximumRetryAttempts") == 0
    }
    for name in invoked - bounded:
        yield f"{name}: Lambda repeats a failed asynchronous call twice"


def schedules_have_roles_of_their_own(stack: Stack) -> Iterator[str]:
    roles = [
        schedule["Target"]["RoleArn"]["Fn::GetAtt"][0]
        for schedule in stack.of_type("AWS::Scheduler::Schedule").values()
    ]
    taken = {f["Role"]["Fn::GetAtt"][0] for f in stack.of_type("AWS::Lambda::Function").values()}
    for role in roles:
        if roles.count(role) > 1 or role in taken:
            yield f"{role} is used by more than one schedule or function"


def functions_say_how_they_run(stack: Stack) -> Iterator[str]:
    groups = stack.of_type("AWS::Logs::LogGroup")
    for name, function in stack.written_functions().items():
        for field in ("Timeout", "MemorySize", "Role"):
            if field not in function:
                yield f"{name}: no {field}"
        logging = function.get("LoggingConfig", {})
        if logging.get("LogFormat") != "JSON":
            yield f"{name}: logs are not JSON"
        group = groups.get(logging.get("LogGroup", {}).get("Ref", ""), {})
        if "RetentionInDays" not in group:
            yield f"{name}: its logs are kept for ever"


def http_answers_come_before_the_gateway_gives_up(stack: Stack) -> Iterator[str]:
    for name, integration in stack.of_type("AWS::ApiGatewayV2::Integration").items():
        function = integration["IntegrationUri"]["Fn::GetAtt"][0]
        timeout = int(stack.of_type("AWS::Lambda::Function")[function]["Timeout"])
        if not timeout * 1000 < int(integration["TimeoutInMillis"]) <= 30_000:
            yield f"{name}: {function} may take {timeout} s"


def nothing_is_allowed_by_wildcard(stack: Stack) -> Iterator[str]:
    for statement in stack.statements():
        for action in statement.actions:
            if "*" in action:
                yield f"{statement.role}: action {action}"
        for resource in statement.resources:
            if resource in WILDCARDS_THAT_AWS_DEMANDS or SECRET.fullmatch(resource):
                continue
            if "*" in resource or "?" in resource:
                yield f"{statement.role}: resource {resource}"


def roles_hold_written_policies_only(stack: Stack) -> Iterator[str]:
    """AWSLambdaBasicExecutionRole and its kin allow every log group, queue and stream."""
    for name, role in stack.of_type("AWS::IAM::Role").items():
        if role.get("ManagedPolicyArns"):
            yield f"{name}: {role['ManagedPolicyArns']}"


def every_function_has_its_own_role(stack: Stack) -> Iterator[str]:
    roles = [f["Role"]["Fn::GetAtt"][0] for f in stack.of_type("AWS::Lambda::Function").values()]
    for role in roles:
        if roles.count(role) > 1:
            yield f"{role} is shared"


def the_executor_reaches_no_secret_of_github(stack: Stack) -> Iterator[str]:
    for statement in stack.statements():
        if statement.role != UNTRUSTED_ROLE:
            continue
        for text in (*statement.actions, *statement.resources):
            for word in FORBIDDEN_TO_THE_UNTRUSTED:
                if word in text:
                    yield f"{UNTRUSTED_ROLE}: {text}"
    for name, value in stack.variables("ExecutorFunction").items():
        if "GITHUB" in name and name != "GITHUB_API_URL":
            yield f"ExecutorFunction: {name}={value}"


def secrets_are_read_by_those_who_use_them(stack: Stack) -> Iterator[str]:
    """From either store, by name, and nobody else."""
    readable: dict[str, set[str]] = {}
    for statement in stack.statements():
        if not any(action.startswith(("ssm:", "secretsmanager:")) for action in statement.actions):
            continue
        found = readable.setdefault(statement.role, set())
        if set(statement.actions) != {"ssm:GetParameter", "secretsmanager:GetSecretValue"}:
            yield f"{statement.role}: {statement.actions} instead of reading from either store"
        for resource in statement.resources:
            named = SECRET.fullmatch(resource)
            if named is None:
                yield f"{statement.role}: {resource} is no secret by its name"
            else:
                found.add(named[1] or named[2])
    for role in sorted(readable.keys() | SECRETS_OF_ROLES.keys()):
        for name in readable.get(role, set()) ^ SECRETS_OF_ROLES.get(role, set()):
            yield f"{role}: {name} against SECRETS_OF_ROLES"


def names_of_secrets_are_known_to_their_readers(stack: Stack) -> Iterator[str]:
    for function, properties in stack.of_type("AWS::Lambda::Function").items():
        known = {
            value["Ref"]
            for value in stack.variables(function).values()
            if isinstance(value, Mapping) and str(value.get("Ref", "")).endswith("Parameter")
        }
        allowed = SECRETS_OF_ROLES.get(properties["Role"]["Fn::GetAtt"][0], set())
        for name in known ^ allowed:
            yield f"{function}: {name} is only {'a setting' if name in known else 'allowed'}"
        if allowed and "SECRETS_STORE" not in stack.variables(function):
            yield f"{function}: does not know in which store its secrets are"


def tables_named_in_settings_are_allowed(stack: Stack) -> Iterator[str]:
    """A table that a function knows but may not touch, or may touch but does not know."""
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        role = function["Role"]["Fn::GetAtt"][0]
        known = {
            value["Ref"] for key, value in stack.variables(name).items() if key.endswith("_TABLE")
        }
        allowed = {
            resource.removesuffix(".Arn")
            for statement in stack.statements()
            if statement.role == role
            for resource in statement.resources
            if resource.endswith("Table.Arn")
        }
        for table in known ^ allowed:
            yield f"{name}: {table} is only {'a setting' if table in known else 'allowed'}"


def invoked_functions_are_allowed(stack: Stack) -> Iterator[str]:
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        role = function["Role"]["Fn::GetAtt"][0]
        known = {
            value["Ref"]
            for key, value in stack.variables(name).items()
            if key.endswith("_FUNCTION")
        }
        allowed = {
            resource.removesuffix(".Arn")
            for statement in stack.statements()
            if statement.role == role and "lambda:InvokeFunction" in statement.actions
            for resource in statement.resources
        }
        for target in known ^ allowed:
            yield f"{name}: {target} is only {'a setting' if target in known else 'allowed'}"


def code_is_there_and_can_be_imported(stack: Stack) -> Iterator[str]:
    """As Lambda imports it: alone, beside the layer, with the variables that it will have."""
    default = stack.source["Globals"]["Function"]["Handler"]
    for name, function in stack.written_functions().items():
        folder = ROOT / function["CodeUri"]
        if not folder.is_dir():
            yield f"{name}: {folder} is missing"
            continue
        module, _, attribute = function.get("Handler", default).rpartition(".")
        result = subprocess.run(
            [sys.executable, "-c", f"import {module}; assert callable({module}.{attribute})"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env=_environment(stack, name)
            | {
                "PYTHONPATH": str(ROOT / "layers" / "nightdesk"),
                "PYTHONWARNINGS": "error",
                "PYTHONDONTWRITEBYTECODE": "1",
                "AWS_DEFAULT_REGION": "eu-west-1",
            },
        )
        if result.returncode:
            yield f"{name}: {result.stderr.strip()}"


def settings_are_known_to_the_code(stack: Stack) -> Iterator[str]:
    """A misspelt variable would silently keep its default."""
    read: set[str] = set()

    class Recorder(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return default

    read_settings(Recorder())
    for name in stack.of_type("AWS::Lambda::Function"):
        for variable in stack.variables(name):
            if variable not in read and variable not in POWERTOOLS | LAMBDA:
                yield f"{name}: nightdesk.config does not read {variable}"


def settings_are_allowed_by_the_code(stack: Stack) -> Iterator[str]:
    """The defaults of the parameters are values that the code takes."""
    for name in stack.of_type("AWS::Lambda::Function"):
        try:
            read_settings(_environment(stack, name))
        except SettingError as error:
            yield f"{name}: {error}"


def folders_and_functions_match(stack: Stack) -> Iterator[str]:
    written = {function["CodeUri"] for function in stack.written_functions().values()}
    folders = {f"functions/{p.parent.name}" for p in (ROOT / "functions").glob("*/handler.py")}
    for path in written ^ folders:
        yield f"{path} is only {'in template.yaml' if path in written else 'a folder'}"


def secrets_are_never_values(stack: Stack) -> Iterator[str]:
    """Only names of parameters travel through the stack."""
    for name, parameter in stack.parameters.items():
        if re.search("token|secret|password|apikey|privatekey", name, re.IGNORECASE):
            default = str(parameter.get("Default", ""))
            if name == "SecretsStore":
                continue
            if not name.endswith(("Parameter", "KmsKeyArn")) or not (
                default == "" or default.startswith("/")
            ):
                yield f"{name} looks like a secret's value"


RULES: tuple[Rule, ...] = (
    queues_outlast_their_functions,
    redrive_waits_for_five_receives,
    dead_letters_outlive_messages,
    mappings_fit_into_reserved_concurrency,
    reserved_concurrency_can_be_left_out,
    self_waking_functions_may_loop,
    batches_report_single_failures,
    streams_never_block,
    stream_filters_are_json,
    schedules_are_written_as_aws_reads_them,
    schedules_do_not_pile_up,
    schedules_have_roles_of_their_own,
    functions_say_how_they_run,
    http_answers_come_before_the_gateway_gives_up,
    nothing_is_allowed_by_wildcard,
    roles_hold_written_policies_only,
    every_function_has_its_own_role,
    the_executor_reaches_no_secret_of_github,
    secrets_are_read_by_those_who_use_them,
    names_of_secrets_are_known_to_their_readers,
    tables_named_in_settings_are_allowed,
    invoked_functions_are_allowed,
    code_is_there_and_can_be_imported,
    settings_are_known_to_the_code,
    settings_are_allowed_by_the_code,
    folders_and_functions_match,
    secrets_are_never_values,
)


def _environment(stack: Stack, function: str) -> dict[str, str]:
    """A function's variables with the parameters' defaults; deployed names become their ids."""
    return {
        name: str(value.get("Ref", "deployed") if isinstance(value, Mapping) else value)
        for name, given in stack.variables(function).items()
        for value in (stack.default(given),)
    }


def _queue_mappings(stack: Stack) -> Iterator[tuple[str, str, str]]:
    """Logical ids: mapping, queue, function."""
    for name, mapping in stack.of_type("AWS::Lambda::EventSourceMapping").items():
        if "StartingPosition" not in mapping:
            queue = mapping["EventSourceArn"]["Fn::GetAtt"][0]
            yield name, queue, mapping["FunctionName"]["Ref"]


def _arms(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and "Fn::If" in value:
        for arm in value["Fn::If"][1:]:
            yield from _arms(arm)
    elif isinstance(value, dict):
        yield str(value["Fn::Sub"])
    else:
        yield str(value)
