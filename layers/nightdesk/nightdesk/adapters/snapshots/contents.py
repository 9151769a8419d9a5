"""How the bytes of a repository's file become text, or are refused as binary."""

import codecs

from nightdesk.domain.workspace_files import PathRefusedError

_SNIFFED_BYTES = 8_192


def decoded_text(path: str, data: bytes, *, whole: bool) -> str:
    """UTF-8 text, undecodable bytes replaced; a character that the cut halved is dropped.

    Raises:
        PathRefusedError: binary, which means that its first 8 KB hold a zero byte (git's rule).
    """
    if b"\0" in data[:_SNIFFED_BYTES]:
        raise PathRefusedError(f"{path} is a binary file")
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    return decoder.decode(data, final=whole)
