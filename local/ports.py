"""Find free ports on loopback, and say so when a wanted one is taken."""

import errno
import socket

from local.errors import LocalRunError

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def claim_port(wanted: int, *, what: str) -> int:
    """`wanted` itself, or any free port for 0.

    Raises:
        LocalRunError: somebody listens there.
    """
    if wanted == 0:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise LocalRunError(
                f"Port {wanted} is busy or forbidden; it is needed for {what}. "
                f"Next: choose another, for instance `make run PORT={wanted + 100}` "
                "(PORT=0 takes any that is free)."
            ) from error
    return wanted
