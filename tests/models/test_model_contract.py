"""What the three adapters have in common, each against a server that speaks its provider's wire."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightdesk.domain.errors import CallAbortedError, NightdeskError
from nightdesk.domain.model import (
    CallControl,
    Model,
    ModelAuthError,
    ModelRequestError,
    ModelThrottledError,
    ModelTier,
    ModelTurn,
    ModelUnavailableError,
    StopReason,
    Usage,
    invalid_input,
)
from tests.fakes.clock import FakeClock
from tests.models.provider_server import (
    ProviderServer,
    breaks_after,
    drips,
    hangs_after,
    hangs_before_the_headers,
    replies,
)
from tests.models.providers import KEY, PROVIDERS, Provider, asking
from tests.models.wire_formats import Call, Said

#: Texts whose UTF-8 has sequences of two, three and four bytes.
GREETING = "Grüße, 世界 🌙: the bug is in `parse()`."
TOOLS = Said(
    text="Let me look.",
    calls=(
        Call("call-a", "read_file", '{"path": "src/naïve.py"}'),
        Call("call-b", "search_code", '{"words": ["a", {"b": 1.5}], "all": true}'),
        Call("call-c", "list_files", ""),
    ),
    stop=StopReason.TOOL_USE,
)


def answered(
    provider: Provider, server: ProviderServer, said: Said, control: CallControl | None = None
) -> ModelTurn:
    server.script(replies([provider.body(said)], content_type=provider.content_type))
    model = provider.connect(server.url, FakeClock())
    return model.converse(asking(), control or CallControl())


def refused(
    provider: Provider,
    server: ProviderServer,
    status: int,
    headers: dict[str, str] | None = None,
    *,
    message: str = "no",
    code: str = "some_error",
) -> NightdeskError:
    body = provider.error(code, message)
    server.script(replies([body], status=status, headers=headers, content_type="application/json"))
    model = provider.connect(server.url, FakeClock())
    with pytest.raises(NightdeskError) as caught:
        model.converse(asking(), CallControl())
    return caught.value


def abort_once_asked(server: ProviderServer, control: CallControl) -> None:
    """Abort from another thread, as soon as the server has the request."""

    def wait_and_abort() -> None:
        server.asked.wait(5)
        control.abort()

    Thread(target=wait_and_abort).start()


def warm(provider: Provider, server: ProviderServer) -> Model:
    """A model that has made a call before, so that times are those of the call alone."""
    model = provider.connect(server.url, FakeClock())
    server.script(replies([provider.body(Said(text="x"))], content_type=provider.content_type))
    model.converse(asking(), CallControl())
    return model


def seconds_until_raised(call: Callable[[], object], error: type[Exception]) -> float:
    started = time.monotonic()
    with pytest.raises(error):
        call()
    return time.monotonic() - started


# What it hears -------------------------------------------------------------------------------


def test_text_comes_whole(provider: Provider, server: ProviderServer) -> None:
    turn = answered(provider, server, Said(text=GREETING))

    assert turn.message == {"role": "assistant", "content": [{"text": GREETING}]}
    assert turn.text == GREETING
    assert turn.stop_reason is StopReason.END_TURN
    assert turn.model_id == "global.anthropic.claude-opus-5-5"


def test_several_tool_calls_are_told_apart_although_their_fragments_mix(
    provider: Provider, server: ProviderServer
) -> None:
    turn = answered(provider, server, TOOLS)

    assert turn.text == "Let me look."
    assert turn.stop_reason is StopReason.TOOL_USE
    assert turn.tool_uses == (
        {"toolUseId": "call-a", "name": "read_file", "input": {"path": "src/naïve.py"}},
        {
            "toolUseId": "call-b",
            "name": "search_code",
            "input": {"words": ["a", {"b": 1.5}], "all": True},
        },
        {"toolUseId": "call-c", "name": "list_files", "input": {}},
    )


def test_usage_tells_cached_tokens_apart_from_the_rest(
    provider: Provider, server: ProviderServer
) -> None:
    turn = answered(provider, server, Said(text="x"))

    assert turn.usage == Usage(input=11, output=7, cache_read=5, cache_write=3)


@pytest.mark.parametrize("stop", [StopReason.MAX_TOKENS, StopReason.REFUSAL])
def test_a_turn_that_was_cut_or_refused_says_so(
    provider: Provider, server: ProviderServer, stop: StopReason
) -> None:
    assert answered(provider, server, Said(text="I", stop=stop)).stop_reason is stop


def test_a_turn_in_which_the_model_says_nothing_is_empty(
    provider: Provider, server: ProviderServer
) -> None:
    assert answered(provider, server, Said()).message["content"] == []


@pytest.mark.parametrize("raw", ['{"path": "a', "[1]", '{"n": NaN}', '{"s": "\\ud800"}', "hello"])
def test_tool_input_that_is_no_object_is_passed_on_for_the_session_to_answer(
    provider: Provider, server: ProviderServer, raw: str
) -> None:
    said = Said(calls=(Call("call-a", "read_file", raw),), stop=StopReason.TOOL_USE)

    (tool_use,) = answered(provider, server, said).tool_uses

    assert invalid_input(tool_use) == raw


def test_tool_input_that_is_no_object_is_capped(provider: Provider, server: ProviderServer) -> None:
    said = Said(calls=(Call("a", "read_file", "x" * 5_000),), stop=StopReason.TOOL_USE)

    (tool_use,) = answered(provider, server, said).tool_uses

    assert invalid_input(tool_use) == "x" * 2_000


def test_an_id_that_the_conversation_has_already_is_replaced(
    provider: Provider, server: ProviderServer
) -> None:
    calls = (Call("same", "read_file", "{}"), Call("same", "search_code", "{}"))
    turn = answered(provider, server, Said(calls=calls, stop=StopReason.TOOL_USE))

    ids = [use["toolUseId"] for use in turn.tool_uses]

    assert ids == ["same", "call_1_0"]


@pytest.mark.parametrize("said", [Said(text=GREETING), TOOLS], ids=["text", "tools"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_small_chunks_change_nothing(
    provider: Provider, server: ProviderServer, said: Said, size: int
) -> None:
    whole = answered(provider, server, said)
    body = provider.body(said)
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    server.script(replies(chunks, content_type=provider.content_type))

    turn = provider.connect(server.url, FakeClock()).converse(asking(), CallControl())

    assert turn == whole


@pytest.mark.parametrize("chosen", PROVIDERS, ids=lambda provider: provider.name)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_chunking_of_the_stream_gives_the_same_turn(
    chosen: Provider, aws_environment: None, data: st.DataObject
) -> None:
    text = data.draw(st.text(max_size=40))
    arguments = data.draw(st.dictionaries(st.text(max_size=5), st.text(max_size=10), max_size=3))
    call = Call("call-a", "read_file", json.dumps(arguments))
    body = chosen.body(Said(text=text, calls=(call,), stop=StopReason.TOOL_USE))
    cuts = data.draw(st.sets(st.integers(1, len(body) - 1), max_size=20))
    edges = [0, *sorted(cuts), len(body)]
    chunks = [body[a:b] for a, b in pairwise(edges)]

    with ProviderServer() as server:
        server.script(replies(chunks, content_type=chosen.content_type))
        turn = chosen.connect(server.url, FakeClock()).converse(asking(), CallControl())

    said = [{"text": text}] if text.strip() else []
    use = {"toolUse": {"toolUseId": "call-a", "name": "read_file", "input": arguments}}
    assert turn.message["content"] == [*said, use]


def test_each_chunk_is_announced(provider: Provider, server: ProviderServer) -> None:
    announced: list[bool] = []

    answered(provider, server, TOOLS, CallControl(on_chunk=lambda: announced.append(True)))

    assert announced


# What it says --------------------------------------------------------------------------------


def test_a_turn_and_the_results_of_its_tools_go_back_to_the_model(
    provider: Provider, server: ProviderServer
) -> None:
    first = asking()
    turn = answered(provider, server, TOOLS)
    results = [
        {"toolResult": {"toolUseId": "call-a", "content": [{"text": "def f"}]}},
        {"toolResult": {"toolUseId": "call-b", "content": [{"text": ""}], "status": "success"}},
        {"toolResult": {"toolUseId": "call-c", "content": [{"text": "e"}], "status": "error"}},
    ]
    conversation = (*first.messages, turn.message, {"role": "user", "content": results})
    server.script(replies([provider.body(Said(text="ok"))], content_type=provider.content_type))

    provider.connect(server.url, FakeClock()).converse(asking(messages=conversation), CallControl())

    sent = server.requests[-1].body.decode()
    assert all(sent.count(f'"{identifier}"') == 2 for identifier in ("call-a", "call-b", "call-c"))
    assert "(no output)" in sent
    assert sent.index("Let me look.") < sent.index("def f")


def test_the_reasoning_of_another_provider_is_left_out(
    provider: Provider, server: ProviderServer
) -> None:
    foreign = {"reasoningContent": {"provider": "another", "block": {"thought": "hidden"}}}
    conversation = (
        *asking().messages,
        {"role": "assistant", "content": [foreign, {"text": "Yes."}]},
        {"role": "user", "content": [{"text": "Go on."}]},
    )
    server.script(replies([provider.body(Said(text="ok"))], content_type=provider.content_type))

    provider.connect(server.url, FakeClock()).converse(asking(messages=conversation), CallControl())

    assert b"hidden" not in server.requests[0].body


def test_each_tier_has_its_model(provider: Provider) -> None:
    model = provider.connect("http://127.0.0.1:1", FakeClock())

    assert model.provider == provider.name
    assert model.model_id(ModelTier.FAST) == "global.anthropic.claude-haiku-5-5"


# Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 402, 403])
def test_refused_credentials_are_for_a_person_to_mend(
    provider: Provider, server: ProviderServer, status: int
) -> None:
    error = refused(provider, server, status, message=f"Incorrect API key: {KEY}")

    assert isinstance(error, ModelAuthError)
    assert "Incorrect API key" in str(error)
    assert provider.name == "bedrock" or KEY not in str(error)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_an_invalid_request_is_permanent(
    provider: Provider, server: ProviderServer, status: int
) -> None:
    error = refused(provider, server, status, message="messages: " + "long " * 500)

    assert isinstance(error, ModelRequestError)
    assert "messages: long" in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_failure_of_the_provider_is_transient(
    provider: Provider, server: ProviderServer, status: int
) -> None:
    assert isinstance(refused(provider, server, status), ModelUnavailableError)


@pytest.mark.parametrize(
    ("status", "retry_after", "wait"),
    [
        (429, "17", 17),
        (429, "0", 1),
        (429, "86400", 900),
        (429, "Sat, 21 Nov 2026 12:02:00 GMT", 120),
        (429, "Sat, 21 Nov 2026 11:00:00 GMT", 1),
        (429, "soon", 30),
        (429, None, 30),
        (529, None, 30),
        (503, "5", 5),
    ],
)
def test_a_throttled_call_says_how_long_to_wait(
    provider: Provider, server: ProviderServer, status: int, retry_after: str | None, wait: int
) -> None:
    headers = {"Retry-After": retry_after} if retry_after else {}

    error = refused(provider, server, status, headers)

    assert isinstance(error, ModelThrottledError)
    assert error.retry_after == timedelta(seconds=wait)


@pytest.mark.parametrize("code", ["insufficient_quota", "enforced_spend_limit_reached"])
def test_a_spent_budget_is_not_waited_for_although_it_comes_as_429(
    provider: Provider, server: ProviderServer, code: str
) -> None:
    assert isinstance(refused(provider, server, 429, code=code), ModelAuthError)


def test_a_redirect_is_not_followed(provider: Provider, server: ProviderServer) -> None:
    with ProviderServer() as elsewhere:
        error = refused(provider, server, 307, {"Location": f"{elsewhere.url}/v1/messages"})

    assert isinstance(error, ModelRequestError)
    assert elsewhere.requests == []


def test_an_error_that_is_not_json_is_quoted(provider: Provider, server: ProviderServer) -> None:
    server.script(replies([b"<html>Bad gateway</html>"], status=502, content_type="text/html"))

    with pytest.raises(ModelUnavailableError, match="502"):
        provider.connect(server.url, FakeClock()).converse(asking(), CallControl())


def test_nothing_is_retried(provider: Provider, server: ProviderServer) -> None:
    refused(provider, server, 500)

    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_transient(provider: Provider) -> None:
    with ProviderServer() as gone:
        url = gone.url

    with pytest.raises(ModelUnavailableError):
        provider.connect(url, FakeClock()).converse(asking(), CallControl())


# Broken streams ------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [Said(text=GREETING), TOOLS], ids=["text", "tools"])
def test_a_stream_that_breaks_is_transient(
    provider: Provider, server: ProviderServer, said: Said
) -> None:
    events = provider.events(said)[:-3]
    server.script(breaks_after(events, content_type=provider.content_type))

    with pytest.raises(ModelUnavailableError):
        provider.connect(server.url, FakeClock()).converse(asking(), CallControl())


def test_a_stream_that_ends_before_the_turn_does_is_transient(
    provider: Provider, server: ProviderServer
) -> None:
    events = provider.events(Said(text=GREETING))[:-3]
    server.script(replies(events, content_type=provider.content_type))

    with pytest.raises(ModelUnavailableError, match="cut off"):
        provider.connect(server.url, FakeClock()).converse(asking(), CallControl())


def test_an_event_that_cannot_be_read_is_transient(
    provider: Provider, server: ProviderServer
) -> None:
    first, *rest = provider.events(Said(text=GREETING))
    server.script(replies([first, provider.garbled, *rest], content_type=provider.content_type))

    with pytest.raises(ModelUnavailableError, match="malformed"):
        provider.connect(server.url, FakeClock()).converse(asking(), CallControl())


# Abort and time ------------------------------------------------------------------------------


def test_an_abort_cuts_a_call_that_waits_for_the_headers(
    provider: Provider, server: ProviderServer
) -> None:
    server.script(hangs_before_the_headers)
    control = CallControl()
    abort_once_asked(server, control)
    model = provider.connect(server.url, FakeClock())

    took = seconds_until_raised(lambda: model.converse(asking(), control), CallAbortedError)

    assert took < 1
    assert server.hung_up.wait(1)


def test_an_abort_cuts_a_call_that_waits_for_the_next_chunk(
    provider: Provider, server: ProviderServer
) -> None:
    events = provider.events(Said(text=GREETING))[:3]
    server.script(hangs_after(events, content_type=provider.content_type))
    control = CallControl()
    # From another thread, once the stream has begun.
    control.on_chunk = lambda: Thread(target=control.abort).start()
    model = provider.connect(server.url, FakeClock())

    took = seconds_until_raised(lambda: model.converse(asking(), control), CallAbortedError)

    assert took < 1
    assert server.hung_up.wait(1)


def test_an_aborted_control_makes_no_call(provider: Provider, server: ProviderServer) -> None:
    control = CallControl()
    control.abort()

    with pytest.raises(CallAbortedError):
        provider.connect(server.url, FakeClock()).converse(asking(), control)

    assert server.requests == []


def test_a_silent_provider_is_left_after_the_stall_timeout(
    provider: Provider, server: ProviderServer
) -> None:
    model = warm(provider, server)
    events = provider.events(Said(text=GREETING))[:3]
    server.script(hangs_after(events, content_type=provider.content_type))
    control = CallControl(stall_timeout=timedelta(milliseconds=300))

    took = seconds_until_raised(lambda: model.converse(asking(), control), ModelUnavailableError)

    assert took < 1
    assert server.hung_up.wait(1)


def test_a_provider_that_drips_is_left_after_the_total_timeout(
    provider: Provider, server: ProviderServer
) -> None:
    model = warm(provider, server)
    body = provider.body(Said(text=GREETING))
    server.script(drips(body, every_seconds=0.01, content_type=provider.content_type))
    control = CallControl(
        stall_timeout=timedelta(seconds=5), total_timeout=timedelta(milliseconds=150)
    )

    took = seconds_until_raised(lambda: model.converse(asking(), control), ModelUnavailableError)

    assert took < 1


def test_an_answer_is_not_held_up_by_a_connection_that_stays_open(
    provider: Provider, server: ProviderServer
) -> None:
    events = provider.events(Said(text=GREETING))
    server.script(hangs_after(events, content_type=provider.content_type))
    started = time.monotonic()

    turn = provider.connect(server.url, FakeClock()).converse(asking(), CallControl())

    assert turn.text == GREETING
    assert time.monotonic() - started < 1
    assert server.hung_up.wait(1)


# Connections ---------------------------------------------------------------------------------


def test_calls_in_a_row_share_a_connection(provider: Provider, server: ProviderServer) -> None:
    model = provider.connect(server.url, FakeClock())
    for _ in range(3):
        server.script(replies([provider.body(Said(text="x"))], content_type=provider.content_type))
        model.converse(asking(), CallControl())

    assert [request.connection for request in server.requests] == [0, 0, 0]


def test_the_call_after_an_abort_has_a_fresh_connection(
    provider: Provider, server: ProviderServer
) -> None:
    model = provider.connect(server.url, FakeClock())
    server.script(hangs_before_the_headers)
    control = CallControl()
    abort_once_asked(server, control)
    with pytest.raises(CallAbortedError):
        model.converse(asking(), control)
    server.script(replies([provider.body(Said(text="x"))], content_type=provider.content_type))

    turn = model.converse(asking(), CallControl())

    assert turn.text == "x"
    assert [request.connection for request in server.requests] == [0, 1]


def test_an_abort_that_comes_late_leaves_the_next_call_alone(
    provider: Provider, server: ProviderServer
) -> None:
    model = provider.connect(server.url, FakeClock())
    server.script(replies([provider.body(Said(text="x"))], content_type=provider.content_type))
    late = CallControl()
    model.converse(asking(), late)
    server.script(replies([provider.body(Said(text="y"))], content_type=provider.content_type))

    turn = model.converse(asking(), CallControl(on_chunk=late.abort))

    assert turn.text == "y"
    assert [request.connection for request in server.requests] == [0, 0]


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    provider: Provider, server: ProviderServer
) -> None:
    clock = FakeClock()
    model = provider.connect(server.url, clock)
    for _ in range(2):
        server.script(replies([provider.body(Said(text="x"))], content_type=provider.content_type))
        model.converse(asking(), CallControl())
        clock.sleep(timedelta(minutes=1))

    assert [request.connection for request in server.requests] == [0, 1]


def test_calls_at_the_same_time_have_connections_of_their_own(
    provider: Provider, server: ProviderServer
) -> None:
    model = provider.connect(server.url, FakeClock())
    server.script(
        hangs_before_the_headers,
        replies([provider.body(Said(text="x"))], content_type=provider.content_type),
    )
    control = CallControl()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(model.converse, asking(), control)
        assert server.asked.wait(5)

        assert model.converse(asking(), CallControl()).text == "x"

        control.abort()
        assert isinstance(waiting.exception(5), CallAbortedError)
