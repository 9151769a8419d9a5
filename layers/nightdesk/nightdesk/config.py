"""The settings of a function: its environment variables, read once and checked.

A function gets only the variables that it needs (template.yaml); a missing one reads as "" and
fails where it is used, by name. Secrets are never here: these are their names in SSM or Secrets
Manager.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

Value = TypeVar("Value")

MODEL_PROVIDERS = ("auto", "bedrock", "anthropic", "openai", "offline")
PROFILES = ("aws", "local")
SECRETS_STORES = ("ssm", "secretsmanager")


class SettingError(Exception):
    """A setting is missing or wrong: says its name, its value and what is allowed."""


# Never compared nor shown, and with so many fields those methods would cost every cold start.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Settings:
    """Every setting that some function reads; template.yaml says which one gets which."""

    profile: str
    tasks_table: str
    origins_table: str
    session_log_table: str
    outbox_table: str
    github_table: str
    access_table: str
    limits_table: str
    workspaces_table: str
    conversations_table: str
    wake_up_queue_url: str
    dead_letter_queue_url: str
    sweeper_function: str
    github_poller_function: str
    token_broker_function: str
    publisher_function: str
    notifier_function: str
    callback_key_parameter: str
    specialists_dir: str
    default_triggers: str
    default_workspace_id: str
    retention: timedelta
    executor_slots: int
    github_api_url: str
    github_polling_repos: str
    github_polling_interval: timedelta
    github_own_account_ids: frozenset[int]
    github_allowed_bot_ids: frozenset[int]
    github_mention_handle: str
    github_tasks_per_hour: int
    github_progress_comments: bool
    github_webhook_repos: str
    github_webhook_secret_parameter: str
    github_webhook_secret_previous_parameter: str
    github_read_token_parameter: str
    github_write_token_parameter: str
    github_app_id: str
    github_app_private_key_parameter: str
    secrets_store: str
    model_provider: str
    model_api_key_parameter: str
    anthropic_base_url: str
    openai_base_url: str
    bedrock_endpoint_url: str
    model_fast: str
    model_balanced: str
    model_smart: str
    a2a_public_url: str
    a2a_default_agent: str
    a2a_streaming: bool

    def need(self, name: str) -> str:
        """The value of a field that this function cannot do without.

        Raises:
            SettingError: it is not set.
        """
        value = getattr(self, name)
        if not value:
            raise SettingError(f"{name.upper()} is not set")
        return str(value)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check the environment.

    Raises:
        SettingError: a value is not allowed.
    """
    env = os.environ if environment is None else environment

    def text(name: str, default: str = "") -> str:
        return env.get(name, "").strip() or default

    def whole(name: str, default: int, least: int, most: int) -> int:
        return _parsed(
            name,
            text(name, str(default)),
            int,
            f"a number from {least} to {most}",
            lambda number: least <= number <= most,
        )

    def one_of(name: str, default: str, allowed: tuple[str, ...]) -> str:
        return _parsed(
            name,
            text(name, default),
            str,
            "one of " + ", ".join(allowed),
            lambda value: value in allowed,
        )

    def ids(name: str) -> frozenset[int]:
        return frozenset(
            _parsed(name, part.strip(), int, "numbers, separated by commas", lambda n: n > 0)
            for part in text(name).split(",")
            if part.strip()
        )

    return Settings(
        profile=one_of("NIGHTDESK_PROFILE", "aws", PROFILES),
        tasks_table=text("TASKS_TABLE"),
        origins_table=text("ORIGINS_TABLE"),
        session_log_table=text("SESSION_LOG_TABLE"),
        outbox_table=text("OUTBOX_TABLE"),
        github_table=text("GITHUB_TABLE"),
        access_table=text("ACCESS_TABLE"),
        limits_table=text("LIMITS_TABLE"),
        workspaces_table=text("WORKSPACES_TABLE"),
        conversations_table=text("CONVERSATIONS_TABLE"),
        wake_up_queue_url=text("WAKE_UP_QUEUE_URL"),
        dead_letter_queue_url=text("DEAD_LETTER_QUEUE_URL"),
        sweeper_function=text("SWEEPER_FUNCTION"),
        github_poller_function=text("GITHUB_POLLER_FUNCTION"),
        token_broker_function=text("TOKEN_BROKER_FUNCTION"),
        publisher_function=text("PUBLISHER_FUNCTION"),
        notifier_function=text("NOTIFIER_FUNCTION"),
        callback_key_parameter=text("CALLBACK_KEY_PARAMETER"),
        specialists_dir=text("SPECIALISTS_DIR", "/opt/specialists"),
        default_triggers=text("DEFAULT_TRIGGERS"),
        default_workspace_id=text("DEFAULT_WORKSPACE_ID", "default"),
        retention=timedelta(days=whole("RETENTION_DAYS", 90, 1, 3650)),
        executor_slots=whole("EXECUTOR_SLOTS", 2, 1, 100),
        github_api_url=text("GITHUB_API_URL", "https://api.github.com"),
        github_polling_repos=text("GITHUB_POLLING_REPOS"),
        github_polling_interval=timedelta(
            minutes=whole("GITHUB_POLLING_INTERVAL_MINUTES", 1, 1, 1440)
        ),
        github_own_account_ids=ids("GITHUB_OWN_ACCOUNT_IDS"),
        github_allowed_bot_ids=ids("GITHUB_ALLOWED_BOT_IDS"),
        github_mention_handle=text("GITHUB_MENTION_HANDLE").removeprefix("@"),
        github_tasks_per_hour=whole("GITHUB_TASKS_PER_HOUR", 10, 1, 1000),
        github_progress_comments=one_of("GITHUB_PROGRESS_COMMENTS", "true", ("true", "false"))
        == "true",
        github_webhook_repos=text("GITHUB_WEBHOOK_REPOS"),
        github_webhook_secret_parameter=text("GITHUB_WEBHOOK_SECRET_PARAMETER"),
        github_webhook_secret_previous_parameter=text("GITHUB_WEBHOOK_SECRET_PREVIOUS_PARAMETER"),
        github_read_token_parameter=text("GITHUB_READ_TOKEN_PARAMETER"),
        github_write_token_parameter=text("GITHUB_WRITE_TOKEN_PARAMETER"),
        github_app_id=_parsed(
            "GITHUB_APP_ID",
            text("GITHUB_APP_ID"),
            str,
            "the App's number, or empty",
            lambda value: not value or value.isdecimal(),
        ),
        github_app_private_key_parameter=text("GITHUB_APP_PRIVATE_KEY_PARAMETER"),
        secrets_store=one_of("SECRETS_STORE", "ssm", SECRETS_STORES),
        model_provider=one_of("NIGHTDESK_MODEL_PROVIDER", "auto", MODEL_PROVIDERS),
        model_api_key_parameter=text("MODEL_API_KEY_PARAMETER"),
        anthropic_base_url=text("ANTHROPIC_BASE_URL"),
        openai_base_url=text("OPENAI_BASE_URL"),
        bedrock_endpoint_url=text("NIGHTDESK_BEDROCK_ENDPOINT_URL"),
        model_fast=text("NIGHTDESK_MODEL_FAST"),
        model_balanced=text("NIGHTDESK_MODEL_BALANCED"),
        model_smart=text("NIGHTDESK_MODEL_SMART"),
        a2a_public_url=text("A2A_PUBLIC_URL"),
        a2a_default_agent=text("A2A_DEFAULT_AGENT"),
        a2a_streaming=one_of("A2A_STREAMING", "false", ("true", "false")) == "true",
    )


def _parsed(
    name: str,
    value: str,
    parse: Callable[[str], Value],
    allowed: str,
    is_allowed: Callable[[Value], bool],
) -> Value:
    parsed: Value | None = None
    with suppress(ValueError):
        parsed = parse(value)
    if parsed is None or not is_allowed(parsed):
        raise SettingError(f"{name} is {value!r}; it must be {allowed}")
    return parsed
