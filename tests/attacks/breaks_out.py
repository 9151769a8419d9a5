"""What in a published text reaches further than its comment."""

import re

from tests.attacks.corpus import SECRETS
from tests.sanitiser.judge import findings, pages

_TAG = re.compile(r"<[^>]*>")


def breaks_out(text: str) -> list[str]:
    """Each mention, reference, link, hidden part or secret of a text; [] for a harmless one."""
    shown = [text, *(_TAG.sub("", page) for _, page in pages(text))]
    leaked = {secret for secret in SECRETS for view in shown if secret in view}
    return [*findings(text), *(f"secret {secret}" for secret in sorted(leaked))]
