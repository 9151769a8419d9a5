"""Makes the OpenAPI document and its page, out of the types that check requests and answers."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "functions" / "api"
# The function's modules find each other from their own folder, as on Lambda.
if str(FOLDER) not in sys.path:
    sys.path.insert(0, str(FOLDER))
