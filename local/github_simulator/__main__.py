"""Run the GitHub simulator: `python -m local.github_simulator --repo PATH --name owner/name`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local.github_simulator.auth import Token
from local.github_simulator.git_repository import GitError
from local.github_simulator.server import SimulatorServer

#: Enough for everything that Nightdesk does.
PERMISSIONS = {
    "contents": "write",
    "issues": "write",
    "pull_requests": "write",
    "statuses": "write",
    "metadata": "read",
}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument("--repo", type=Path, required=True, help="a git repository on this machine")
    parser.add_argument("--name", required=True, help="what it is called, owner/name")
    parser.add_argument("--token", help="accept this token; of --login, with write permissions")
    parser.add_argument("--login", default="nightdesk[bot]", help="whose the token is")
    parser.add_argument("--private", action="store_true", help="hide it from callers without token")
    parser.add_argument("--poll-interval", type=int, default=60, metavar="SECONDS")
    return parser.parse_args()


def main() -> int:
    """Serve until interrupted; the first line of output is the address."""
    arguments = parse_arguments()
    server = SimulatorServer(port=arguments.port)
    try:
        repository = server.state.add_repository(
            arguments.name, arguments.repo, private=arguments.private
        )
    except (GitError, ValueError) as error:
        print(f"cannot serve {arguments.repo} as {arguments.name}: {error}", file=sys.stderr)
        return 2
    server.state.settings.poll_interval_seconds = arguments.poll_interval
    if arguments.token:
        server.state.add_token(
            Token(
                value=arguments.token,
                login=arguments.login,
                kind="personal",
                permissions=PERMISSIONS,
                repositories=frozenset({repository.id}),
            )
        )
    print(server.url, flush=True)
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
