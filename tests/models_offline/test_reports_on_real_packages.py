"""Issue texts about packages that the tests have installed, as their users write them."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from nightdesk.adapters.snapshots.directory import DirectorySnapshot
from nightdesk.domain.issue_text import IssueText
from tests.models_offline.conversation import report_on


def package(name: str) -> DirectorySnapshot:
    spec = find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations
    return DirectorySnapshot(Path(next(iter(spec.submodule_search_locations))))


@pytest.mark.parametrize(
    ("name", "issue", "path"),
    [
        (
            "requests",
            IssueText(
                "Digest auth sends the wrong nonce count after a redirect",
                "With HTTPDigestAuth the second request after a 302 repeats the nonce count.",
            ),
            "auth.py",
        ),
        (
            "requests",
            IssueText(
                "no_proxy with a CIDR range is ignored",
                "Setting the environment to `10.0.0.0/8` still goes through the proxy. I expected "
                "requests to bypass proxies for every address in the network.",
            ),
            "utils.py",
        ),
        (
            "requests",
            IssueText(
                "Cookies with the same name on two domains raise a conflict",
                "`session.cookies['a']` raises an error that says there are multiple cookies.",
            ),
            "cookies.py",
        ),
        (
            "pynamodb",
            IssueText(
                "UTCDateTimeAttribute loses microseconds",
                "When I save a datetime and read it again the microseconds are zero.",
            ),
            "attributes.py",
        ),
        (
            "pynamodb",
            IssueText(
                "Transactions: more than 100 items are not refused before the request",
                "`TransactWrite` with 120 operations fails on the server.",
            ),
            "transactions.py",
        ),
        (
            "starlette",
            IssueText(
                "GZip middleware compresses server-sent events",
                "Responses with text/event-stream are buffered by the gzip responder.",
            ),
            "middleware/gzip.py",
        ),
    ],
)
def test_the_report_begins_with_the_file_that_holds_the_matter(
    name: str, issue: IssueText, path: str
) -> None:
    report = report_on(package(name), issue)
    assert f"1. Begin in `{path}`" in report
    assert len(report) <= 6_000
