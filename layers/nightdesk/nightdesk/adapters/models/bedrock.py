"""Speak Amazon Bedrock's ConverseStream through boto3, with the function's own role and no key.

boto3 builds, signs and parses; the bytes go over a `Wire` of ours, because botocore has no way to
end a request that waits. boto3 is imported by the first call only: most functions never make one.
"""

import base64
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

from nightdesk.adapters.models.conversation import normalised, result_text
from nightdesk.adapters.models.failures import failure_in_stream, failure_of, shortened
from nightdesk.adapters.models.live_call import LiveCall
from nightdesk.adapters.models.turn_builder import (
    ReasoningPart,
    ToolPart,
    TurnBuilder,
)
from nightdesk.adapters.models.wire import Wire, WirePool, body_chunks
from nightdesk.domain.model import (
    Block,
    CallControl,
    Message,
    ModelAuthError,
    ModelRequest,
    ModelRequestError,
    ModelTier,
    ModelTurn,
    ModelUnavailableError,
    StopReason,
    Usage,
)
from nightdesk.domain.ports import Clock

_PROVIDER = "bedrock"
_AFTER_STALL = timedelta(seconds=5)
#: For what botocore itself sends, such as the fetch of credentials.
_CONNECT_SECONDS = 5
_READ_SECONDS = 60
_CACHE_POINT = {"cachePoint": {"type": "default"}}
_STOP_REASONS = {
    "end_turn": StopReason.END_TURN,
    "stop_sequence": StopReason.END_TURN,
    "tool_use": StopReason.TOOL_USE,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "guardrail_intervened": StopReason.REFUSAL,
    "content_filtered": StopReason.REFUSAL,
    "refusal": StopReason.REFUSAL,
}
#: Which fields take a cache point, by the model's name inside its id or its inference profile's
#: (Bedrock user guide, "Prompt caching", 2026-11). Other models refuse one; ids that do not name
#: their model, as those of application inference profiles, get none.
_CACHE_FIELDS = (
    ("anthropic.claude-3-7-sonnet", frozenset({"tools", "system", "messages"})),
    ("anthropic.claude-3-5-haiku", frozenset({"tools", "system", "messages"})),
    ("anthropic.claude-opus-", frozenset({"tools", "system", "messages"})),
    ("anthropic.claude-sonnet-", frozenset({"tools", "system", "messages"})),
    ("anthropic.claude-haiku-", frozenset({"tools", "system", "messages"})),
    ("anthropic.claude-fable-", frozenset({"tools", "system", "messages"})),
    ("amazon.nova-", frozenset({"system"})),
)


class BedrockModel:
    """The models of Amazon Bedrock, by model id or inference profile.

    Credentials and, unless `region_name` is given, the region come from where boto3 finds them.
    """

    def __init__(
        self,
        *,
        models: Mapping[ModelTier, str],
        clock: Clock,
        region_name: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        self._models = dict(models)
        self._clock = clock
        self._region_name = region_name
        self._endpoint_url = endpoint_url
        self._wires = WirePool(clock)
        self._lock = threading.Lock()
        self._client: Any = None
        self._in_use = threading.local()

    @property
    def provider(self) -> str:
        return _PROVIDER

    def model_id(self, tier: ModelTier) -> str:
        return self._models[tier]

    def converse(self, request: ModelRequest, control: CallControl) -> ModelTurn:
        """See `Model.converse`."""
        model_id = self.model_id(request.tier)
        answer = _Answer(TurnBuilder(request, provider=_PROVIDER, model_id=model_id))
        wire = self._wires.take()
        sending = _Sending(wire, control.stall_timeout + _AFTER_STALL)
        source = partial(self._events, request_of(request, model_id), sending)
        call = LiveCall(source, control=control, cut=wire.cut)
        try:
            with closing(iter(call)) as events:
                for event in events:
                    if answer.receive(event):
                        call.expect_end()
        finally:
            self._wires.give_back(wire, reusable=call.ended_well)
        return answer.turn()

    def _events(self, request: dict[str, Any], sending: "_Sending") -> Iterator[dict[str, Any]]:
        """The events of the answer; runs in the call's own thread."""
        # Imported here, and in this thread: pruned layers must not pay for it, and a caller that
        # is cut must not wait for it.
        from botocore.eventstream import ParserError  # noqa: PLC0415
        from botocore.exceptions import (  # noqa: PLC0415
            BotoCoreError,
            ClientError,
            EventStreamError,
        )
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        self._in_use.sending = sending
        try:
            response = self._connected().converse_stream(**request)
        except ClientError as error:
            raise self._refusal(error) from error
        except BotoCoreError as error:
            raise _own_failure(error) from error
        with closing(response["stream"]) as stream:
            try:
                yield from stream
            except EventStreamError as error:
                raise failure_in_stream(_error_of(error), now=self._clock.now()) from error
            except (ParserError, ResponseParserError, ValueError, TypeError) as error:
                raise _malformed(type(error).__name__) from error

    def _connected(self) -> Any:
        """The client, made once. boto3 sessions must not be used by two threads at a time."""
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        with self._lock:
            if self._client is None:
                config = Config(
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=_READ_SECONDS,
                    retries={"total_max_attempts": 1},
                )
                client = boto3.session.Session(region_name=self._region_name).client(
                    "bedrock-runtime", endpoint_url=self._endpoint_url, config=config
                )
                # botocore sends nothing itself when a handler of this event answers.
                client.meta.events.register(
                    "before-send.bedrock-runtime.ConverseStream", self._send
                )
                self._client = client
            return self._client

    def _send(self, request: Any, **_: Any) -> Any:
        """Send botocore's signed request over the wire of the call that this thread makes."""
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415

        sending: _Sending = self._in_use.sending
        response = sending.wire.send(_as_signed(request), read_timeout=sending.read_timeout)
        return AWSResponse(request.url, response.status_code, response.raw.headers, _Body(response))

    def _refusal(self, error: Any) -> Exception:
        metadata = error.response.get("ResponseMetadata", {})
        details = _error_of(error)
        return failure_of(
            metadata.get("HTTPStatusCode", 500),
            {k.lower(): str(v) for k, v in metadata.get("HTTPHeaders", {}).items()},
            code=details["code"],
            message=shortened(details["message"]),
            now=self._clock.now(),
        )


@dataclass(frozen=True, slots=True)
class _Sending:
    """What the thread of a call needs to send its request."""

    wire: Wire
    read_timeout: timedelta


class _Body:
    """A response's body as botocore reads one, chunk by chunk as they arrive."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response

    def stream(self) -> Iterator[bytes]:
        return body_chunks(self._response)

    def close(self) -> None:
        self._response.close()


def request_of(request: ModelRequest, model_id: str) -> dict[str, Any]:
    """The arguments of ConverseStream.

    Up to four cache points, which is all that Bedrock allows: after the tools, after the system
    prompt, at the end of the conversation, and where it ended one call ago.
    """
    fields = cache_fields(model_id)
    messages = [_message(m) for m in normalised(request.messages, provider=_PROVIDER)]
    arguments: dict[str, Any] = {
        "modelId": model_id,
        "messages": messages,
        "inferenceConfig": {"maxTokens": request.max_output_tokens},
    }
    if request.system.strip():
        arguments["system"] = [{"text": request.system}, *_points("system", fields)]
    if request.tools:
        tools = [
            {
                "toolSpec": {
                    "name": tool.name,
                    "description": tool.description,
                    "inputSchema": {"json": dict(tool.input_schema)},
                }
            }
            for tool in request.tools
        ]
        arguments["toolConfig"] = {"tools": [*tools, *_points("tools", fields)]}
    for message in [m for m in messages if m["role"] == "user"][-2:]:
        message["content"].extend(_points("messages", fields))
    return arguments


def cache_fields(model_id: str) -> frozenset[str]:
    """Where this model takes cache points: a subset of tools, system and messages."""
    return next((fields for name, fields in _CACHE_FIELDS if name in model_id), frozenset())


def _points(field: str, fields: frozenset[str]) -> list[dict[str, Any]]:
    return [_CACHE_POINT] if field in fields else []


def _message(message: Message) -> dict[str, Any]:
    return {"role": message["role"], "content": [_block(block) for block in message["content"]]}


def _block(block: Block) -> Block:
    match block:
        case {"toolResult": result}:
            status = result.get("status", "success")
            text = [{"text": result_text(result)}]
            identifier = result["toolUseId"]
            return {"toolResult": {"toolUseId": identifier, "content": text, "status": status}}
        case {"reasoningContent": {"block": {"redactedContent": encoded}}}:
            return {"reasoningContent": {"redactedContent": base64.b64decode(encoded)}}
        case {"reasoningContent": {"block": reasoning}}:
            return {"reasoningContent": reasoning}
        case _:
            return block


class _Answer:
    """The events of one answer, as they arrive."""

    def __init__(self, builder: TurnBuilder) -> None:
        self._builder = builder
        self._stop_reason: str | None = None
        self._usage: Mapping[str, Any] | None = None

    def receive(self, event: dict[str, Any]) -> bool:
        """Take one event; True when it was the last: the metadata follow the stop."""
        try:
            self._take(event)
        except (KeyError, TypeError, AttributeError) as error:
            raise _malformed(type(error).__name__) from error
        return self._usage is not None and self._stop_reason is not None

    def turn(self) -> ModelTurn:
        if self._usage is None or self._stop_reason is None:
            raise ModelUnavailableError("the provider's answer was cut off")
        reason = _STOP_REASONS.get(self._stop_reason)
        if reason is None:  # malformed_tool_use, malformed_model_output
            raise _malformed(f"stop reason {self._stop_reason[:40]}")
        return self._builder.turn(
            reason,
            Usage(
                input=self._usage.get("inputTokens", 0),
                output=self._usage.get("outputTokens", 0),
                cache_read=self._usage.get("cacheReadInputTokens", 0),
                cache_write=self._usage.get("cacheWriteInputTokens", 0),
            ),
        )

    def _take(self, event: dict[str, Any]) -> None:
        # botocore gives an event whose JSON it cannot read as one without members: a KeyError here.
        match event:
            case {"contentBlockStart": begun}:
                if use := begun["start"].get("toolUse"):
                    tool = ToolPart(use["toolUseId"], use["name"])
                    self._builder.begin(begun["contentBlockIndex"], tool)
            case {"contentBlockDelta": more}:
                self._add(more["contentBlockIndex"], more["delta"])
            case {"messageStop": stop}:
                self._stop_reason = stop["stopReason"]
            case {"metadata": metadata}:
                self._usage = metadata["usage"]
            case _:  # messageStart, contentBlockStop, and what later versions add
                pass

    def _add(self, index: int, delta: dict[str, Any]) -> None:
        match delta:
            case {"text": text}:
                self._builder.add_text(index, text)
            case {"toolUse": {"input": fragment}}:
                self._builder.add_tool_input(index, fragment)
            case {"reasoningContent": reasoning}:
                self._think(index, reasoning)
            case _:  # citations, images
                pass

    def _think(self, index: int, delta: dict[str, Any]) -> None:
        part = self._builder.part(index)
        if part is None:
            part = ReasoningPart({})
            self._builder.begin(index, part)
        if not isinstance(part, ReasoningPart):
            raise _malformed("thinking outside its block")
        if "redactedContent" in delta:
            # Bytes, which a journal cannot hold.
            so_far = base64.b64decode(part.block.get("redactedContent", ""))
            encoded = base64.b64encode(so_far + delta["redactedContent"])
            part.block["redactedContent"] = encoded.decode("ascii")
            part.is_signed = True
            return
        reasoning = part.block.setdefault("reasoningText", {"text": ""})
        for name in ("text", "signature"):
            if name in delta:
                reasoning[name] = reasoning.get(name, "") + delta[name]
        part.is_signed = part.is_signed or "signature" in delta


def _as_signed(request: Any) -> requests.PreparedRequest:
    """Botocore's request, byte for byte: anything added or re-encoded would break the signature."""
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = request.url
    prepared.headers = CaseInsensitiveDict(request.headers.items())
    prepared.prepare_cookies({})
    prepared.body = request.body
    return prepared


def _error_of(error: Any) -> dict[str, str]:
    details = error.response.get("Error", {})
    return {"code": str(details.get("Code", "")), "message": str(details.get("Message", ""))}


def _own_failure(error: Exception) -> Exception:
    """What an error of botocore's own means: it never reached Bedrock, or could not be read."""
    from botocore import exceptions  # noqa: PLC0415

    unconfigured = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.NoRegionError,
        exceptions.ProfileNotFound,
        exceptions.TokenRetrievalError,
        exceptions.UnauthorizedSSOTokenError,
        exceptions.NoAuthTokenError,
    )
    name = type(error).__name__
    if isinstance(error, unconfigured):
        return ModelAuthError(f"AWS credentials or region are missing ({name})")
    if isinstance(error, exceptions.ParamValidationError):
        return ModelRequestError(f"boto3 refuses the request: {shortened(error)}")
    return ModelUnavailableError(f"no answer from Bedrock ({name})")


def _malformed(what: str) -> ModelUnavailableError:
    return ModelUnavailableError(f"the provider's answer is malformed ({what})")
