"""Let local functions call the real Bedrock without ever holding the user's AWS credentials.

Everything else that the functions call is the embedded cloud, with its made-up credentials. Their
Bedrock client is pointed here instead (`AWS_ENDPOINT_URL_BEDROCK_RUNTIME`, an address with a
one-run secret in it); the request is signed again with the user's credentials and sent on, and the
answer streams back as it comes.
"""

import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import botocore.session
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from local.errors import LocalRunError
from local.ports import HOST

SERVICE = "bedrock"
FORWARDED = ("content-type", "accept")
RETURNED = ("content-type", "x-amzn-requestid", "x-amzn-errortype")
CHUNK_BYTES = 16 * 1024
NO_CREDENTIALS = (
    "AWS credentials were asked for, but none could be loaded{why}. "
    "Next: `aws sts get-caller-identity` must work, or choose NIGHTDESK_MODEL_PROVIDER=offline."
)


class BedrockGateway:
    """A running signer; `url` is for the functions only."""

    def __init__(
        self,
        session: botocore.session.Session,
        *,
        region: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        """Start it, with the user's own session; its region is used when none is given.

        Raises:
            LocalRunError: there are no credentials or no region.
        """
        try:
            region = region or session.get_config_variable("region")
            credentials = session.get_credentials() if region else None
        except BotoCoreError as error:
            raise LocalRunError(NO_CREDENTIALS.format(why=f": {error}")) from error
        if not region:
            raise LocalRunError("No AWS region is set. Next: set AWS_REGION to one with Bedrock.")
        if credentials is None:
            raise LocalRunError(NO_CREDENTIALS.format(why=""))
        self.region = str(region)
        self._secret = secrets.token_urlsafe(24)
        attributes = {
            "credentials": credentials,
            "region": self.region,
            "endpoint": endpoint or f"https://bedrock-runtime.{region}.amazonaws.com",
            "prefix": f"/{self._secret}/",
            "pool": urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10, 300)),
        }
        handler = type("Sign", (_Sign,), attributes)
        self._server = ThreadingHTTPServer((HOST, 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_port}/{self._secret}"
        threading.Thread(target=self._server.serve_forever, name="bedrock", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Sign(BaseHTTPRequestHandler):
    credentials: botocore.credentials.Credentials
    region: str
    endpoint: str
    prefix: str
    pool: urllib3.PoolManager

    def do_POST(self) -> None:
        """Sign and forward; an unknown address is answered like any other."""
        if not self.path.startswith(self.prefix):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        request = AWSRequest(
            method="POST",
            url=f"{self.endpoint}/{self.path.removeprefix(self.prefix)}",
            data=body,
            headers={name: self.headers[name] for name in FORWARDED if name in self.headers},
        )
        SigV4Auth(self.credentials, SERVICE, self.region).add_auth(request)
        try:
            answer = self.pool.request(
                "POST",
                request.url,
                body=body,
                headers=dict(request.headers.items()),
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError:
            self.send_error(503)
            return
        self.send_response(answer.status)
        for name in RETURNED:
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.end_headers()
        for chunk in answer.stream(CHUNK_BYTES):
            self.wfile.write(chunk)
        answer.release_conn()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
        """Say nothing: addresses here contain the secret."""
