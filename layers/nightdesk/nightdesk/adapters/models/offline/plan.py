"""What the offline planner does next: read the issue, locate, read the places, report.

A review has a plan of its own (`review_plan`).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from math import log

from nightdesk.adapters.models.offline.heard import AnsweredCall, Heard
from nightdesk.adapters.models.offline.steps import Call, Step
from nightdesk.domain.locate.closer_look import WINDOW_LINES
from nightdesk.domain.locate.file_kinds import FileKind, kind_of
from nightdesk.domain.locate.listing import location_of_text
from nightdesk.domain.locate.location import Location, RankedFile, Region
from nightdesk.domain.locate.query import MAX_TEXT_CHARACTERS, query_of
from nightdesk.domain.locate.report import (
    MAX_REPORT_CHARACTERS,
    ReadLines,
    honest_short_answer,
    locating_report,
)

_SOURCES_READ = 4
_TEST_LINES_READ = 400
_WORDS_SEARCHED = 6
_MATCHES_A_WORD = 100
_FILES_LISTED = 1_000
_FILES_RANKED = 10
_MATCH = re.compile(r"(?P<path>[^\n]+?):(?P<line>\d+): ")
_LISTED = re.compile(r"(?P<path>.+) \(\d+\)")
_NUMBERED = re.compile(r" *(?P<number>\d+)\t(?P<line>.*)")
_LOCATING_TOOLS = ("locate_code", "search_code", "list_files")


def next_step(
    heard: Heard, tools: Collection[str], *, max_characters: int = MAX_REPORT_CHARACTERS
) -> Step:
    """The next turn, from nothing but what was said and which tools there are."""
    if "read_issue" in tools and not heard.called("read_issue"):
        return Step("Reading the issue.", (Call("read_issue", {}),))
    question = heard.question[:MAX_TEXT_CHARACTERS]
    if reason := _why_not(tools, question):
        return Step(honest_short_answer(question, reason))
    if step := _locating_step(heard, tools, question):
        return step
    location = _location(heard, question)
    if location is None:
        return Step(honest_short_answer(question, _TOOLS_FAILED))
    calls = _reads(location) if "read_file" in tools and not heard.called("read_file") else ()
    if calls:
        return Step("Reading the places that fit best.", tuple(calls))
    read = _read_lines(heard)
    return Step(locating_report(question, location, read, max_characters=max_characters))


def _why_not(tools: Collection[str], question: str) -> str:
    """Why nothing can be located; "" if it can."""
    if not any(tool in tools for tool in _LOCATING_TOOLS):
        return _NO_TOOLS
    return _NO_WORDS if query_of(question).is_empty else ""


_NO_TOOLS = (
    "This task has no repository, or its specialist none of the tools that list or search one "
    "(`locate_code`, `search_code`, `list_files`), so nothing could be looked up."
)
_NO_WORDS = "The text holds no word that could be looked for in code."
_TOOLS_FAILED = "The tools that search the repository answered with errors, so nothing is known."


def _locating_step(heard: Heard, tools: Collection[str], question: str) -> Step | None:
    """The best way to locate that is offered and has not failed yet; None once one has worked."""
    for tool in _LOCATING_TOOLS:
        if heard.answers(tool):
            return None
        if tool in tools and not heard.called(tool):
            return Step("Locating what the text is about.", _locating_calls(tool, question))
    return None


def _locating_calls(tool: str, question: str) -> tuple[Call, ...]:
    if tool == "locate_code":
        return (Call(tool, {"text": question, "limit": _FILES_RANKED}),)
    if tool == "search_code":
        return tuple(
            Call(tool, {"query": word, "limit": _MATCHES_A_WORD}) for word in _best_words(question)
        )
    return (Call(tool, {"pattern": "**", "limit": _FILES_LISTED}),)


def _best_words(question: str) -> list[str]:
    """What to search for where nothing ranks: identifiers first, then the heaviest words."""
    query = query_of(question)
    names = sorted(query.identifiers, key=lambda name: (-query.identifiers[name], name))
    # A stem finds every form of its word, since the search is for text anywhere in a line.
    terms = sorted(query.terms, key=lambda term: (-query.terms[term], -len(term), term))
    return list(dict.fromkeys([*names[: _WORDS_SEARCHED // 2], *terms]))[:_WORDS_SEARCHED]


def _location(heard: Heard, question: str) -> Location | None:
    for call in heard.answers("locate_code"):
        if (listing := call.data("location")) is not None:
            return location_of_text(listing)
    if searches := heard.answers("search_code"):
        return _location_of_searches(searches)
    if listings := heard.answers("list_files"):
        return _location_of_paths(listings[-1], question)
    return None


# Without locate_code ---------------------------------------------------------------------------


def _location_of_searches(searches: Sequence[AnsweredCall]) -> Location:
    """Files that hold many of the searched words, rare ones counting more."""
    lines_of: dict[str, list[int]] = defaultdict(list)
    words_of: dict[str, dict[str, float]] = defaultdict(dict)
    unknown = []
    for search in searches:
        word = str(search.arguments["query"])
        matches = _MATCH.finditer(search.data("matches") or "")
        hits = [(match["path"], int(match["line"])) for match in matches]
        files = {path for path, _ in hits}
        if not hits:
            unknown.append(word)
        for path, line in hits:
            lines_of[path].append(line)
            words_of[path][word] = 1 / log(2 + len(files))
    ranked = [
        _ranked(path, sum(words.values()), tuple(words), _densest(lines_of[path]))
        for path, words in words_of.items()
    ]
    found = tuple(str(s.arguments["query"]) for s in searches if s.data("matches"))
    return _by_kind(ranked, found, tuple(unknown))


def _location_of_paths(listing: AnsweredCall, question: str) -> Location:
    """Files whose paths hold words of the question: all that a bare list of paths can tell."""
    terms = query_of(question).terms
    paths = [
        m["path"] for m in map(_LISTED.fullmatch, (listing.data("paths") or "").split("\n")) if m
    ]
    ranked = []
    for path in paths:
        held = tuple(term for term in terms if term in path.lower())
        if held:
            ranked.append(_ranked(path, sum(terms[term] for term in held), held, None))
    return _by_kind(ranked, (), (), files_read=len(paths))


def _ranked(path: str, score: float, words: tuple[str, ...], region: Region | None) -> RankedFile:
    return RankedFile(path, kind_of(path), round(score, 3), words, region=region)


def _by_kind(
    ranked: Sequence[RankedFile],
    words: tuple[str, ...],
    unknown: tuple[str, ...],
    files_read: int | None = None,
) -> Location:
    best = sorted(ranked, key=lambda file: (-file.score, file.path))

    def of(kind: FileKind) -> tuple[RankedFile, ...]:
        return tuple(file for file in best if file.kind is kind)[:_FILES_RANKED]

    return Location(
        sources=of(FileKind.SOURCE),
        tests=of(FileKind.TEST),
        others=of(FileKind.OTHER),
        words=words,
        unknown=unknown,
        files_read=len(ranked) if files_read is None else files_read,
    )


def _densest(lines: Sequence[int]) -> Region:
    ordered = sorted(lines)
    first = max(ordered, key=lambda a: (sum(a <= b < a + WINDOW_LINES for b in ordered), -a))
    return Region(max(1, first - 2), max(1, first - 2) + WINDOW_LINES - 1)


# Reading ---------------------------------------------------------------------------------------


def _reads(location: Location) -> list[Call]:
    calls = []
    for file in location.sources[:_SOURCES_READ]:
        region = file.region or Region(1, WINDOW_LINES)
        arguments = {"path": file.path, "start_line": region.first, "end_line": region.last}
        calls.append(Call("read_file", arguments))
    if location.sources and location.tests:
        test = location.tests[0].path
        calls.append(Call("read_file", {"path": test, "end_line": _TEST_LINES_READ}))
    return calls


def _read_lines(heard: Heard) -> list[ReadLines]:
    read = []
    for call in heard.answers("read_file"):
        _path, _, text = (call.data("file") or "").partition("\n")
        numbered = [match for match in map(_NUMBERED.fullmatch, text.split("\n")) if match]
        if numbered:
            lines = tuple(match["line"] for match in numbered)
            path = str(call.arguments["path"])
            read.append(ReadLines(path, int(numbered[0]["number"]), lines))
    return read
