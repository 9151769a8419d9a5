"""Serve A2A with streams on this machine, on the deployment that the environment names.

    PYTHONPATH=.:layers/nightdesk .venv-run/bin/python -m local.a2a_stream --port 8430

The environment is that of the a2a function (TASKS_TABLE, …, AWS_ENDPOINT_URL).
"""

import argparse

import uvicorn

from local.ports import HOST
from nightdesk import bootstrap
from nightdesk.a2a.app import A2aSettings
from nightdesk.a2a.operations import Operations
from nightdesk.a2a.streaming_server import streaming_app

PORT = 8430


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, default=PORT)
    operations = Operations(bootstrap.conversations(), streaming=True)
    app = streaming_app(operations, A2aSettings(scheme="http"))
    uvicorn.run(app, host=HOST, port=parser.parse_args().port, log_level="warning")


if __name__ == "__main__":
    main()
