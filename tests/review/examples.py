"""Diffs that git made, findings, and a pull request to review."""

import subprocess
from pathlib import Path
from typing import Any

from nightdesk.domain.diff.pull_diff import FileDiff

PLAIN_GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C",
    "PATH": "/usr/bin:/bin:/usr/local/bin",
}

#: `~` stands for the blank of an empty line of context.
CART_PATCH = """\
@@ -1,4 +1,5 @@ class Cart:
 class Cart:
     def add_item(self, item):
-        self.items.append(item)
+        self.items += item
+        self.changed = True
~
@@ -20,3 +21,4 @@ class Cart:
     def total(self):
         return sum(item.price for item in self.items)
+    # the end of the cart
~""".replace("~", " ")

CART = FileDiff(path="src/cart.py", additions=3, deletions=1, patch=CART_PATCH)
LOGO = FileDiff(path="logo.png", status="added")


def finding(**changes: Any) -> dict[str, Any]:
    """A finding at line 3 of `CART`, as the model gives it."""
    given: dict[str, Any] = {
        "severity": "critical",
        "path": "src/cart.py",
        "line": 3,
        "title": "Adding a string adds its letters",
        "body": "add_item('abc') now extends the list by 'a', 'b' and 'c'.",
    }
    return {**given, **changes}


def patch_of_git(folder: Path, before: bytes, after: bytes) -> str | None:
    """What `git diff` says of one file, from its first `@@` on, as GitHub cuts it."""
    old, new = folder / "old", folder / "new"
    old.write_bytes(before)
    new.write_bytes(after)
    made = subprocess.run(
        ["git", "diff", "--no-index", "--no-color", "--no-ext-diff", "--text", str(old), str(new)],
        capture_output=True,
        check=False,
        env=PLAIN_GIT,
    )
    assert made.returncode in {0, 1}, made.stderr
    said = made.stdout.decode("utf-8", "surrogateescape")
    start = said.find("\n@@ ")
    return None if start < 0 else said[start + 1 :].removesuffix("\n")
