"""What the offline planner does for a pull request: read the diff, check it, report, sum up."""

from collections.abc import Collection, Iterator

from nightdesk.adapters.models.offline.heard import Heard
from nightdesk.adapters.models.offline.steps import Call, Step
from nightdesk.domain.diff.checks import CHECKS, AddedLines, checked
from nightdesk.domain.diff.listing import files_shown
from nightdesk.domain.diff.patch import LineKind
from nightdesk.domain.intents.names import REPORT_FINDING
from nightdesk.domain.review.finding import as_data

_READ_DIFF = "read_diff"
#: Files whose diff did not fit into the first answer.
_FILES_READ = 15


def can_review(tools: Collection[str]) -> bool:
    """Whether the session's job is a review."""
    return REPORT_FINDING in tools and _READ_DIFF in tools


def next_review_step(heard: Heard) -> Step:
    """The next turn of a review, from nothing but what was said."""
    if not heard.called(_READ_DIFF):
        return Step("Reading the changes.", (Call(_READ_DIFF, {}),))
    if not heard.answers(_READ_DIFF):
        return Step(f"{_NO_MODEL} The diff could not be read, so nothing was checked.")
    files = _files(heard)
    if len(heard.answers(_READ_DIFF)) == 1 and (rest := _unread(heard)):
        calls = tuple(Call(_READ_DIFF, {"path": path}) for path in rest)
        return Step("Reading what did not fit.", calls)
    if not heard.called(REPORT_FINDING) and (findings := checked(files)):
        reports = tuple(Call(REPORT_FINDING, as_data(finding)) for finding in findings)
        return Step("Reporting what the checks found.", reports)
    return Step(_summary(heard, files))


_NO_MODEL = "No language model was used: these are mechanical checks of the added lines."


def _summary(heard: Heard, files: list[AddedLines]) -> str:
    count = len(heard.answers(REPORT_FINDING))
    what = {0: "Nothing was found", 1: "1 finding"}.get(count, f"{count} findings")
    lines = sum(len(file.lines) for file in files)
    return (
        f"**{what}** in {lines} added lines of {len(files)} files.\n\n{_NO_MODEL} They look for "
        f"{CHECKS}. Whether the change does what it is meant to is for a person, or a configured "
        "model, to say."
    )


def _files(heard: Heard) -> list[AddedLines]:
    """Every file that was shown, with the added lines of all answers about it."""
    found: dict[str, AddedLines] = {}
    for status, path, lines in _shown(heard):
        added = tuple((number, text) for number, kind, text in lines if kind is LineKind.ADDED)
        known = found.get(path)
        found[path] = AddedLines(path, status, added if known is None else known.lines + added)
    return list(found.values())


def _unread(heard: Heard) -> list[str]:
    """Files of the list that have lines but came without their diff."""
    with_lines = {path for _, path, lines in _shown(heard) if lines}
    listing = heard.answers(_READ_DIFF)[0].data("diff") or ""
    head = listing.partition("\n\n")[0]
    listed = [path for _, path, _ in files_shown(head) if f"{path} (+" in head]
    hidden = [path for path in listed if path not in with_lines and f"{path} (+0 " not in head]
    return hidden[:_FILES_READ]


def _shown(heard: Heard) -> Iterator[tuple[str, str, list[tuple[int, LineKind, str]]]]:
    for call in heard.answers(_READ_DIFF):
        yield from files_shown(call.data("diff") or "")
