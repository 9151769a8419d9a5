"""Post JSON to a provider and receive its answer as server-sent events."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

import requests

from nightdesk.adapters.models.failures import (
    code_and_message,
    error_in_body,
    failure_of,
    shortened,
)
from nightdesk.adapters.models.live_call import LiveCall
from nightdesk.adapters.models.sse import ServerSentEvent, SseParser
from nightdesk.adapters.models.wire import Wire, WirePool, body_chunks
from nightdesk.domain.errors import NightdeskError
from nightdesk.domain.model import CallControl, ModelAuthError
from nightdesk.domain.ports import Clock

_LONGEST_ERROR_BYTES = 65_536
#: The caller leaves at its own stall timeout; this only ends a thread that nobody waits for.
_AFTER_STALL = timedelta(seconds=5)


class SseClient:
    """One provider's endpoint. `secret` is the key, to be kept out of every error."""

    def __init__(self, url: str, *, clock: Clock, secret: str) -> None:
        self._url = url
        self._clock = clock
        self._secret = secret
        self._wires = WirePool(clock)

    def post(
        self,
        payload: Mapping[str, Any],
        *,
        headers: Mapping[str, str],
        control: CallControl,
        receive: Callable[[ServerSentEvent], bool],
    ) -> None:
        """Send the payload and hand each event to `receive`, until it says that the answer is
        complete or the stream ends.

        Raises:
            The errors of `Model.converse`, and whatever `receive` raises.
        """
        request = self._prepared(payload, headers)
        wire = self._wires.take()
        source = partial(self._chunks, wire, request, control.stall_timeout + _AFTER_STALL)
        call = LiveCall(source, control=control, cut=wire.cut)
        parser = SseParser()
        try:
            with closing(iter(call)) as chunks:
                for chunk in chunks:
                    for event in parser.feed(chunk):
                        if receive(event):
                            call.expect_end()
        finally:
            self._wires.give_back(wire, reusable=call.ended_well)

    def _prepared(
        self, payload: Mapping[str, Any], headers: Mapping[str, str]
    ) -> requests.PreparedRequest:
        if not (self._secret.isascii() and self._secret.isprintable()):
            # `requests` would quote the key in its own error.
            raise ModelAuthError("the API key has characters that no key can have")
        body = json.dumps(payload, ensure_ascii=False).encode("utf-8", errors="replace")
        # Compression would hold chunks back, and there is nothing to gain on short events.
        fixed = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "User-Agent": "nightdesk",
        }
        return requests.Request(
            "POST", self._url, headers={**fixed, **headers}, data=body
        ).prepare()

    def _chunks(
        self, wire: Wire, request: requests.PreparedRequest, read_timeout: timedelta
    ) -> Iterator[bytes]:
        with closing(wire.send(request, read_timeout=read_timeout)) as response:
            if response.status_code != HTTPStatus.OK:
                raise self._failure(response)
            yield from body_chunks(response)

    def _failure(self, response: requests.Response) -> NightdeskError:
        body = b""
        for chunk in body_chunks(response):
            body += chunk
            if len(body) >= _LONGEST_ERROR_BYTES:
                break
        code, message = code_and_message(error_in_body(body))
        return failure_of(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            code=shortened(code, secret=self._secret),
            message=shortened(message, secret=self._secret),
            now=self._clock.now(),
        )
