#!/bin/sh
# In place of Lambda's runtime: serve handler.lambda_handler to the Lambda Web Adapter (AWS_LWA_PORT).
exec python -m uvicorn handler:lambda_handler --host 127.0.0.1 --port "${AWS_LWA_PORT:-8080}" --log-level warning --no-access-log
