#!/bin/sh
# Resolve pyproject.toml again into the hash-pinned locks of this folder (docs/decisions/0001-locks.md).
set -eu
cd "$(dirname "$0")/.."
lock() { out=$1; shift
  .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml "$@" --output-file "locks/$out.txt"
}
lock runtime
lock local --group local
lock dev --group dev --group local
for group in cloud sam; do
  .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --group "$group" --output-file "locks/$group.txt"
done
# Only what is named: the rest of the SDK's dependencies is never imported by the function.
.venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-deps --python-version 3.11 --group a2a --output-file locks/a2a.txt
