"""Start the embedded cloud (MiniStack) on loopback, in memory, away from the user's settings."""

import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.children import Child, Children
from local.errors import LocalRunError
from local.ports import HOST, free_port

REGION = "eu-west-1"
ACCOUNT = "000000000000"
READY_SECONDS = 60.0
#: What functions may inherit of the user's environment: the way to the network, nothing secret.
INHERITED = (
    "PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """A running cloud and how to reach it."""

    endpoint: str
    secret: str = field(repr=False)
    child: Child

    def credentials(self) -> dict[str, str]:
        """Settings of an AWS client that reach this cloud and nothing else."""
        return {
            "endpoint_url": self.endpoint,
            "region_name": REGION,
            "aws_access_key_id": ACCOUNT,
            "aws_secret_access_key": self.secret,
        }


def start_cloud(
    children: Children, *, root: Path, folder: Path, extra: Mapping[str, str] | None = None
) -> Cloud:
    """Start MiniStack from `<root>/.venv-cloud`, its temporary files in `folder`.

    Functions inherit its environment, so it gets a short list of the user's and `extra`.

    Raises:
        LocalRunError: it is not installed or does not come up.
    """
    python = root / ".venv-cloud" / "bin" / "python"
    if not python.exists():
        raise LocalRunError("The embedded cloud is not installed. Next: start with `make run`.")
    port, secret = free_port(), secrets.token_hex(20)
    environment = inherited_environment()
    environment |= {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "NO_PROXY": f"{HOST},localhost",
        "no_proxy": f"{HOST},localhost",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(folder / "s3"),
        "STATE_DIR": str(folder / "state"),
        "LOG_LEVEL": "INFO",
        # Policies are enforced here as on AWS: each function acts with its own role.
        "AUTH": "true",
        "AWS_SECRET_ACCESS_KEY": secret,
        "PYTHONUNBUFFERED": "1",
    } | dict(extra or {})
    child = children.start(
        "cloud",
        [str(python), "-m", "hypercorn", "ministack.app:app", "--bind", f"{HOST}:{port}"],
        environment=environment | {"PYTHONPATH": str(root)},
        cwd=root,
    )
    endpoint = f"http://{HOST}:{port}"
    child.wait_until(lambda: answers(f"{endpoint}/_ministack/health"), within_seconds=READY_SECONDS)
    return Cloud(endpoint=endpoint, secret=secret, child=child)


def inherited_environment() -> dict[str, str]:
    """What of the user's environment our children may see."""
    everything = os.environ  # noqa: TID251 - not our settings: the user's
    return {name: value for name, value in everything.items() if name in INHERITED}


def answers(url: str) -> bool:
    """Whether an HTTP server answers there with success."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 -- HTTP's own number
    except (urllib.error.URLError, OSError):
        return False
