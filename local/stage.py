"""Set the stage of the simulated GitHub: a real git repository and an issue about it."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalRunError

HERE = Path(__file__).resolve().parent
SAMPLE_PATCHES = HERE / "sample_repository"
SAMPLE_ISSUE = HERE / "sample_issue.md"
SAMPLE_PULL_REQUEST = HERE / "sample_pull_request"
#: The branch of the sample repository that a pull request can be opened from.
SAMPLE_BRANCH = "pay-everything-back"
SAMPLE_NAME = "harbour-ferry/quayside"
HEADING = re.compile(r"^#{1,6}\s+(?P<title>.+?)\s*#*\s*$", re.MULTILINE)
#: git as it comes: no settings, hooks or signatures of the user's.
PLAIN_GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_COMMITTER_NAME": "Quayside",
    "GIT_COMMITTER_EMAIL": "office@quayside.example",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


@dataclass(frozen=True, kw_only=True)
class IssueText:
    """An issue before it is filed."""

    title: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What the simulator shows: a repository on disk under a name, and the issue to come."""

    path: Path
    name: str
    commits: int
    issue: IssueText


def set_scene(*, repo: Path | None, issue: Path | None, folder: Path) -> Scene:
    """The user's own repository and issue, or the bundled ones.

    Raises:
        LocalRunError: the path is no git repository or has no commit; the file cannot be read or
            says nothing.
    """
    if repo is not None and issue is None:
        raise LocalRunError(
            "REPO is given without an issue about it. "
            "Next: make demo REPO=… ISSUE=<markdown file, its first heading is the title>"
        )
    text = read_issue(issue or SAMPLE_ISSUE)
    if repo is None:
        path = make_sample_repository(folder / "quayside")
        return Scene(path=path, name=SAMPLE_NAME, commits=_count_commits(path), issue=text)
    path = repository_at(repo)
    name = re.sub(r"[^\w.-]", "-", path.name.removesuffix(".git")) or "repository"
    return Scene(path=path, name=f"local/{name}", commits=_count_commits(path), issue=text)


def read_issue(file: Path) -> IssueText:
    """The first heading is the title and the rest the body; without a heading, the first line."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LocalRunError(f"The issue {file} cannot be read: {error}") from error
    if not text:
        raise LocalRunError(f"The issue {file} is empty.")
    heading = HEADING.search(text)
    if heading is None:
        title, _, body = text.partition("\n")
        return IssueText(title=title.strip(), body=body.strip())
    body = text[: heading.start()] + text[heading.end() :]
    return IssueText(title=heading["title"], body=body.strip())


def repository_at(path: Path) -> Path:
    """The top folder of the git repository at `path`; a bare repository is its own.

    Raises:
        LocalRunError: there is none, git will not read it, or it has no commit yet.
    """
    shown = path.expanduser().absolute()
    if not shown.is_dir():
        raise LocalRunError(f"REPO={path} is no folder. Next: name a git repository.")
    bare = _git(shown, "rev-parse", "--is-bare-repository")
    if bare.returncode:
        raise LocalRunError(f"REPO={path} is no git repository that git can read: {_said(bare)}")
    if bare.stdout.strip() == "true":
        top = shown
    else:
        top = Path(_git(shown, "rev-parse", "--show-toplevel").stdout.strip() or shown)
    if _git(top, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").returncode:
        raise LocalRunError(f"REPO={path} has no commit yet. Next: commit something.")
    return top


def make_sample_repository(target: Path) -> Path:
    """Turn the bundled patches into a repository with a branch; the same one each time."""
    target.mkdir(parents=True)
    apply = ("am", "--quiet", "--committer-date-is-author-date")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        (*apply, *_patches(SAMPLE_PATCHES)),
        ("checkout", "--quiet", "-b", SAMPLE_BRANCH),
        (*apply, *_patches(SAMPLE_PULL_REQUEST)),
        ("checkout", "--quiet", "main"),
    ):
        result = _git(target, *command, settings=PLAIN_GIT)
        if result.returncode:
            raise LocalRunError(f"git cannot make the sample repository: {_said(result)}")
    return target


def _patches(folder: Path) -> list[str]:
    return sorted(str(patch) for patch in folder.glob("*.patch"))


def _count_commits(path: Path) -> int:
    return int(_git(path, "rev-list", "--count", "HEAD").stdout.strip() or 0)


def _git(
    folder: Path, *arguments: str, settings: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = None if settings is None else dict(os.environ) | settings  # noqa: TID251 - where git is
    return subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
    )


def _said(result: subprocess.CompletedProcess[str]) -> str:
    lines = result.stderr.strip().splitlines()
    return lines[0] if lines else f"git ended with {result.returncode}"
