"""Makes the OpenAPI document and its page, out of the types that check requests and answers."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "layers" / "nightdesk" / "nightdesk" / "api"
