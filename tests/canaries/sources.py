"""Every place where a secret is: one line each.

A new secret of Nightdesk belongs here; what the flows make themselves (API keys, tokens of the
App) is added when it is made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.canaries.forms import random_text

_KEY = generate_private_key(public_exponent=65537, key_size=2048)
APP_KEY = _KEY.private_bytes(
    Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
).decode()
APP_PUBLIC_KEY = (
    _KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
)


def _drawn(name: str, prefix: str = "", length: int = 40) -> str:
    return prefix + random_text(name, length)


@dataclass(frozen=True)
class Parameter:
    """A secret in SSM, and the setting that holds its name."""

    setting: str
    name: str
    value: str


PARAMETERS = (
    Parameter("GITHUB_READ_TOKEN_PARAMETER", "/canary/read", _drawn("read", "github_pat_11", 80)),
    Parameter("GITHUB_WRITE_TOKEN_PARAMETER", "/canary/write", _drawn("write", "ghp_W", 35)),
    Parameter("GITHUB_APP_PRIVATE_KEY_PARAMETER", "/canary/app", APP_KEY),
    Parameter("GITHUB_WEBHOOK_SECRET_PARAMETER", "/canary/hook", _drawn("hook")),
    Parameter("GITHUB_WEBHOOK_SECRET_PREVIOUS_PARAMETER", "/canary/old-hook", _drawn("old hook")),
    Parameter("CALLBACK_KEY_PARAMETER", "/canary/callbacks", _drawn("callbacks")),
    Parameter("MODEL_API_KEY_PARAMETER", "/canary/model", _drawn("model", "sk-", 48)),
)
#: Of the processes: what Lambda itself puts there, and what people leave there.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": _drawn("access key", "ASIA", 16).upper(),
    "AWS_SECRET_ACCESS_KEY": _drawn("secret access key"),
    "AWS_SESSION_TOKEN": _drawn("session token", "IQoJ", 300),
    "GITHUB_TOKEN": _drawn("a token in the environment", "ghp_E", 35),
    "ANTHROPIC_API_KEY": _drawn("a model's key in the environment", "sk-ant-", 60),
    "SOME_PASSWORD": _drawn("a password in the environment"),
}
#: Below HOME, and one file that is nowhere near.
FILES: dict[str, Callable[[str], str]] = {
    ".netrc": lambda secret: (
        f"machine api.github.com login x password {secret}\n"
        f"machine 127.0.0.1 login x password {secret}\ndefault login x password {secret}\n"
    ),
    ".aws/credentials": lambda secret: f"[default]\naws_secret_access_key = {secret}\n",
    ".config/gh/hosts.yml": lambda secret: f"github.com:\n  oauth_token: {secret}\n",
    ".git-credentials": lambda secret: f"https://x:{secret}@github.com\n",
    "outside.txt": lambda secret: f"{secret}\n",
}


def plant_files(home: Path) -> dict[str, str]:
    """Write them; answers what is secret in each."""
    planted = {}
    for name, content in FILES.items():
        planted[name] = _drawn(f"file {name}")
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content(planted[name]))
    return planted
