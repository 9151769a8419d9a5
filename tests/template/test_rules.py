"""Each rule holds of template.yaml, and each is seen to fail on a template that breaks it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.template import rules
from tests.template.rules import RULES, Rule
from tests.template.stack import Stack, load

TEMPLATE = load()
STACK = Stack(TEMPLATE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_template_keeps_the_rule(rule: Rule) -> None:
    assert list(rule(STACK)) == []


def resource(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda template: template["Resources"][name]["Properties"]


def setting(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A mutation: `Resource.Property.…` becomes the value."""

    def mutate(template: dict[str, Any]) -> None:
        name, *keys, last = path.split(".")
        place: Any = template["Resources"][name]["Properties"]
        for key in keys:
            place = place[int(key)] if isinstance(place, list) else place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value

    return mutate


def allowing(role: str, action: str, target: Any) -> Callable[[dict[str, Any]], None]:
    """A mutation: one statement more."""

    def mutate(template: dict[str, Any]) -> None:
        policy = template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]
        policy["Statement"].append({"Effect": "Allow", "Action": action, "Resource": target})

    return mutate


def parameter(name: str, value: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def mutate(template: dict[str, Any]) -> None:
        template["Parameters"][name] = template["Parameters"].get(name, {}) | value

    return mutate


WAKE_UP = "ExecutorFunction.Events.WakeUp.Properties"
OUTBOX_ROW = "PublisherFunction.Events.OutboxRow.Properties"
EACH_MINUTE = "SweeperFunction.Events.EachMinute.Properties"

PARAMETER = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter"

BREAKING = [
    (rules.queues_outlast_their_functions, setting("WakeUpQueue.VisibilityTimeout", 5399)),
    (rules.queues_outlast_their_functions, setting("WakeUpQueue.VisibilityTimeout", None)),
    (
        rules.redrive_waits_for_five_receives,
        setting("WakeUpQueue.RedrivePolicy.maxReceiveCount", 4),
    ),
    (rules.redrive_waits_for_five_receives, setting("WakeUpQueue.RedrivePolicy", None)),
    (rules.dead_letters_outlive_messages, setting("WakeUpQueue.MessageRetentionPeriod", 1209600)),
    (rules.mappings_fit_into_reserved_concurrency, parameter("ExecutorSlots", {"Default": 3})),
    (rules.mappings_fit_into_reserved_concurrency, setting(f"{WAKE_UP}.ScalingConfig", None)),
    (
        rules.reserved_concurrency_can_be_left_out,
        setting("ExecutorFunction.ReservedConcurrentExecutions", {"Ref": "ExecutorSlots"}),
    ),
    (rules.self_waking_functions_may_loop, setting("ExecutorFunction.RecursiveLoop", None)),
    (rules.batches_report_single_failures, setting(f"{WAKE_UP}.FunctionResponseTypes", None)),
    (rules.streams_never_block, setting(f"{OUTBOX_ROW}.StartingPosition", "LATEST")),
    (rules.streams_never_block, setting(f"{OUTBOX_ROW}.MaximumRetryAttempts", None)),
    (rules.streams_never_block, setting(f"{OUTBOX_ROW}.MaximumRecordAgeInSeconds", None)),
    (rules.streams_never_block, setting(f"{OUTBOX_ROW}.BisectBatchOnFunctionError", None)),
    (rules.streams_never_block, setting(f"{OUTBOX_ROW}.FilterCriteria", None)),
    (
        rules.stream_filters_are_json,
        setting(f"{OUTBOX_ROW}.FilterCriteria.Filters", [{"Pattern": "{'a': 1}"}]),
    ),
    (
        rules.schedules_are_written_as_aws_reads_them,
        setting(f"{EACH_MINUTE}.ScheduleExpression", "rate(1 minutes)"),
    ),
    (
        rules.schedules_are_written_as_aws_reads_them,
        setting("GithubPollerFunction.Events.Poll.Properties.ScheduleExpression", "rate(5 minute)"),
    ),
    (rules.schedules_do_not_pile_up, setting(f"{EACH_MINUTE}.RetryPolicy", None)),
    (rules.schedules_do_not_pile_up, setting("SweeperFunction.EventInvokeConfig", None)),
    (
        rules.schedules_have_roles_of_their_own,
        setting(f"{EACH_MINUTE}.RoleArn", {"Fn::GetAtt": ["SweeperRole", "Arn"]}),
    ),
    (rules.functions_say_how_they_run, setting("ApiFunction.Timeout", None)),
    (rules.functions_say_how_they_run, setting("ApiFunction.LoggingConfig", None)),
    (rules.functions_say_how_they_run, setting("ApiLogGroup.RetentionInDays", None)),
    (rules.http_answers_come_before_the_gateway_gives_up, setting("ApiFunction.Timeout", 29)),
    (rules.nothing_is_allowed_by_wildcard, allowing("ApiRole", "dynamodb:*", "arn:aws:x")),
    (rules.nothing_is_allowed_by_wildcard, allowing("ApiRole", "sqs:SendMessage", "*")),
    (
        rules.nothing_is_allowed_by_wildcard,
        allowing("ExecutorRole", "ssm:GetParameter", {"Fn::Sub": "arn:aws:ssm:::parameter/*"}),
    ),
    (
        rules.nothing_is_allowed_by_wildcard,
        allowing("ApiRole", "sqs:SendMessage", "arn:aws:sqs:eu-west-1:1:queue-????"),
    ),
    (
        rules.roles_hold_written_policies_only,
        setting("ApiRole.ManagedPolicyArns", ["arn:aws:iam::aws:policy/AWSLambda_FullAccess"]),
    ),
    (rules.roles_hold_written_policies_only, setting("ApiFunction.Role", None)),
    (
        rules.every_function_has_its_own_role,
        setting("ExecutorFunction.Role", {"Fn::GetAtt": ["PublisherRole", "Arn"]}),
    ),
    (
        rules.the_executor_reaches_no_secret_of_github,
        allowing("ExecutorRole", "dynamodb:GetItem", {"Fn::GetAtt": ["GithubTable", "Arn"]}),
    ),
    (
        rules.the_executor_reaches_no_secret_of_github,
        allowing(
            "ExecutorRole",
            "ssm:GetParameter",
            {"Fn::Sub": "arn:aws:ssm:::parameter${GithubWriteTokenParameter}"},
        ),
    ),
    (
        rules.the_executor_reaches_no_secret_of_github,
        setting(
            "ExecutorFunction.Environment.Variables.GITHUB_READ_TOKEN_PARAMETER",
            {"Ref": "GithubReadTokenParameter"},
        ),
    ),
    *(
        (rules.secrets_are_read_by_those_who_use_them, mutate)
        for mutate in (
            *(
                allowing(role, "ssm:GetParameter", {"Fn::Sub": f"{PARAMETER}${{{name}}}"})
                for role, name in (
                    ("ExecutorRole", "GithubAppPrivateKeyParameter"),
                    ("ApiRole", "GithubAppPrivateKeyParameter"),
                    ("ApiRole", "ModelApiKeyParameter"),
                    ("A2aRole", "GithubReadTokenParameter"),
                    ("PublisherRole", "GithubReadTokenParameter"),
                    ("TokenBrokerRole", "GithubWriteTokenParameter"),
                    ("SweeperRole", "GithubWebhookSecretParameter"),
                    ("GithubWebhookRole", "GithubWriteTokenParameter"),
                )
            ),
            allowing("ApiRole", "ssm:GetParameters", {"Fn::Sub": f"{PARAMETER}/nightdesk"}),
            allowing("ApiRole", "ssm:GetParametersByPath", "arn:aws:ssm:x:1:parameter/nightdesk"),
            allowing("ExecutorRole", "secretsmanager:GetSecretValue", "arn:aws:x"),
        )
    ),
    *(
        (rules.names_of_secrets_are_known_to_their_readers, mutate)
        for mutate in (
            setting("ExecutorFunction.Environment.Variables.SECRETS_STORE", None),
            setting(
                "PublisherFunction.Environment.Variables.GITHUB_APP_PRIVATE_KEY_PARAMETER", None
            ),
            setting(
                "ApiFunction.Environment.Variables.GITHUB_APP_PRIVATE_KEY_PARAMETER",
                {"Ref": "GithubAppPrivateKeyParameter"},
            ),
        )
    ),
    (
        rules.tables_named_in_settings_are_allowed,
        setting("TokenBrokerFunction.Environment.Variables.LIMITS_TABLE", {"Ref": "LimitsTable"}),
    ),
    (
        rules.tables_named_in_settings_are_allowed,
        setting("SweeperFunction.Environment.Variables.OUTBOX_TABLE", None),
    ),
    (
        rules.invoked_functions_are_allowed,
        setting("ExecutorFunction.Environment.Variables.TOKEN_BROKER_FUNCTION", None),
    ),
    (rules.code_is_there_and_can_be_imported, setting("ApiFunction.CodeUri", "functions/apy")),
    (rules.code_is_there_and_can_be_imported, setting("ApiFunction.Handler", "handler.handle")),
    (
        rules.settings_are_known_to_the_code,
        setting("ApiFunction.Environment.Variables.TASK_TABLE", {"Ref": "TasksTable"}),
    ),
    (rules.settings_are_allowed_by_the_code, parameter("ModelProvider", {"Default": "best"})),
    (rules.settings_are_allowed_by_the_code, parameter("RetentionDays", {"Default": 0})),
    (rules.folders_and_functions_match, setting("ApiFunction.CodeUri", "functions/sweeper")),
    (rules.secrets_are_never_values, parameter("GithubToken", {"Type": "String"})),
    (rules.secrets_are_never_values, parameter("GithubAppPrivateKey", {"Type": "String"})),
    (rules.secrets_are_never_values, parameter("ModelApiKeyParameter", {"Default": "sk-1"})),
]


@pytest.mark.parametrize(
    ("rule", "mutate"),
    [pytest.param(*pair, id=f"{i}-{pair[0].__name__}") for i, pair in enumerate(BREAKING)],
)
def test_a_template_that_breaks_the_rule_is_found(
    rule: Rule, mutate: Callable[[dict[str, Any]], None]
) -> None:
    template = copy.deepcopy(TEMPLATE)
    mutate(template)

    assert list(rule(Stack(template))) != []


def test_every_rule_has_been_seen_to_fail() -> None:
    assert set(RULES) == {rule for rule, _ in BREAKING}
