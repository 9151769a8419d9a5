"""Plain text within a document: which parts of it must not mean anything to GitHub or a bot.

They are put into code spans, where GitHub looks for no mention, reference, link or command.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from nightdesk.domain.sanitiser.policy import Policy
from nightdesk.domain.sanitiser.secret_patterns import without_secrets
from nightdesk.domain.untrusted_text import has_hidden_characters

# The whole sequence, so that no `[31m` stays when its first character is taken out.
_TERMINAL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
_LINE_SEPARATORS = str.maketrans({"\u2028": " ", "\u2029": " ", "\u0085": " "})

# An address ends where GitHub's autolinks end, more or less; what is cut off is plain text again.
_ADDRESS = r"(?:[A-Za-z][A-Za-z0-9+.-]{0,30}://|[Ww]{3}\.|(?:[Mm][Aa][Ii][Ll][Tt][Oo]|[Xx][Mm][Pp][Pp]):)[^\s<>`]+"
_EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+"
_MENTION = r"[A-Za-z0-9._/-]*@[A-Za-z0-9_./-]*"
_REFERENCE = r"[A-Za-z0-9_./-]*#[0-9]+|(?<![A-Za-z0-9])(?i:GH-[0-9]+)"
_SPECIAL = re.compile(
    f"(?P<address>{_ADDRESS})|(?P<email>{_EMAIL})|(?P<mention>{_MENTION})"
    f"|(?P<reference>{_REFERENCE})"
)
# What no special thing can do without; a word that has none of it is not looked at further.
_SUSPICIOUS = re.compile(r"[@#:]|www\.|gh-", re.IGNORECASE)
_WORD = re.compile(r"[^\s`<>]+")
#: A longer word is taken as a whole: the search within a word takes the square of its length.
_LONGEST_WORD = 300
_COMMAND = re.compile(r"/[A-Za-z][\w-]*")
_TRAILING = re.compile(r"[?!.,:;*_~'\")\]}]+$")
#: Pages that GitHub links back to when they are mentioned anywhere.
_REFERENCE_PAGE = re.compile(r"/[^/]+/[^/]+/(?:issues|pull|pulls|discussions|commit)(?:/|$)")
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#@!$&+,;=%]+")
_MAX_ADDRESS = 300


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of text: as it is, as code, or as a link to itself."""

    text: str
    form: str = "text"


def visible(text: str, policy: Policy) -> str:
    """Without what nobody sees, and without secrets."""
    text = _TERMINAL_SEQUENCE.sub("", text).translate(_LINE_SEPARATORS)
    if has_hidden_characters(text):
        text = "".join(c for c in text if not has_hidden_characters(c))
    return without_secrets(text, policy.known_secrets)


def parts_of(text: str, policy: Policy, *, at_line_start: bool) -> Iterator[Part]:
    """Split plain text (one line, no markup) into harmless parts, in order."""
    position = 0
    if at_line_start and (command := _command_at_start(text, policy)):
        position = len(command)
        yield Part(command, "code")
    for word in _WORD.finditer(text, position):
        if not _SUSPICIOUS.search(word.group()):
            continue
        if len(word.group()) > _LONGEST_WORD:
            yield Part(text[position : word.start()])
            yield Part(word.group(), "code")
            position = word.end()
            continue
        for match in _SPECIAL.finditer(text, word.start(), word.end()):
            part = _part_of(match, policy)
            yield Part(text[position : match.start()])
            yield part
            position = match.start() + len(part.text)
    yield Part(text[position:])


def _part_of(match: re.Match[str], policy: Policy) -> Part:
    found = match.group()
    if match.lastgroup == "address":
        return _address_part(found, policy)
    if match.lastgroup == "mention":
        login = found.removeprefix("@").rstrip("._/-")
        allowed = {name.lower() for name in policy.allowed_mentions}
        if found.startswith("@") and login.lower() in allowed:
            return Part("@" + login)
    return Part(found, "code")


def _address_part(found: str, policy: Policy) -> Part:
    address = _TRAILING.sub("", found) or found
    return Part(address, "link" if is_allowed_link(address, policy) else "code")


def _command_at_start(text: str, policy: Policy) -> str:
    """A slash command, or our own trigger phrase: many bots read the raw lines of a comment."""
    for phrase in policy.trigger_phrases:
        if text[: len(phrase)].lower() == phrase.lower():
            return text[: len(phrase)]
    match = _COMMAND.match(text)
    return match.group() if match else ""


def is_command(line: str, policy: Policy) -> bool:
    """Whether a raw line would be read as a command: alone, or followed by a space."""
    command = _command_at_start(line, policy)
    return bool(command) and line[len(command) : len(command) + 1] in {"", " ", "\t", ":", ","}


def is_allowed_link(address: str, policy: Policy) -> bool:
    """https, a host of the list, nothing else before the path, no page that links back."""
    if not _URL_CHARACTERS.fullmatch(address) or len(address) > _MAX_ADDRESS:
        return False
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or port is not None or "@" in parts.netloc:
        return False
    host = parts.netloc.lower()
    if host not in policy.allowed_hosts:
        return False
    return host != "github.com" or not _REFERENCE_PAGE.search(parts.path.lower())
