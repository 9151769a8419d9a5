"""A receiver of Nightdesk's callbacks: it verifies who sends them, and takes each but once.

    NIGHTDESK_CALLBACK_SECRET=whsec_… python examples/callback_receiver.py 9000

It needs Python's standard library only. The signature is that of the Standard Webhooks
specification, so that any of its libraries does the same as `verified`.
"""

import base64
import binascii
import hmac
import json
import os
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: A callback that is older, or newer, was recorded by somebody and is sent again.
TOLERANCE_SECONDS = 300
BODY_MAX = 1_000_000


class WrongSignatureError(Exception):
    """It was not Nightdesk that sent this, or not now."""


def verified(headers: Mapping[str, str], body: bytes, secret: str, *, now: float) -> str:
    """The callback's id, the same for each repetition, if the callback is genuine.

    `body` is what came, byte by byte, before anything has parsed it. `now` is in seconds since
    1970.

    Raises:
        WrongSignatureError: it is not.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        callback_id = found["webhook-id"]
        timestamp = found["webhook-timestamp"]
        signatures = found["webhook-signature"].split(" ")
        age = abs(now - int(timestamp))
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (KeyError, ValueError, binascii.Error) as error:
        raise WrongSignatureError("a header is missing or malformed") from error
    if age > TOLERANCE_SECONDS:
        raise WrongSignatureError("it is too old or too new")
    content = f"{callback_id}.{timestamp}.".encode() + body
    expected = f"v1,{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}"
    # Two signatures while a secret is replaced; either will do.
    if not any(hmac.compare_digest(expected.encode(), given.encode()) for given in signatures):
        raise WrongSignatureError("the signature is not ours")
    return callback_id


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what it takes, 401 to what is not genuine. Callbacks come at least once."""

    secret = ""
    seen: set[str] = set()  # noqa: RUF012 - of the process; a real receiver asks its database

    def do_POST(self) -> None:  # the name that http.server looks for
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), BODY_MAX))
        try:
            callback_id = verified(dict(self.headers), body, self.secret, now=time.time())
        except WrongSignatureError:
            self.send_response(401)
            self.end_headers()
            return
        if callback_id not in self.seen:
            self.seen.add(callback_id)
            self.take(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def take(self, callback: object) -> None:
        """What is to be done with a callback that has not come before."""
        print(json.dumps(callback, indent=2))


if __name__ == "__main__":
    Receiver.secret = os.environ["NIGHTDESK_CALLBACK_SECRET"]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
