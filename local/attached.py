"""Run a command that ends when the process that started it is gone, even killed.

    python -m local.attached <pid of the starter> <command> …

Only Linux can promise that; elsewhere the command simply runs.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    starter, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(starter):
            sys.exit("the starter is gone already")
    os.execv(command[0], command)  # noqa: S606 -- no shell: this process becomes the command


if __name__ == "__main__":
    main()
