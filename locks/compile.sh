#!/bin/sh
# Resolve pyproject.toml again into the hash-pinned locks of this folder (docs/decisions/0001-locks-without-an-index.md).
set -eu
cd "$(dirname "$0")/.."
make --no-print-directory .venv-uv/.done
lock() {
  out=$1; shift
  .venv-uv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 "$@" --output-file "locks/$out.txt"
}
lock runtime pyproject.toml
lock local pyproject.toml --group local
lock dev pyproject.toml --group dev --group local
for group in cloud sam; do
  lock "$group" --group "$group"
done
# Only what is named: the rest of the SDK's dependencies is never imported by the function.
lock a2a --group a2a --no-deps
echo uv | lock uv -
# Lambda's python alone, in the versions that the tests use; sam reads it from the function's folder.
.venv/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.13 --python-platform aarch64-manylinux_2_28 --constraint locks/dev.txt --group a2a-stream --output-file functions/a2a_stream/requirements.txt
