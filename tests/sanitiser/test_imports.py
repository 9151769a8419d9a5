import subprocess
import sys
from pathlib import Path

LAYER = Path(__file__).parents[2] / "layers" / "nightdesk"
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import nightdesk.services.publish_intents, nightdesk.domain.sanitiser
assert "markdown_it" not in sys.modules
nightdesk.domain.sanitiser.sanitise("x", nightdesk.domain.sanitiser.Policy())
assert "markdown_it" in sys.modules
"""


def test_the_parser_is_imported_only_when_something_is_published() -> None:
    command = [sys.executable, "-c", PROGRAM, str(LAYER)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
