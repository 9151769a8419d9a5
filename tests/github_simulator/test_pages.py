from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from local.github_simulator.pages import markdown
from local.github_simulator.server import running_simulator
from tests.github_simulator.conftest import REPO, CheckedClient, Github

ROOT = Path(__file__).parents[2]


def page(url: str) -> str:
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return answer.text


def test_the_address_of_a_comment_shows_it_to_a_person(github: Github, bot: CheckedClient) -> None:
    number = github.open_issue(title="It <breaks>", body="Since **yesterday**.", labels=["bug"])
    body = "<!-- specialist:issue-enricher -->\n\nSee `app.py`:\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    comment = bot.post(f"{REPO}/issues/{number}/comments", {"body": body})

    shown = page(comment["html_url"])

    anchor = comment["html_url"].partition("#")[2]
    assert f'id="{anchor}"' in shown
    assert "<strong>yesterday</strong>" in shown
    assert "It &lt;breaks&gt;" in shown
    assert "<code>app.py</code>" in shown
    assert "<td>2</td>" in shown
    assert "specialist:issue-enricher" not in shown
    assert "nightdesk[bot]" in shown


def test_a_pull_request_shows_its_reviews(github: Github, bot: CheckedClient) -> None:
    number = github.open_pull()
    line = {"path": "src/app.py", "line": 5, "body": "Why *five*?"}
    review = {"event": "COMMENT", "body": "Some notes.", "comments": [line]}
    made = bot.post(f"{REPO}/pulls/{number}/reviews", review, status=200)

    shown = page(made["html_url"])

    assert "Some notes." in shown
    assert "Why <em>five</em>?" in shown
    assert f'id="pullrequestreview-{made["id"]}"' in shown


def test_the_front_page_leads_to_every_issue(github: Github) -> None:
    github.open_issue(title="One & two")
    address = f"{github.server.url}/octo-org/widgets/issues/1"

    github.open_pull()

    shown = page(f"{github.server.url}/")

    assert f'<a href="{address}">One &amp; two</a> <span class="dim">issue, open' in shown
    assert '<span class="dim">pull request, open' in shown


def test_an_issue_that_is_not_there_has_no_page(github: Github) -> None:
    for path in ("/octo-org/widgets/issues/9", "/no/where/issues/1"):
        assert requests.get(github.server.url + path, timeout=10).status_code == 404


@given(
    st.lists(
        st.sampled_from(
            ["<script>", "</script>", "<img src=x onerror=y>", "<!--", "-->", "`", "\n\n", "a",
             "    ", "<b", ">", "[x](javascript:alert(1))", "![y](http://x/z.png)", "</div>", "<!>",
             "&lt;", "<![CDATA[", "]]>", "<?", "?>", '"', "<svg/onload=1>"]
        ),
        max_size=12,
    ).map("".join)
)  # fmt: skip
def test_no_html_of_a_body_gets_into_the_page(body: str) -> None:
    shown = markdown(body)

    allowed = r"</?(p|em|a|img|code|pre|strong|s|ul|ol|li|h\d|hr|br|blockquote|table)\b"
    for tag in re.findall(r"<[^>]*>?", shown):
        assert re.match(allowed, tag), shown
        assert "onerror" not in tag.partition("alt=")[0]
    assert 'href="javascript:' not in shown


def test_the_simulator_runs_by_itself_and_ends_when_told(repository_path: Path) -> None:
    command = [
        sys.executable, "-m", "local.github_simulator", "--repo", str(repository_path),
        "--name", "octo-org/widgets", "--token", "t", "--poll-interval", "5",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            answer = CheckedClient(url, "t").send("GET", f"{REPO}/events")
            assert answer.headers["X-Poll-Interval"] == "5"
            assert CheckedClient(url, "t").get("/user")["login"] == "nightdesk[bot]"
        finally:
            process.terminate()
        assert process.wait(timeout=10) != 0


@pytest.mark.parametrize(
    ("path", "name"), [("/nonexistent", "octo-org/widgets"), (".", "no-owner")]
)
def test_what_cannot_be_served_is_said_at_once(path: str, name: str) -> None:
    command = [sys.executable, "-m", "local.github_simulator", "--repo", path, "--name", name]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "cannot serve" in done.stderr


def test_several_simulators_run_side_by_side_on_loopback_only(repository_path: Path) -> None:
    with running_simulator() as one, running_simulator() as two:
        one.state.add_repository("a/b", repository_path)
        assert one.url != two.url
        assert one.url.startswith("http://127.0.0.1:")
        assert requests.get(f"{one.url}/repos/a/b", timeout=10).status_code == 200
        assert requests.get(f"{two.url}/repos/a/b", timeout=10).status_code == 404
    with pytest.raises(requests.ConnectionError):
        requests.get(one.url, timeout=10)
