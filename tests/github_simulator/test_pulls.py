from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.github_simulator.conftest import REPO, CheckedClient, Github, git

PULLS = f"{REPO}/pulls"


def files(client: CheckedClient, number: int) -> dict[str, dict[str, object]]:
    return {item["filename"]: item for item in client.get(f"{PULLS}/{number}/files")}


@pytest.mark.parametrize("version", ["2022-11-28", "2026-03-10"])
def test_a_pull_request_names_its_branches_and_counts_its_changes(
    github: Github, version: str
) -> None:
    bot = github.client(version=version)
    number = github.open_pull(association="MEMBER", draft=True)

    pull = bot.get(f"{PULLS}/{number}")

    assert pull["head"]["ref"] == "feature"
    assert pull["head"]["sha"] == bot.get(f"{REPO}/git/ref/heads/feature")["object"]["sha"]
    assert pull["base"]["ref"] == "main"
    assert (pull["draft"], pull["author_association"]) == (True, "MEMBER")
    assert (pull["changed_files"], pull["commits"]) == (5, 1)
    assert ("merge_commit_sha" in pull) is (version == "2022-11-28")


def test_files_are_compared_with_where_the_branch_began(github: Github, bot: CheckedClient) -> None:
    found = files(bot, github.open_pull())

    assert {name: item["status"] for name, item in found.items()} == {
        "docs/über.md": "removed",
        "logo.png": "modified",
        "new name.txt": "renamed",
        "src/app.py": "modified",
        "src/new.py": "added",
    }
    assert found["new name.txt"]["previous_filename"] == "old name.txt"
    assert "src/later.py" not in found


def test_binary_files_and_pure_renames_have_no_patch(github: Github, bot: CheckedClient) -> None:
    found = files(bot, github.open_pull())

    assert "patch" not in found["logo.png"]
    assert "patch" not in found["new name.txt"]
    assert str(found["src/new.py"]["patch"]) == "@@ -0,0 +1 @@\n+print('new')"


def test_a_file_names_its_new_blob_or_the_one_that_was_removed(
    github: Github, bot: CheckedClient, repository_path: Path
) -> None:
    found = files(bot, github.open_pull())

    new = git(repository_path, "rev-parse", "feature:src/new.py")
    removed = git(repository_path, "rev-parse", "main:docs/über.md")
    assert found["src/new.py"]["sha"] == new
    assert found["docs/über.md"]["sha"] == removed


@pytest.mark.parametrize(
    "entry",
    [
        {"mode": "100644", "content": "x"},
        {"path": "a", "mode": "100600", "content": "x"},
        {"path": "../a", "mode": "100644", "content": "x"},
        {"path": "a", "mode": "100644", "sha": "1" * 39},
    ],
)
def test_a_tree_with_an_impossible_entry_is_refused(
    bot: CheckedClient, entry: dict[str, str]
) -> None:
    answer = bot.send("POST", f"{REPO}/git/trees", body={"tree": [entry]}, proper=False)

    assert answer.status_code == 422


def test_a_patch_begins_at_its_first_hunk(github: Github, bot: CheckedClient) -> None:
    patch = str(files(bot, github.open_pull())["src/app.py"]["patch"])

    assert patch.startswith("@@ -2,7 +2,7 @@")
    assert "-line 5\n+line five" in patch
    assert not patch.endswith("\n")


def test_pull_requests_are_listed_by_state_base_and_head(
    github: Github, bot: CheckedClient
) -> None:
    github.open_pull()
    github.clock.tick(seconds=1)
    github.open_pull(head="feature-2")
    github.control("PATCH", f"{REPO}/issues/1", {"actor": "ann", "state": "closed"})

    def listed(**query: str) -> list[int]:
        return [item["number"] for item in bot.get(PULLS, **query)]

    assert listed() == [2]
    assert listed(state="all") == [2, 1]
    assert listed(state="all", sort="updated", direction="desc") == [2, 1]
    assert listed(state="all", sort="updated") == [1, 2]
    assert listed(state="all", head="octo-org:feature") == [1]
    assert listed(base="other") == []


def test_a_fork_has_its_own_owner_and_may_be_deleted(github: Github, bot: CheckedClient) -> None:
    number = github.open_pull(fork_owner="eve", author="eve")
    fork = bot.get(f"{PULLS}/{number}")["head"]

    github.control("PATCH", f"{PULLS}/{number}", {"actor": "eve", "fork_deleted": True})

    assert (fork["label"], fork["repo"]["full_name"]) == ("eve:feature", "eve/widgets")
    assert fork["repo"]["fork"]
    assert fork["repo"]["id"] != github.repository.id
    assert bot.get(f"{PULLS}/{number}")["head"]["repo"] is None


def test_a_push_moves_the_head_and_what_is_compared(github: Github, bot: CheckedClient) -> None:
    number = github.open_pull(head="feature-2")
    before = bot.get(f"{PULLS}/{number}")["head"]["sha"]
    github.control("PATCH", f"{PULLS}/{number}", {"actor": "ann", "head": "feature"})

    after = bot.get(f"{PULLS}/{number}")["head"]["sha"]

    assert before != after
    assert "src/app.py" in files(bot, number)


def test_a_merged_pull_request_is_closed(github: Github, bot: CheckedClient) -> None:
    number = github.open_pull()
    github.control("PATCH", f"{PULLS}/{number}", {"actor": "ann", "merged": True})

    pull = bot.get(f"{PULLS}/{number}")

    assert (pull["state"], pull["merged"]) == ("closed", True)
    assert bot.get(f"{REPO}/issues/{number}")["pull_request"]["merged_at"] is not None
    assert bot.send("PATCH", f"{PULLS}/{number}", body={"state": "open"}).status_code == 422


def test_an_issue_is_no_pull_request(github: Github, bot: CheckedClient) -> None:
    number = github.open_issue()

    assert bot.send("GET", f"{PULLS}/{number}").status_code == 404


def test_a_pull_request_can_be_read_as_a_diff(github: Github, bot: CheckedClient) -> None:
    number = github.open_pull()

    answer = bot.send("GET", f"{PULLS}/{number}", headers={"Accept": "application/vnd.github.diff"})

    assert answer.text.startswith("diff --git a/docs/")
    assert "+line five" in answer.text


def test_a_draft_is_opened_from_a_branch_that_was_made_over_the_api(
    github: Github, bot: CheckedClient, repository_path: Path
) -> None:
    refs_before = git(repository_path, "for-each-ref")
    head = bot.get(f"{REPO}/git/ref/heads/main")["object"]["sha"]
    base_tree = bot.get(f"{REPO}/commits/{head}")["commit"]["tree"]["sha"]
    entries = [
        {"path": "src/app.py", "mode": "100644", "type": "blob", "content": "fixed\n"},
        {"path": "README.md", "mode": "100644", "type": "blob", "sha": None},
    ]
    tree = bot.post(f"{REPO}/git/trees", {"base_tree": base_tree, "tree": entries})
    written = bot.post(
        f"{REPO}/git/commits",
        {"message": "Fix it", "tree": tree["sha"], "parents": [head]},
    )
    bot.post(f"{REPO}/git/refs", {"ref": "refs/heads/nightdesk/fix", "sha": written["sha"]})

    pull = bot.post(PULLS, {"title": "Fix", "head": "nightdesk/fix", "base": "main", "draft": True})

    assert pull["draft"]
    assert {name: item["status"] for name, item in files(bot, pull["number"]).items()} == {
        "README.md": "removed",
        "src/app.py": "modified",
    }
    kinds = [event["type"] for event in reversed(bot.get(f"{REPO}/events"))]
    assert kinds == ["CreateEvent", "PullRequestEvent"]
    assert git(repository_path, "for-each-ref") == refs_before
    with pytest.raises(Exception, match="returned non-zero"):
        git(repository_path, "cat-file", "-t", written["sha"])


def test_a_pull_request_needs_commits_and_is_opened_once(bot: CheckedClient) -> None:
    nothing = bot.send("POST", PULLS, body={"title": "x", "head": "v1", "base": "main"})
    same = bot.send("POST", PULLS, body={"title": "x", "head": "main", "base": "main"})
    bot.post(PULLS, {"title": "x", "head": "feature", "base": "main"})
    twice = bot.send("POST", PULLS, body={"title": "x", "head": "feature", "base": "main"})

    assert [answer.status_code for answer in (nothing, same, twice)] == [422, 422, 422]
    assert "No commits between" in same.json()["errors"][0]["message"]
    assert "already exists" in twice.json()["errors"][0]["message"]


def test_refs_are_made_moved_forwards_and_deleted(github: Github, bot: CheckedClient) -> None:
    old = bot.get(f"{REPO}/commits/v1")["sha"]
    new = bot.get(f"{REPO}/git/ref/heads/main")["object"]["sha"]
    url = f"{REPO}/git/refs/heads/side"
    bot.post(f"{REPO}/git/refs", {"ref": "refs/heads/side", "sha": old})

    assert bot.send("PATCH", url, body={"sha": new}).json()["object"]["sha"] == new
    assert bot.send("PATCH", url, body={"sha": old}).status_code == 422
    assert bot.send("PATCH", url, body={"sha": old, "force": True}).status_code == 200
    assert bot.send("DELETE", url).status_code == 204
    assert bot.send("DELETE", url).status_code == 422
    assert bot.send("GET", f"{REPO}/git/ref/heads/side").status_code == 404
    kinds = [event["type"] for event in reversed(bot.get(f"{REPO}/events"))]
    assert kinds == ["CreateEvent", "PushEvent", "PushEvent", "DeleteEvent"]


@pytest.mark.parametrize(("folder", "kind"), [("heads", "branch"), ("tags", "tag")])
def test_the_feed_tells_branches_from_tags(bot: CheckedClient, folder: str, kind: str) -> None:
    sha = bot.get(f"{REPO}/git/ref/heads/main")["object"]["sha"]
    bot.post(f"{REPO}/git/refs", {"ref": f"refs/{folder}/a/b", "sha": sha})
    bot.send("DELETE", f"{REPO}/git/refs/{folder}/a/b")

    payloads = [event["payload"] for event in bot.get(f"{REPO}/events")]

    assert [payload["ref_type"] for payload in payloads] == [kind, kind]
    assert {payload["ref"] for payload in payloads} == {"a/b"}


def test_a_branch_of_the_repository_can_be_hidden_but_never_deleted_on_disk(
    bot: CheckedClient, repository_path: Path
) -> None:
    assert bot.send("DELETE", f"{REPO}/git/refs/heads/feature").status_code == 204

    assert bot.send("GET", f"{REPO}/git/ref/heads/feature").status_code == 404
    assert bot.send("GET", f"{REPO}/commits/feature").status_code == 422
    assert git(repository_path, "rev-parse", "feature")


@pytest.mark.parametrize("ref", ["refs/heads/main", "heads/x", "refs/heads/a..b", "refs/notes/x"])
def test_a_ref_that_exists_or_is_malformed_is_not_made(bot: CheckedClient, ref: str) -> None:
    sha = bot.get(f"{REPO}/git/ref/heads/main")["object"]["sha"]

    assert bot.send("POST", f"{REPO}/git/refs", body={"ref": ref, "sha": sha}).status_code == 422


def test_a_ref_must_be_named_whole(bot: CheckedClient) -> None:
    assert bot.send("GET", f"{REPO}/git/ref/heads/feat").status_code == 404
    assert bot.send("GET", f"{REPO}/git/ref/tags/v1").status_code == 200


def test_commits_pushed_to_the_disk_are_seen_at_once(
    github: Github, repository_path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(repository_path, copy, symlinks=True)
    github.server.state.add_repository("octo-org/live", copy)
    bot = github.client()
    before = bot.get("/repos/octo-org/live/commits")[0]["sha"]
    git(copy, "commit", "-q", "--allow-empty", "-m", "Now")

    after = bot.get("/repos/octo-org/live/commits")

    assert (after[0]["commit"]["message"], after[1]["sha"]) == ("Now", before)
