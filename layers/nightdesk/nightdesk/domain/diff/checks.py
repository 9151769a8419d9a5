"""What can be said of a diff without understanding it: few checks, each rarely wrong.

They see the added lines alone, and never show what they take for a secret.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nightdesk.domain.locate.file_kinds import FileKind, kind_of
from nightdesk.domain.review.finding import FINDINGS_MAX, SEVERITIES, Finding
from nightdesk.domain.sanitiser.secret_patterns import without_secrets

#: Fewer new lines than this need no test of their own.
UNTESTED_LINES = 20
LARGE_FILE_LINES = 1_000

CHECKS = (
    "conflict markers, forms of secrets, calls of a debugger, tests that switch others off, "
    "FIXME notes, large new files, new code without a test"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _LineCheck:
    """What a line is looked at for, and what is said of the first that has it."""

    finds: Callable[[str], object]
    severity: str
    title: str
    body: str


_LINE_CHECKS = (
    _LineCheck(
        finds=re.compile(r"(?:<{7}|>{7})(?: .*)?").fullmatch,
        severity="critical",
        title="A conflict marker of git is committed",
        body="A merge was not finished here: both versions stand in the file, and whatever reads "
        "it as code or configuration fails. Choose one version and remove the markers.",
    ),
    _LineCheck(
        finds=lambda text: without_secrets(text) != text,
        severity="critical",
        title="This line looks like a secret",
        body="Whoever can read the repository can use it, also after the line is removed again, "
        "because history keeps it. Revoke it, then remove it. (It is not shown here.)",
    ),
    _LineCheck(
        finds=re.compile(
            r"\s*(?:breakpoint\(\)|import i?pdb\b|i?pdb\.set_trace\(\)|debugger;?$|"
            r"binding\.pry\b|byebug$|dbg!\(|var_dump\(|(?:System\.Diagnostics\.)?Debugger\.Break\()"
        ).match,
        severity="warning",
        title="A call of a debugger was left in",
        body="When this line is reached outside of a developer's terminal, the process stops and "
        "waits for input that never comes, or prints its insides. Remove it.",
    ),
    _LineCheck(
        finds=re.compile(
            r"\s*(?:(?:describe|context|it|test)\.only\(|fdescribe\(|fit\(['\"`])"
        ).match,
        severity="warning",
        title="A focused test switches all others off",
        body="While this is here the run is green although the other tests of the file do not "
        "run at all. Remove the focus.",
    ),
    _LineCheck(
        finds=re.compile(r"(?:#|//|/\*|--|;|<!--)\s*(?:FIXME|XXX|HACK)\b").search,
        severity="suggestion",
        title="A FIXME comes in with this change",
        body="The author knew of a defect here, and once this is merged nobody is told of it "
        "again. Mend it now, or open an issue and name it in the note.",
    ),
)


@dataclass(frozen=True, slots=True)
class AddedLines:
    """One changed file as far as it was seen: its added lines by number."""

    path: str
    status: str
    lines: tuple[tuple[int, str], ...]


def checked(files: Sequence[AddedLines]) -> tuple[Finding, ...]:
    """The findings, the gravest first, FINDINGS_MAX at most."""
    found = [finding for file in files for finding in _of_file(file)]
    found += _untested(files)
    found.sort(key=lambda one: SEVERITIES.index(one.severity))
    return tuple(found[:FINDINGS_MAX])


def _of_file(file: AddedLines) -> Iterator[Finding]:
    if kind_of(file.path) is FileKind.IGNORED:
        return
    told: set[str] = set()
    for number, text in file.lines:
        finding = _of_line(file.path, number, text)
        if finding is not None and finding.title not in told:  # the first of its kind says it all
            told.add(finding.title)
            yield finding
    if file.status == "added" and len(file.lines) > LARGE_FILE_LINES:
        yield Finding(
            severity="suggestion",
            path=file.path,
            line=file.lines[0][0],
            title="A file this large is hard to review",
            body=f"It is new and has {len(file.lines)} lines. Mistakes pass in changes that nobody "
            "reads to their end; smaller steps, or a generated file that is marked as one, help.",
        )


def _of_line(path: str, number: int, text: str) -> Finding | None:
    for check in _LINE_CHECKS:
        if check.finds(text):
            return Finding(
                severity=check.severity,
                path=path,
                line=number,
                title=check.title,
                body=check.body,
            )
    return None


def _untested(files: Sequence[AddedLines]) -> Iterator[Finding]:
    """One finding at most: where no test is touched at all, at the file that grew most."""
    if any(kind_of(file.path) is FileKind.TEST for file in files):
        return
    sources = [file for file in files if kind_of(file.path) is FileKind.SOURCE and file.lines]
    total = sum(len(file.lines) for file in sources)
    if total >= UNTESTED_LINES:
        largest = max(sources, key=lambda file: len(file.lines))
        yield Finding(
            severity="suggestion",
            path=largest.path,
            line=largest.lines[0][0],
            title="No test changes with this code",
            body=f"{total} lines of code are added, and no test is added or changed. The next "
            "change can break them without anybody noticing.",
        )
