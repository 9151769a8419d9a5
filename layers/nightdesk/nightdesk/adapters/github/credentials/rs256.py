"""Sign as a GitHub App does: RS256, RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2.1).

Own code instead of a library, for reasons that docs/decisions/0007 weighs. What is signed is always
composed here and once in minutes; the operation is blinded, and its result is verified before it
leaves, so that a miscalculation cannot give the key away.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass

#: What GitHub makes, and the least that RS256 allows (RFC 7518, section 3.3).
_LEAST_BITS = 2048
#: DER of the algorithm SHA-256, before the digest (RFC 8017, section 9.2, note 1).
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
_PEM = re.compile(r"-----BEGIN (RSA )?PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END")
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30
_LONG_FORM = 0x80
#: version, modulus, public exponent, private exponent, two primes, their exponents, coefficient.
_NUMBERS = 9


@dataclass(frozen=True, slots=True, repr=False)
class PrivateKey:
    """The numbers of an RSA key, by their names in RFC 8017."""

    n: int
    e: int
    p: int
    q: int
    dp: int
    dq: int
    qinv: int

    def sign(self, message: bytes) -> bytes:
        """The signature of SHA-256 of the message, as long as the modulus.

        Raises:
            ValueError: the numbers of the key do not belong together.
        """
        size = (self.n.bit_length() + 7) // 8
        digest = _SHA256 + hashlib.sha256(message).digest()
        padded = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
        plain = int.from_bytes(padded, "big")
        blind = secrets.randbelow(self.n - 2) + 2
        signature = self._power(plain * pow(blind, self.e, self.n)) * pow(blind, -1, self.n)
        signature %= self.n
        if pow(signature, self.e, self.n) != plain:
            raise ValueError("its numbers do not belong together")
        return signature.to_bytes(size, "big")

    def _power(self, base: int) -> int:
        """The private operation, by the Chinese remainder theorem (RFC 8017, section 5.1.2)."""
        first, second = pow(base % self.p, self.dp, self.p), pow(base % self.q, self.dq, self.q)
        return second + (self.qinv * (first - second) % self.p) * self.q


def read_private_key(pem: str) -> PrivateKey:
    """Read PEM as GitHub gives it (PKCS #1), or PKCS #8; its line breaks may be spelled out.

    Raises:
        ValueError: it is something else. The message holds nothing of the key.
    """
    found = _PEM.search(pem.replace("\\n", "\n"))
    if found is None:
        raise ValueError("it does not begin with -----BEGIN RSA PRIVATE KEY-----")
    try:
        der = base64.b64decode("".join(found[2].split()), validate=True)
        numbers = _numbers(der if found[1] else _inside_pkcs8(der))
    except (ValueError, IndexError):
        raise ValueError("its text is damaged") from None
    if len(numbers) != _NUMBERS:
        raise ValueError("it is no RSA key of two primes")
    _, n, e, _, p, q, dp, dq, qinv = numbers
    if n.bit_length() < _LEAST_BITS:
        raise ValueError(f"it is shorter than {_LEAST_BITS} bits")
    if p * q != n:
        raise ValueError("its numbers do not belong together")
    return PrivateKey(n=n, e=e, p=p, q=q, dp=dp, dq=dq, qinv=qinv)


def _inside_pkcs8(der: bytes) -> bytes:
    """PKCS #8 wraps the key: version, algorithm, and the key as octets (RFC 5208, section 5)."""
    _, body, _ = _value(der, _SEQUENCE)
    _, _, rest = _value(body, _INTEGER)
    _, _, rest = _value(rest, _SEQUENCE)
    return _value(rest, _OCTETS)[1]


def _numbers(der: bytes) -> list[int]:
    _, rest, _ = _value(der, _SEQUENCE)
    found = []
    while rest:
        _, number, rest = _value(rest, _INTEGER)
        found.append(int.from_bytes(number, "big"))
    return found


def _value(der: bytes, expected: int) -> tuple[int, bytes, bytes]:
    """(tag, content, what follows) of the first element."""
    tag, length, start = der[0], der[1], 2
    if tag != expected:
        raise ValueError("another element was expected")
    if length >= _LONG_FORM:
        start += length - _LONG_FORM
        length = int.from_bytes(der[2:start], "big")
    if start + length > len(der):
        raise ValueError("it is cut")
    return tag, der[start : start + length], der[start + length :]
