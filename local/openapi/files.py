"""The files that `make openapi` makes; a test compares them with those that are there."""

import json

from local.openapi.document import openapi_document
from local.openapi.page import page_of


def made_files() -> dict[str, str]:
    """Name to text."""
    document = openapi_document()
    return {
        "openapi.json": json.dumps(document, ensure_ascii=False, indent=1) + "\n",
        "docs.html": page_of(document),
    }
