"""One HTTP conversation with GitHub's REST API: headers, timeouts, limits, redirects, errors.

A call is one try: nothing is repeated here, because only the caller knows what a repetition does.
The token is given with each call and appears in no error, repr or log.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from nightdesk.domain.errors import (
    ErrorCode,
    PermanentError,
    TryLaterError,
    UnavailableError,
)
from nightdesk.domain.github_ports import (
    GithubCredentialsError,
    GithubNotFoundError,
    GithubRefusedError,
)
from nightdesk.domain.ports import Clock
from nightdesk.domain.sanitiser.repetition import repeats

#: Pinned, so that GitHub's newer versions change nothing here until somebody has looked.
API_VERSION = "2022-11-28"
USER_AGENT = "nightdesk"
CONNECT_TIMEOUT_SECONDS = 3.05
#: GitHub ends a request itself after 10 s: what we gave up on has ended when we look for it again.
#: (Between two pieces of an answer; `DEADLINE` is for all of it.)
READ_TIMEOUT_SECONDS = 10.0
DEADLINE = timedelta(seconds=20)
DOWNLOAD_DEADLINE = timedelta(minutes=5)
MAX_ANSWER_BYTES = 16 * 1024 * 1024
#: Kept open at most; the poller has as many threads.
CONNECTIONS = 32
_MAX_REDIRECTS = 3
_CHUNK_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 307, 308})
#: GitHub's advice where a limit gives no time of its own.
_WAIT_WITHOUT_ADVICE = timedelta(seconds=60)
_MAX_WAIT = timedelta(hours=2)
_MESSAGE_CHARACTERS = 200
_MESSAGE_READ = 2_000


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds; tests shorten them."""

    connect: float = CONNECT_TIMEOUT_SECONDS
    read: float = READ_TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of 2xx or 304. `moved`: it came from another path than was asked for."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Any = None
    moved: bool = False

    @property
    def has_next_page(self) -> bool:
        return 'rel="next"' in self.headers.get("Link", "")


class _Bearer(requests.auth.AuthBase):
    """Sets the header itself: without an `auth`, requests would look into a .netrc file."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class GithubClient:
    """GitHub's REST API at `api_url` (https://api.github.com, or an Enterprise Server's)."""

    def __init__(
        self,
        *,
        api_url: str,
        clock: Clock,
        timeouts: Timeouts | None = None,
        renewed: Callable[[str], str] | None = None,
    ) -> None:
        """`renewed` answers another token for one that GitHub refused, "" when it has none."""
        self._renewed = renewed
        self._api_url = api_url.rstrip("/")
        self._origin = _origin(urlsplit(self._api_url))
        self._clock = clock
        self._timeouts = timeouts or Timeouts()
        # One session for all threads: its connections are shared, and it keeps no cookies, which
        # are the one thing that a request would change in it.
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._session.headers.update(
            {
                "Accept": "application/vnd.github+json",
                "User-Agent": USER_AGENT,
                "X-GitHub-Api-Version": API_VERSION,
            },
        )

    def get(
        self,
        path: str,
        *,
        token: str,
        query: Mapping[str, str] | None = None,
        etag: str = "",
        follow: bool = True,
    ) -> Answer:
        """Read. Redirects (renamed repositories) are followed on GitHub's own host only.

        Raises:
            GithubNotFoundError, GithubRefusedError, GithubCredentialsError, PermanentError,
            TryLaterError, UnavailableError: see `domain.github_ports`. With `follow=False` a
            redirect is a GithubNotFoundError: what was asked for is elsewhere now.
        """
        headers = {"If-None-Match": etag} if etag else {}
        url, moved = self._url(path), False
        for _ in range(_MAX_REDIRECTS + 1):
            with self._send("GET", url, token, headers=headers, query=query) as response:
                if response.status_code not in _REDIRECTS:
                    return self._answer(response, moved=moved)
                url, query, moved = self._redirected(response, url), None, True
            if not follow:
                raise GithubNotFoundError(f"GitHub: GET {path}: it has moved")
            if _origin(urlsplit(url)) != self._origin:
                raise PermanentError(f"GitHub: GET {path}: redirected to another host")
        raise PermanentError(f"GitHub: GET {path}: redirected too often")

    def post(self, path: str, *, token: str, body: Mapping[str, Any]) -> Answer:
        """Write, once. Redirects are not followed.

        Raises:
            As `get`. After an UnavailableError nobody knows whether it was written.
        """
        return self._write("POST", path, token, body)

    def patch(self, path: str, *, token: str, body: Mapping[str, Any]) -> Answer:
        """Change, once. As `post`."""
        return self._write("PATCH", path, token, body)

    def _write(self, method: str, path: str, token: str, body: Mapping[str, Any]) -> Answer:
        with self._send(method, self._url(path), token, body=body) as response:
            if response.status_code in _REDIRECTS:
                raise GithubNotFoundError(f"GitHub: {method} {path}: it has moved")
            return self._answer(response, moved=False)

    @contextmanager
    def download(self, path: str, *, token: str, max_bytes: int) -> Iterator[Iterator[bytes]]:
        """Stream a file in chunks; the token goes to GitHub's API alone, not where it redirects.

        Raises:
            As `get`; while reading, UnavailableError when it is cut or too slow, PermanentError
            when it is larger than `max_bytes`.
        """
        url, sent = self._url(path), token
        for _ in range(_MAX_REDIRECTS + 1):
            with self._send("GET", url, sent, headers={"Accept": "*/*"}) as response:
                if response.status_code not in _REDIRECTS:
                    self._raise_for_status(response)
                    yield self._chunks(response, max_bytes)
                    return
                url = self._redirected(response, url)
            if urlsplit(url).scheme != "https" and not self._origin.startswith("http:"):
                raise PermanentError(f"GitHub: GET {path}: redirected to an insecure address")
            sent = token if _origin(urlsplit(url)) == self._origin else ""
        raise PermanentError(f"GitHub: GET {path}: redirected too often")

    # ------------------------------------------------------------------------------------------

    def _url(self, path: str) -> str:
        if not path.startswith("/"):
            raise ValueError(f"a path begins with a slash: {path}")
        return self._api_url + path

    @contextmanager
    def _send(
        self,
        method: str,
        url: str,
        token: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Iterator[requests.Response]:
        request = requests.Request(method, url, headers=headers, params=query, json=body)
        response = self._sent(request, token)
        if response.status_code == 401 and token and self._renewed:  # noqa: PLR2004 - HTTP's own
            # Refused before anything was done, so once more does no harm, whatever it is.
            with response:
                fresh = self._renewed(token)
            if fresh:
                response = self._sent(request, fresh)
        try:
            yield response
        finally:
            response.close()

    def _sent(self, request: requests.Request, token: str) -> requests.Response:
        what = f"GitHub: {request.method} {urlsplit(request.url).path}"
        try:
            return self._session.request(
                request.method,
                request.url,
                params=request.params,
                json=request.json,
                headers=request.headers,
                auth=_Bearer(token),
                timeout=(self._timeouts.connect, self._timeouts.read),
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            # The error's own text may hold the whole request: its name has to do.
            raise UnavailableError(f"{what}: {type(error).__name__}") from None

    def _redirected(self, response: requests.Response, url: str) -> str:
        location = response.headers.get("Location", "")
        if not location:
            raise UnavailableError(f"{_what(response)}: a redirect without an address")
        return urljoin(url, location)

    def _answer(self, response: requests.Response, *, moved: bool) -> Answer:
        self._raise_for_status(response)
        if response.status_code in {204, 304}:
            return Answer(status=response.status_code, headers=response.headers, moved=moved)
        body = self._body(response)
        try:
            data = json.loads(body)
        except ValueError:
            raise UnavailableError(f"{_what(response)}: the answer is not JSON") from None
        return Answer(status=response.status_code, headers=response.headers, data=data, moved=moved)

    def _body(self, response: requests.Response) -> bytes:
        deadline = self._clock.now() + DEADLINE
        return b"".join(self._pieces(response, MAX_ANSWER_BYTES, deadline))

    def _chunks(self, response: requests.Response, max_bytes: int) -> Iterator[bytes]:
        return self._pieces(response, max_bytes, self._clock.now() + DOWNLOAD_DEADLINE)

    def _pieces(
        self, response: requests.Response, max_bytes: int, deadline: datetime
    ) -> Iterator[bytes]:
        what, received = _what(response), 0
        try:
            for piece in response.iter_content(_CHUNK_BYTES):
                received += len(piece)
                if received > max_bytes:
                    message = f"{what}: the answer is larger than {max_bytes / 1e6:g} MB"
                    raise PermanentError(message, ErrorCode.REPOSITORY_UNREACHABLE)
                if self._clock.now() > deadline:
                    raise UnavailableError(f"{what}: the answer takes too long")
                yield piece
        except requests.RequestException as error:
            raise UnavailableError(f"{what}: {type(error).__name__}") from None

    def _raise_for_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status < 300 or status == 304:  # noqa: PLR2004 - HTTP's own numbers
            return
        said, advice = self._message(response)
        what = f"{_what(response)}: {status} {said}".rstrip()
        if status in {403, 429}:
            wait = self._wait(response, limited=status == 429 or "rate-limit" in advice)  # noqa: PLR2004
            if wait is not None:
                raise TryLaterError(what, retry_after=wait)
        match status:
            case 401:
                raise GithubCredentialsError(what)
            case 403:
                raise PermanentError(what, ErrorCode.REPOSITORY_UNREACHABLE)
            case 404 | 410 | 451:
                raise GithubNotFoundError(what)
            case 422:
                raise GithubRefusedError(what)
            case 408 | 425:
                raise UnavailableError(what)
            case _ if status >= 500:  # noqa: PLR2004
                raise UnavailableError(what)
            case _:
                raise PermanentError(what)

    def _message(self, response: requests.Response) -> tuple[str, str]:
        """GitHub's message for people, and the address of its documentation.

        The address is the only sign by which a secondary limit without `Retry-After` can be told
        from a missing permission.
        """
        try:
            data = json.loads(self._body(response))
        except (ValueError, UnavailableError, PermanentError):
            return "", ""
        if not isinstance(data, dict):
            return "", ""
        said = " ".join(str(data.get("message", ""))[:_MESSAGE_READ].split())
        sent = str(response.request.headers.get("Authorization", ""))
        if repeats(said, sent.removeprefix("Bearer ")):
            said = "(the answer repeats the credential)"
        return said[:_MESSAGE_CHARACTERS], str(data.get("documentation_url", ""))

    def _wait(self, response: requests.Response, *, limited: bool) -> timedelta | None:
        """How long a limit wants us to wait; None when the answer is no limit at all."""
        retry_after = response.headers.get("Retry-After", "")
        if retry_after.isdecimal():
            return min(timedelta(seconds=int(retry_after)), _MAX_WAIT)
        reset = response.headers.get("X-RateLimit-Reset", "")
        if response.headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
            wait = datetime.fromtimestamp(int(reset), UTC) - self._clock.now()
            return min(max(wait, timedelta(seconds=1)), _MAX_WAIT)
        return _WAIT_WITHOUT_ADVICE if limited or retry_after else None


def _what(response: requests.Response) -> str:
    return f"GitHub: {response.request.method} {urlsplit(response.request.url or '').path}"


def _origin(address: SplitResult | Any) -> str:
    return f"{address.scheme}://{address.netloc}".lower()
