"""A2A with streams: the same as the a2a function, over a front that can stream.

Trigger: a function URL in the mode RESPONSE_STREAM. Lambda's Python runtime cannot stream, so the
Lambda Web Adapter takes its place: `start.sh` (AWS_LAMBDA_EXEC_WRAPPER) runs this application under
uvicorn, and the adapter passes requests on to it. Off unless the parameter A2aStreamAdapterLayer
names the adapter's layer. Failure: as the a2a function; a stream that is cut is taken up again by
its client.
"""

from nightdesk import bootstrap
from nightdesk.a2a.app import A2aSettings
from nightdesk.a2a.operations import Operations
from nightdesk.a2a.streaming_server import streaming_app

#: The ASGI application that start.sh serves; named as template.yaml names every entry point.
lambda_handler = streaming_app(
    Operations(bootstrap.conversations(), streaming=True),
    A2aSettings(default_agent=bootstrap.settings().a2a_default_agent),
)
