"""The words of code and of prose, made comparable: identifiers split, endings taken off."""

import re

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
MIN_LETTERS = 3
_MAX_LETTERS = 40

# English, and the words that issue forms put into every issue.
STOP_WORDS = frozenset(
    """
    a about above actual actually add added adding after again all allow allows already also
    although always am an and another any anyone anything appears are aren around as ask at
    available be because been before behavior behaviour being below best better between both bug
    but by call called calling can cannot case cases cause caused causes causing change changed
    changes check checked code come comes could couldn couple current currently describe
    description did didn different do does doesn doing don done down due during each easy either
    else enough environment etc even ever every everything exactly example examples expect
    expected expects explain fact fail failed failing fails fault feature few find fine first fix
    fixed fixes following follows for found from further get gets getting give given gives go goes
    going good got had handle happen happened happening happens has hasn have haven having he
    hello help hence her here hi his how however hope if in info information inside instead into
    introduced is isn issue issues it its itself just keep kind know last later latest least let
    like likely line lines linux little ll long look looking looks lot made main make makes making
    many may maybe me mean means might minimal more most much must my need needed needs never new
    next no non none nor not note nothing notice now number obvious occur occurs of off often ok
    okay old on once one ones only or original other others otherwise our out output over own part
    patch perhaps place please possible possibly pr probably problem problems proper properly
    provide provided pull put quite rather re really reason recent related release repo report
    reported reproduce reproducible reproduction request requires result results right run running
    runs same saw say says screenshot see seem seems seen self set should shouldn show shown shows
    similar simple simply since so some someone something soon sorry still steps such sure take
    taken takes tell test tests text than thank thanks that the their them then there therefore
    these they thing things think this those though three through thus time to together too took
    tried tries true trying turn two type under unexpected unless until up upon us use used useful
    user users uses using usually ve version versions very via want wanted wants was wasn way we
    well went were what whatever when where whether which while who whole whose why will with
    within without won work worked working works would wouldn wrong yes yet you your author cve
    backport backported upstream commit cherry picked signed co authored applied origin forwarded
    bug debian closes url http https www com org github gitlab
    """.split()  # noqa: SIM905 - a word list reads best as one
)


_LETTERS_AND_DIGITS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_OTHERS_TO_SPACES = bytes(byte if byte in _LETTERS_AND_DIGITS else 0x20 for byte in range(256))


def identifiers_of(text: str) -> list[str]:
    """Every run of ASCII letters, digits and underscores, in order; numbers come along.

    Half again as fast as a regular expression, and most of a search's time goes here.
    """
    return text.encode(errors="replace").translate(_OTHERS_TO_SPACES).decode("ascii").split()


def parts_of(identifier: str) -> list[str]:
    """The words in an identifier as they stand: `getHTTPUrl_v2` is get, HTTP, Url, v, 2."""
    return _PART.findall(identifier)


def term_of(part: str) -> str:
    """The stem of a word, lower case; "" where it is a number, or too short to mean something."""
    if part.isdigit() or not MIN_LETTERS <= len(part) <= _MAX_LETTERS:
        return ""
    return stem(part.lower())


def stem(word: str) -> str:
    """The word without the commonest English endings, so that cached, caches and caching meet."""
    for ending, replacement in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", "")):
        if word.endswith(ending) and len(word) - len(ending) >= MIN_LETTERS:
            return _without_final_e(_undoubled(word[: -len(ending)] + replacement))
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > MIN_LETTERS:
        word = word[:-1]
    return _without_final_e(word)


def terms_of(identifier: str) -> list[str]:
    """The stems of an identifier's words that are long enough to mean something."""
    return [term for part in parts_of(identifier) if (term := term_of(part))]


def _undoubled(word: str) -> str:
    double = len(word) > MIN_LETTERS and word[-1] == word[-2] and word[-1] in "bdgmnprt"
    return word[:-1] if double else word


def _without_final_e(word: str) -> str:
    return word[:-1] if word.endswith("e") and len(word) > MIN_LETTERS + 1 else word
