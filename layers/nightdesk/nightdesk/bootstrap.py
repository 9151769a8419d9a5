"""Wires adapters to ports: one function for each Lambda, each built once per environment.

What only one function needs is imported in that function's wiring, so that no cold start pays for
another's libraries.
"""

import json
import logging
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightdesk.adapters.system import SystemClock, SystemDice
from nightdesk.config import SettingError, Settings, read_settings

if TYPE_CHECKING:
    from nightdesk.a2a.app import A2aApp
    from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore
    from nightdesk.adapters.github.client import GithubClient
    from nightdesk.adapters.github.credentials.app_tokens import AppTokens
    from nightdesk.adapters.secrets import Secrets
    from nightdesk.domain.dead_letters import DeadLetters
    from nightdesk.domain.github_ports import RepositoryTokens, WriteTokens
    from nightdesk.domain.model import Model, ModelTier
    from nightdesk.domain.ports import PriceOf
    from nightdesk.services.answer_token import TokenBrokerPorts
    from nightdesk.services.api_ports import ApiPorts
    from nightdesk.services.callback_ports import CallbackPorts
    from nightdesk.services.conversation_ports import ConversationPorts
    from nightdesk.services.engine_ports import ExecutorPorts, SweeperPorts
    from nightdesk.services.notify import NotifierPorts
    from nightdesk.services.polling.ports import PollerPorts
    from nightdesk.services.publisher_ports import PublisherPorts
    from nightdesk.services.receive_webhook import WebhookPorts
    from nightdesk.services.run_schedules import SchedulerPorts


#: Questions of the webhook to GitHub under way; one delivery is dealt with at a time.
_WEBHOOK_READS = 4


@cache
def settings() -> Settings:
    """The function's settings, read once."""
    return read_settings()


def share_logger(logger: Any) -> None:
    """Let every `nightdesk.…` logger write as the handler's Powertools logger does."""
    package = logging.getLogger("nightdesk")
    package.handlers = list(logger.handlers)
    package.setLevel(logger.level)
    package.propagate = False


@cache
def api() -> "ApiPorts":
    from nightdesk.adapters.dynamodb.access_store import DynamoAccessStore
    from nightdesk.adapters.functions import LambdaFunctions
    from nightdesk.adapters.specialist_files import SpecialistFiles
    from nightdesk.adapters.sqs import SqsWakeUps
    from nightdesk.services.api_ports import ApiPorts, ApiSettings

    known = settings()
    return ApiPorts(
        tasks=_task_store(),
        access=DynamoAccessStore(),
        wake_ups=SqsWakeUps(known.wake_up_queue_url),
        specialists=SpecialistFiles(_specialists_dir()),
        functions=LambdaFunctions(),
        callbacks=_callbacks(),
        clock=SystemClock(),
        dice=SystemDice(),
        settings=ApiSettings(
            sweeper_function=known.sweeper_function,
            github_poller_function=known.github_poller_function,
        ),
    )


@cache
def conversations() -> "ConversationPorts":
    from nightdesk.adapters.dynamodb.conversations import DynamoConversations
    from nightdesk.services.conversation_ports import ConversationPorts

    return ConversationPorts(
        api=api(), conversations=DynamoConversations(retention=settings().retention)
    )


@cache
def a2a() -> "A2aApp":
    from nightdesk.a2a.app import A2aApp, A2aSettings
    from nightdesk.a2a.operations import Operations

    known = settings()
    return A2aApp(
        Operations(conversations(), streaming=known.a2a_streaming),
        A2aSettings(
            public_url=known.a2a_public_url,
            default_agent=known.a2a_default_agent,
            scheme="http" if known.profile == "local" else "https",
        ),
    )


@cache
def executor() -> "ExecutorPorts":
    from nightdesk.adapters.github.client import GithubClient
    from nightdesk.adapters.github.issues import GithubIssueReader
    from nightdesk.adapters.github.pulls import GithubPullReader
    from nightdesk.adapters.github.snapshots import GithubSnapshots
    from nightdesk.adapters.specialist_files import SpecialistFiles
    from nightdesk.adapters.sqs import SqsWakeUps
    from nightdesk.adapters.tokens import BrokeredTokens
    from nightdesk.services.engine_ports import ExecutorPorts

    known, clock = settings(), SystemClock()
    tokens = BrokeredTokens(known.need("token_broker_function"), clock=clock)
    client = GithubClient(api_url=known.github_api_url, clock=clock, renewed=tokens.renewed)
    return ExecutorPorts(
        tasks=_task_store(),
        wake_ups=SqsWakeUps(known.need("wake_up_queue_url")),
        specialists=SpecialistFiles(_specialists_dir()),
        snapshots=GithubSnapshots(client, tokens),
        issues=GithubIssueReader(client, tokens),
        pulls=GithubPullReader(client, tokens),
        model=_model(known, clock),
        price_of=_prices(),
        clock=clock,
        dice=SystemDice(),
    )


@cache
def sweeper() -> "SweeperPorts":
    from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
    from nightdesk.adapters.functions import LambdaFunctions
    from nightdesk.adapters.sqs import SqsWakeUps
    from nightdesk.services.engine_ports import SweeperPorts

    known = settings()
    return SweeperPorts(
        tasks=_task_store(),
        outbox=DynamoOutboxStore(),
        wake_ups=SqsWakeUps(known.need("wake_up_queue_url")),
        functions=LambdaFunctions(),
        clock=SystemClock(),
        publisher_function=known.need("publisher_function"),
        notifier_function=known.need("notifier_function"),
    )


@cache
def scheduler() -> "SchedulerPorts":
    from nightdesk.adapters.dynamodb.due_times import DynamoDueTimes
    from nightdesk.adapters.specialist_files import SpecialistFiles
    from nightdesk.adapters.sqs import SqsWakeUps
    from nightdesk.services.run_schedules import SchedulerPorts

    known = settings()
    return SchedulerPorts(
        tasks=_task_store(),
        due_times=DynamoDueTimes(),
        specialists=SpecialistFiles(_specialists_dir()),
        wake_ups=SqsWakeUps(known.need("wake_up_queue_url")),
        clock=SystemClock(),
        dice=SystemDice(),
        workspace_id=known.default_workspace_id,
    )


@cache
def dead_letters() -> "DeadLetters":
    from nightdesk.adapters.sqs import SqsDeadLetters

    return SqsDeadLetters(settings().need("dead_letter_queue_url"))


@cache
def poller() -> "PollerPorts":
    from nightdesk.adapters.dynamodb.decisions import DynamoDecisions, DynamoTaskCounts
    from nightdesk.adapters.dynamodb.deferred_events import DynamoDeferredEvents
    from nightdesk.adapters.dynamodb.github_state import DynamoPollStates
    from nightdesk.adapters.github.events import GithubEventSource
    from nightdesk.adapters.github.gate import GithubGateReader
    from nightdesk.adapters.specialist_files import SpecialistFiles
    from nightdesk.adapters.sqs import SqsWakeUps
    from nightdesk.domain.trigger import parse_default_triggers
    from nightdesk.services.polling.limits import SharedLimits
    from nightdesk.services.polling.ports import PollerPorts, PollerSettings

    known, clock = settings(), SystemClock()
    client, tokens, limits = (
        _github_client(clock),
        _watching_tokens(clock),
        SharedLimits(clock),
    )
    return PollerPorts(
        tasks=_task_store(),
        states=DynamoPollStates(),
        deferred=DynamoDeferredEvents(),
        source=GithubEventSource(client, tokens, limits),
        limits=limits,
        specialists=SpecialistFiles(_specialists_dir()),
        wake_ups=SqsWakeUps(known.need("wake_up_queue_url")),
        clock=clock,
        dice=SystemDice(),
        counts=DynamoTaskCounts(),
        gate_reader=GithubGateReader(client, tokens, limits, clock=clock),
        decisions=DynamoDecisions(retention=known.retention),
        settings=PollerSettings(
            repos=known.github_polling_repos,
            interval=known.github_polling_interval,
            workspace_id=known.default_workspace_id,
            default_triggers=parse_default_triggers(known.default_triggers),
            own_account_ids=known.github_own_account_ids,
            allowed_bot_ids=known.github_allowed_bot_ids,
            mention_handle=known.github_mention_handle,
            tasks_per_hour=known.github_tasks_per_hour,
            progress_comments=known.github_progress_comments,
        ),
    )


@cache
def github_webhook() -> "WebhookPorts":
    from concurrent.futures import ThreadPoolExecutor

    from nightdesk.adapters.dynamodb.decisions import DynamoDecisions, DynamoTaskCounts
    from nightdesk.adapters.dynamodb.deferred_events import DynamoDeferredEvents
    from nightdesk.adapters.github.gate import GithubGateReader
    from nightdesk.adapters.github.webhooks import read_delivery
    from nightdesk.adapters.specialist_files import SpecialistFiles
    from nightdesk.adapters.sqs import SqsWakeUps
    from nightdesk.domain.trigger import parse_default_triggers
    from nightdesk.services.polling.limits import SharedLimits
    from nightdesk.services.receive_webhook import WebhookPorts, WebhookSettings

    known, clock = settings(), SystemClock()
    secrets = _secrets(clock)
    names = (
        known.github_webhook_secret_parameter,
        known.github_webhook_secret_previous_parameter,
    )
    return WebhookPorts(
        tasks=_task_store(),
        specialists=SpecialistFiles(_specialists_dir()),
        wake_ups=SqsWakeUps(known.need("wake_up_queue_url")),
        clock=clock,
        dice=SystemDice(),
        counts=DynamoTaskCounts(),
        gate_reader=GithubGateReader(
            _impatient_github_client(clock),
            _watching_tokens(clock),
            SharedLimits(clock),
            clock=clock,
        ),
        decisions=DynamoDecisions(retention=known.retention),
        deferred=DynamoDeferredEvents(),
        reads=ThreadPoolExecutor(_WEBHOOK_READS, "reads"),
        secrets=lambda: tuple(secrets.read(name) for name in names),
        read_delivery=read_delivery,
        settings=WebhookSettings(
            repos=f"{known.github_webhook_repos},{known.github_polling_repos}",
            workspace_id=known.default_workspace_id,
            default_triggers=parse_default_triggers(known.default_triggers),
            own_account_ids=known.github_own_account_ids,
            allowed_bot_ids=known.github_allowed_bot_ids,
            mention_handle=known.github_mention_handle,
            tasks_per_hour=known.github_tasks_per_hour,
            progress_comments=known.github_progress_comments,
        ),
    )


@cache
def publisher() -> "PublisherPorts":
    from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
    from nightdesk.adapters.dynamodb.tracked_comments import DynamoTrackedComments
    from nightdesk.adapters.github.publishing import GithubPublishing
    from nightdesk.services.publisher_ports import PublisherPorts

    clock = SystemClock()
    client = _github_client(clock)
    github = GithubPublishing(client, _write_tokens(client, clock))
    return PublisherPorts(
        outbox=DynamoOutboxStore(),
        tasks=_task_store(),
        github=github,
        tracked=DynamoTrackedComments(kept_for=settings().retention),
        clock=clock,
    )


@cache
def notifier() -> "NotifierPorts":
    from nightdesk.a2a.callback_bodies import a2a_body, json_body, predecessor_body
    from nightdesk.adapters.callbacks import HttpCallbacks
    from nightdesk.adapters.dynamodb.conversations import DynamoConversations
    from nightdesk.domain.push_configs import PushFormat
    from nightdesk.services.notify import NotifierPorts

    known, clock = settings(), SystemClock()
    tasks, callbacks = _task_store(), _callbacks()
    return NotifierPorts(
        outbox=callbacks.outbox,
        tasks=tasks,
        conversations=DynamoConversations(retention=known.retention),
        push_configs=callbacks.push_configs,
        sender=HttpCallbacks(local=callbacks.allow_http),
        key=callbacks.key,
        writers={
            PushFormat.A2A: a2a_body,
            PushFormat.PLAIN: predecessor_body,
            PushFormat.JSON: json_body,
        },
        clock=clock,
        dice=SystemDice(),
    )


@cache
def token_broker() -> "TokenBrokerPorts":
    from nightdesk.services.answer_token import TokenBrokerPorts

    app = _app_tokens()
    return TokenBrokerPorts(
        tasks=_task_store(),
        tokens=_read_tokens(SystemClock()),
        renewed=app.renewed if app else None,
    )


# Parts ----------------------------------------------------------------------------------------


@cache
def _task_store() -> "DynamoTaskStore":
    from nightdesk.adapters.dynamodb.tables import TableNames, connect
    from nightdesk.adapters.dynamodb.task_store import DynamoTaskStore

    known = settings()
    connect(
        TableNames(
            tasks=known.tasks_table,
            origins=known.origins_table,
            session_log=known.session_log_table,
            outbox=known.outbox_table,
            github=known.github_table,
            access=known.access_table,
            limits=known.limits_table,
            workspaces=known.workspaces_table,
        )
    )
    return DynamoTaskStore(slot_count=known.executor_slots, retention=known.retention)


@cache
def _callbacks() -> "CallbackPorts":
    from nightdesk.adapters.dynamodb.conversations import DynamoPushConfigs, connect_conversations
    from nightdesk.adapters.dynamodb.outbox_store import DynamoOutboxStore
    from nightdesk.adapters.secrets import StoredCallbackKey
    from nightdesk.services.callback_ports import CallbackPorts

    known, clock = settings(), SystemClock()
    _task_store()  # whose connection the other tables share
    connect_conversations(known.need("conversations_table"))
    return CallbackPorts(
        push_configs=DynamoPushConfigs(retention=known.retention),
        outbox=DynamoOutboxStore(retention=known.retention),
        key=StoredCallbackKey(_secrets(clock), known.callback_key_parameter),
        allow_http=known.profile == "local",
    )


def _specialists_dir() -> Path:
    return Path(settings().specialists_dir)


def _github_client(clock: SystemClock) -> "GithubClient":
    """With a GitHub App, a call whose token was refused is made once more with a new one."""
    from nightdesk.adapters.github.client import GithubClient

    app = _app_tokens()
    renewed = app.renewed if app else None
    return GithubClient(api_url=settings().github_api_url, clock=clock, renewed=renewed)


def _impatient_github_client(clock: SystemClock) -> "GithubClient":
    """For the webhook, which waits for no answer longer than `READING` all together."""
    from nightdesk.adapters.github.client import GithubClient, Timeouts

    timeouts = Timeouts(connect=0.6, read=0.6)
    app = _app_tokens()
    return GithubClient(
        api_url=settings().github_api_url,
        clock=clock,
        timeouts=timeouts,
        renewed=app.renewed if app else None,
    )


@cache
def _app_tokens() -> "AppTokens | None":
    """The tokens of the GitHub App, if this function is given one."""
    known, clock = settings(), SystemClock()
    if not known.github_app_id:
        return None
    from nightdesk.adapters.github.client import GithubClient, Timeouts
    from nightdesk.adapters.github.credentials.app import GithubApp
    from nightdesk.adapters.github.credentials.app_tokens import AppTokens

    secrets = _secrets(clock)
    app = GithubApp(
        # Quick to give up: a token whose answer was lost does no harm, and somebody waits.
        GithubClient(
            api_url=known.github_api_url, clock=clock, timeouts=Timeouts(connect=2.0, read=5.0)
        ),
        app_id=known.github_app_id,
        private_key=lambda: secrets.read(known.github_app_private_key_parameter),
        clock=clock,
    )
    return AppTokens(app, clock=clock)


def _read_tokens(clock: SystemClock) -> "RepositoryTokens":
    return _app_tokens() or _personal_read_tokens(clock)


def _watching_tokens(clock: SystemClock) -> "RepositoryTokens":
    """The poller's and the webhook's: for many repositories at once."""
    app = _app_tokens()
    if app is None:
        return _personal_read_tokens(clock)
    from nightdesk.adapters.github.credentials.app_tokens import InstallationTokens

    return InstallationTokens(app)


def _personal_read_tokens(clock: SystemClock) -> "RepositoryTokens":
    from nightdesk.adapters.github.credentials.personal import PersonalReadTokens

    known, secrets = settings(), _secrets(clock)
    return PersonalReadTokens(read=lambda: secrets.read(known.github_read_token_parameter))


def _write_tokens(client: "GithubClient", clock: SystemClock) -> "WriteTokens":
    if app := _app_tokens():
        return app
    from nightdesk.adapters.github.credentials.personal import PersonalWriteToken

    known, secrets = settings(), _secrets(clock)
    return PersonalWriteToken(client, read=lambda: secrets.read(known.github_write_token_parameter))


def _secrets(clock: SystemClock) -> "Secrets":
    from nightdesk.adapters.secrets import SecretsManagerSecrets, SsmSecrets

    if settings().secrets_store == "secretsmanager":
        return SecretsManagerSecrets(clock=clock)
    return SsmSecrets(clock=clock)


def _prices() -> "PriceOf":
    from nightdesk.domain.prices import cost_of

    table = json.loads((Path(__file__).parent / "data" / "model_prices.json").read_text())
    return partial(cost_of, table)


def _model(known: Settings, clock: SystemClock) -> "Model":
    """The configured model. `auto`: a base URL names its provider; else Bedrock on AWS, and the
    offline model, which needs no key, on a local machine.
    """
    provider = known.model_provider
    if provider == "auto":
        provider = _provider_of(known)
    match provider:
        case "bedrock":
            return _bedrock(known, clock)
        case "anthropic":
            return _anthropic(known, clock)
        case "openai":
            return _openai(known, clock)
        case _:
            from nightdesk.adapters.models.offline import OfflineModel

            return OfflineModel()


def _provider_of(known: Settings) -> str:
    if known.openai_base_url:
        return "openai"
    if known.anthropic_base_url:
        return "anthropic"
    return "bedrock" if known.profile == "aws" else "offline"


def _bedrock(known: Settings, clock: SystemClock) -> "Model":
    from nightdesk.adapters.models.bedrock import BedrockModel
    from nightdesk.adapters.models.defaults import BEDROCK, with_defaults

    return BedrockModel(
        models=with_defaults(_chosen_models(known), BEDROCK),
        clock=clock,
        endpoint_url=known.bedrock_endpoint_url or None,
    )


def _anthropic(known: Settings, clock: SystemClock) -> "Model":
    from nightdesk.adapters.models.anthropic import AnthropicModel
    from nightdesk.adapters.models.defaults import ANTHROPIC, with_defaults

    models = with_defaults(_chosen_models(known), ANTHROPIC)
    api_key = _model_key(known, clock)
    if known.anthropic_base_url:
        base_url = known.anthropic_base_url
        return AnthropicModel(api_key=api_key, models=models, clock=clock, base_url=base_url)
    return AnthropicModel(api_key=api_key, models=models, clock=clock)


def _openai(known: Settings, clock: SystemClock) -> "Model":
    from nightdesk.adapters.models.defaults import OPENAI, with_defaults, with_nearest
    from nightdesk.adapters.models.openai_compatible import OpenAICompatibleModel, is_openai

    chosen, api_key = _chosen_models(known), _model_key(known, clock)
    base_url = known.openai_base_url or "https://api.openai.com/v1"
    if is_openai(base_url):
        models = with_defaults(chosen, OPENAI)
    else:
        try:
            models = with_nearest(chosen)
        except ValueError as error:
            raise SettingError(f"NIGHTDESK_MODEL_SMART is not set: {error}") from error
    return OpenAICompatibleModel(api_key=api_key, models=models, clock=clock, base_url=base_url)


def _chosen_models(known: Settings) -> "dict[ModelTier, str]":
    from nightdesk.domain.model import ModelTier

    return {
        ModelTier.FAST: known.model_fast,
        ModelTier.BALANCED: known.model_balanced,
        ModelTier.SMART: known.model_smart,
    }


def _model_key(known: Settings, clock: SystemClock) -> str:
    return _secrets(clock).read(known.model_api_key_parameter)
