"""Known forms of secrets. A last net only: a secret must be out of the model's reach anyway."""

import re

#: What a secret becomes. Plain words, so that no Markdown and no other rule touches them.
REMOVED = "(secret removed)"

_PATTERNS = (
    # GitHub: all prefixes, and since April 2026 `ghs_<app>_<jwt>` of some 520 characters.
    r"gh[pousr]_[A-Za-z0-9._-]{20,}",
    r"github_pat_[A-Za-z0-9_]{20,}",
    # Our own API keys: nd_<id>_<secret>.
    r"\bnd_[A-Za-z0-9]{4,}_[A-Za-z0-9_-]{16,}",
    # Model providers.
    r"\bsk-[A-Za-z0-9_-]{20,}",
    r"\bAIza[A-Za-z0-9_-]{35}",
    # AWS: access key ids, and secret keys where a name gives them away.
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    r"(?i:aws_?(?:secret_?(?:access_?)?key|session_?token))[\"'\s:=]{1,5}[A-Za-z0-9/+=]{30,}",
    # Others that are found in repositories.
    r"\bxox[a-z]-[A-Za-z0-9-]{10,}",
    r"https://hooks\.slack\.com/services/[A-Za-z0-9/_-]{20,}",
    r"\bglpat-[A-Za-z0-9_-]{20,}",
    r"\bnpm_[A-Za-z0-9]{30,}",
    r"\bpypi-[A-Za-z0-9_-]{30,}",
    r"\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}",
    r"\beyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{5,}",
    r"(?i:\bbearer)\s+[A-Za-z0-9._~+/-]{20,}=*",
    # A private key, also one that was cut off; its header lines; its end, if there is one.
    (
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:\s*[A-Za-z-]{1,40}: [^\n]{0,200}\n){0,5}"
        r"[A-Za-z0-9+/=\s]{0,8000}(?:-----END [A-Z ]{0,40}KEY-----)?"
    ),
)
_SECRET = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))


def without_secrets(text: str, known: tuple[str, ...] = ()) -> str:
    """The text with secrets replaced: the known ones exactly, others by their form."""
    for secret in known:
        if secret:
            text = text.replace(secret, REMOVED)
    return _SECRET.sub(REMOVED, text)
