"""What goes wrong on this machine, said in one line with the next step."""


class LocalRunError(Exception):
    """The run cannot start or go on; the message is shown as it is and the exit code is 1."""
