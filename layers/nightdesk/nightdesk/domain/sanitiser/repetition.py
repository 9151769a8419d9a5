"""Whether a text repeats a secret that we know, such as a server's message the key it was sent."""

import base64

#: So many characters of a secret in a row are too many; fewer may be chance, or a known prefix.
PIECE = 12


def repeats(text: str, secret: str) -> bool:
    """Whether any twelve characters of the secret are in the text: plain, backwards, as hex or as
    base64. Whole messages are left out then, since more of it may be there in yet another form.
    """
    return any(
        form[start : start + PIECE] in text
        for form in _forms(secret)
        for start in range(len(form) - PIECE + 1)
    )


def _forms(secret: str) -> tuple[str, ...]:
    data = secret.encode()
    in_base64 = [base64.b64encode(b"\0" * before + data).decode()[4:-4] for before in range(3)]
    for_urls = [text.replace("+", "-").replace("/", "_") for text in in_base64]
    return (
        secret,
        secret[::-1],
        data.hex(),
        data.hex().upper(),
        *in_base64,
        *for_urls,
    )
