"""What a published text may contain."""

from dataclasses import dataclass
from enum import StrEnum

#: Hosts whose pages may be linked. Anything else is shown as code, so that nobody lands on it by a
#: click. Each is the documentation of something that many projects use.
DOCUMENTATION_HOSTS = frozenset(
    {
        "developer.mozilla.org",
        "doc.rust-lang.org",
        "docs.aws.amazon.com",
        "docs.djangoproject.com",
        "docs.github.com",
        "docs.python.org",
        "docs.rs",
        "en.wikipedia.org",
        "fastapi.tiangolo.com",
        "flask.palletsprojects.com",
        "github.com",
        "go.dev",
        "kubernetes.io",
        "learn.microsoft.com",
        "nodejs.org",
        "peps.python.org",
        "react.dev",
        "www.postgresql.org",
        "www.rfc-editor.org",
        "www.typescriptlang.org",
    },
)
#: What starts us when a person writes it at the beginning of a line.
TRIGGER_PHRASES = ("@nightdesk", "/nightdesk", "nightdesk:")


class Kind(StrEnum):
    """MARKDOWN is a body; TITLE one line that GitHub renders a little; LABEL one bare name."""

    MARKDOWN = "markdown"
    TITLE = "title"
    LABEL = "label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`allowed_mentions` are logins without the `@`; `known_secrets` are removed to the letter."""

    kind: Kind = Kind.MARKDOWN
    max_characters: int = 65_536
    allowed_hosts: frozenset[str] = DOCUMENTATION_HOSTS
    allowed_mentions: frozenset[str] = frozenset()
    trigger_phrases: tuple[str, ...] = TRIGGER_PHRASES
    known_secrets: tuple[str, ...] = ()
