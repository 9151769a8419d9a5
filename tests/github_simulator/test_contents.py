from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

import pytest
import requests

from tests.github_simulator.conftest import LINES, REPO, CheckedClient, Github, git

CONTENTS = f"{REPO}/contents"


def test_a_file_comes_in_base64(bot: CheckedClient) -> None:
    found = bot.get(f"{CONTENTS}/src/app.py")

    assert found["encoding"] == "base64"
    assert base64.b64decode(found["content"]).decode() == LINES
    assert found["size"] == len(LINES)


def test_a_file_is_read_at_the_ref_that_was_asked_for(bot: CheckedClient) -> None:
    sha = bot.get(f"{REPO}/git/ref/heads/feature")["object"]["sha"]

    for ref in ("feature", "refs/heads/feature", sha):
        text = base64.b64decode(bot.get(f"{CONTENTS}/src/app.py", ref=ref)["content"]).decode()
        assert "line five" in text


def test_a_file_can_be_read_raw(bot: CheckedClient) -> None:
    headers = {"Accept": "application/vnd.github.raw+json"}

    answer = bot.send("GET", f"{CONTENTS}/logo.png", headers=headers)

    assert answer.content == bytes(range(256))


def test_a_folder_is_listed(bot: CheckedClient) -> None:
    root = {entry["name"]: entry["type"] for entry in bot.get(f"{CONTENTS}/")}
    docs = bot.get(f"{CONTENTS}/docs")

    assert root == {
        "README.md": "file",
        "docs": "dir",
        "link": "symlink",
        "logo.png": "file",
        "old name.txt": "file",
        "src": "dir",
    }
    assert [entry["path"] for entry in docs] == ["docs/über.md"]


def test_a_symbolic_link_says_where_it_leads(bot: CheckedClient) -> None:
    assert bot.get(f"{CONTENTS}/link")["target"] == "README.md"


@pytest.mark.parametrize(
    ("path", "ref"),
    [
        ("nothing.py", "main"),
        ("src", "no-such-branch"),
        ("../../etc/passwd", "main"),
        ("README.md", "main:src"),
        ("README.md", "--output=x"),
        ("README.md", "HEAD~1"),
        ("*", "main"),
    ],
)
def test_what_is_not_there_is_not_found(bot: CheckedClient, path: str, ref: str) -> None:
    encoded = path.replace("..", "%2E%2E")

    assert bot.send("GET", f"{CONTENTS}/{encoded}", query={"ref": ref}).status_code == 404


def unpacked(url: str) -> dict[str, bytes]:
    content = requests.get(url, timeout=10).content
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        members = (member for member in archive.getmembers() if member.isfile())
        return {item.name: (archive.extractfile(item) or io.BytesIO()).read() for item in members}


def test_the_tarball_is_a_redirect_to_an_archive_with_one_top_folder(bot: CheckedClient) -> None:
    sha = bot.get(f"{REPO}/git/ref/heads/feature")["object"]["sha"]

    answer = bot.send("GET", f"{REPO}/tarball/feature")

    assert answer.status_code == 302
    files = unpacked(answer.headers["Location"])
    top = f"octo-org-widgets-{sha[:7]}"
    assert {name.split("/")[0] for name in files} == {top}
    assert files[f"{top}/src/new.py"] == b"print('new')\n"
    assert f"{top}/docs/über.md" not in files


def test_the_archive_of_a_private_repository_needs_the_token_of_its_address(
    github: Github, bot: CheckedClient
) -> None:
    github.repository.private = True
    address = bot.send("GET", f"{REPO}/tarball/main").headers["Location"]

    assert unpacked(address)
    assert requests.get(address.partition("?")[0], timeout=10).status_code == 404
    github.clock.tick(minutes=5)
    assert requests.get(address, timeout=10).status_code == 404


def test_the_tarball_of_an_unknown_ref_is_not_found(bot: CheckedClient) -> None:
    assert bot.send("GET", f"{REPO}/tarball/nothing").status_code == 404


def test_commits_are_listed_newest_first_and_by_path(bot: CheckedClient) -> None:
    everything = bot.get(f"{REPO}/commits")
    of_readme = bot.get(f"{REPO}/commits", path="README.md", sha="feature-2")

    subjects = [item["commit"]["message"].split("\n")[0] for item in everything]
    assert subjects == ["Go on with main", "Add documents", "Begin"]
    assert [item["commit"]["message"] for item in of_readme] == [
        "Say more",
        "Begin\n\nWith a body.",
    ]
    assert everything[0]["commit"]["author"]["date"] == "2026-02-01T09:00:00Z"


def test_commits_come_in_pages(bot: CheckedClient) -> None:
    first = bot.send("GET", f"{REPO}/commits", query={"per_page": "2"})
    last = bot.send("GET", f"{REPO}/commits", query={"per_page": "2", "page": "2"})

    assert (len(first.json()), len(last.json())) == (2, 1)
    assert 'rel="next"' in first.headers["Link"]
    assert 'rel="next"' not in last.headers["Link"]


def test_a_commit_shows_its_files(bot: CheckedClient, repository_path: Path) -> None:
    sha = git(repository_path, "rev-parse", "feature")

    for ref in (sha, "feature", sha[:10]):
        found = bot.get(f"{REPO}/commits/{ref}")
        assert found["sha"] == sha
        assert found["stats"]["total"] == sum(item["changes"] for item in found["files"])


def test_the_first_commit_is_compared_with_nothing(bot: CheckedClient) -> None:
    root = bot.get(f"{REPO}/commits")[-1]["sha"]

    found = bot.get(f"{REPO}/commits/{root}")

    assert {item["status"] for item in found["files"]} == {"added"}


def test_an_unknown_commit_is_unprocessable(bot: CheckedClient) -> None:
    answer = bot.send("GET", f"{REPO}/commits/{'0' * 40}")

    assert answer.status_code == 422
    assert answer.json()["message"].startswith("No commit found for SHA")
