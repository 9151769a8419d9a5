"""The locating report: where to begin, why, and what is not known, in Markdown.

No language model takes part. Everything quoted from strangers stands in code spans and code blocks
that it cannot leave; what else a comment may not hold is for the publisher's sanitiser.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nightdesk.domain.locate.location import Location, RankedFile
from nightdesk.domain.locate.query import Query, query_of
from nightdesk.domain.locate.symbols import Definition, definitions_of
from nightdesk.domain.locate.words import identifiers_of, terms_of
from nightdesk.domain.untrusted_text import without_hidden_text

MAX_REPORT_CHARACTERS = 6_000
_FILES_SHOWN = 7
_TESTS_SHOWN = 4
_OTHERS_SHOWN = 4
_WORDS_SHOWN = 10
_SYMBOLS_SHOWN = 3
_EXCERPTS_SHOWN = 3
_EXCERPT_LINES = 12
_MAX_LINE = 140
_MAX_SPAN = 200
_CLEAR_LEAD = 1.3
_BACKTICKS = re.compile(r"`+")
_NO_MODEL = (
    "_This is a locating report. No language model was used: files were ranked by the words, "
    "identifiers and paths of the text, and nothing was run or changed._"
)
_METHOD = (
    "A ranking by words finds where the text's words are, not the cause. On past fixes of "
    "open-source projects (bench/locate) the changed file was among the first five four times in "
    "five; it is missed mostly where the text names a symptom and the fix is in an inner helper."
)


@dataclass(frozen=True, slots=True)
class ReadLines:
    """Consecutive lines of a file as they were read; `first` is the number of the first one."""

    path: str
    first: int
    lines: tuple[str, ...]


def locating_report(
    question: str,
    location: Location,
    read: Sequence[ReadLines] = (),
    *,
    max_characters: int = MAX_REPORT_CHARACTERS,
) -> str:
    """The report on a question whose first line is its title. Never empty, never too long.

    `read` are lines of the ranked files; excerpts come from the sources among them and names of
    tests from the others.
    """
    query = query_of(question)
    if not location.sources:
        return _nothing_found(question, location)
    excerpts = _excerpts(query, location, read)
    for count in range(len(excerpts), -1, -1):
        report = "\n\n".join(_sections(question, query, location, excerpts[:count], read))
        if len(report) <= max_characters:
            return report
    return report[: max_characters - 4].rsplit("\n", 1)[0] + "\n..."


def honest_short_answer(question: str, reason: str) -> str:
    """The answer where nothing could be searched at all."""
    asked = f"\n\n**Asked:** {code_span(_title(question))}" if _title(question) else ""
    return f"## Nothing located\n\n{_NO_MODEL}{asked}\n\n{reason}"


def code_span(text: str) -> str:
    """The text as inline code that it cannot end: one line, cut, behind enough backticks."""
    line = " ".join(without_hidden_text(text).split())
    line = line if len(line) <= _MAX_SPAN else line[: _MAX_SPAN - 3] + "..."
    marks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{marks}{pad}{line}{pad}{marks}"


def code_block(lines: Iterable[str], language: str = "") -> str:
    """The lines as a code block that they cannot end."""
    text = "\n".join(lines)
    marks = "`" * max(3, _longest_run(text) + 1)
    return f"{marks}{language}\n{text}\n{marks}"


def _sections(
    question: str,
    query: Query,
    location: Location,
    excerpts: Sequence[ReadLines],
    read: Sequence[ReadLines],
) -> list[str]:
    commit = f" at {code_span(location.commit[:12])}" if location.commit else ""
    asked = f"**Asked:** {code_span(_title(question))}"
    return [
        "## Where to look",
        _NO_MODEL,
        f"{asked}  \n**Searched:** {location.files_read} files{commit}",
        _where_to_begin(location),
        "\n".join(["### Likely source files", *_file_items(location.sources[:_FILES_SHOWN])]),
        *(_excerpt_section(excerpts) if excerpts else ()),
        *_test_section(query, location, read),
        *_other_section(location),
        _limits(location),
    ]


def _where_to_begin(location: Location) -> str:
    first = location.sources[0]
    symbol = first.symbols[0] if first.symbols else None
    at = f", at {_symbol(symbol)}" if symbol else ""
    why = "the text names this file" if first.is_named else _words_held(first)
    steps = [f"1. Begin in {code_span(first.path)}{at}: {why}."]
    scores = [file.score for file in location.sources[:2]]
    if len(scores) > 1:
        second = code_span(location.sources[1].path)
        clear = scores[0] >= _CLEAR_LEAD * scores[1]
        steps.append(
            f"2. It stands out from the rest; {second} comes next."
            if clear
            else f"2. {second} is close behind: look at both before deciding."
        )
    if location.tests:
        steps.append(f"{len(steps) + 1}. Reproduce it next to {code_span(location.tests[0].path)}.")
    return "\n".join(["### Where to begin", *steps])


def _words_held(file: RankedFile) -> str:
    if not file.terms:
        return "its path fits best"
    words = ", ".join(code_span(word) for word in file.terms[:_SYMBOLS_SHOWN])
    return f"it holds {words}" + (" and more" if len(file.terms) > _SYMBOLS_SHOWN else "")


def _file_items(files: Iterable[RankedFile]) -> list[str]:
    items = []
    for number, file in enumerate(files, start=1):
        reasons = []
        if file.is_named:
            reasons.append("named in the text")
        if file.terms:
            reasons.append("words " + ", ".join(code_span(word) for word in file.terms))
        if file.symbols:
            shown = ", ".join(_symbol(symbol) for symbol in file.symbols[:_SYMBOLS_SHOWN])
            reasons.append(f"defines {shown}")
        if file.region:
            reasons.append(f"see lines {file.region.first}-{file.region.last}")
        items.append(f"{number}. {code_span(file.path)}: {'; '.join(reasons) or 'by its path'}")
    return items


def _symbol(symbol: Definition) -> str:
    return f"{code_span(symbol.name)} (line {symbol.line})"


def _excerpt_section(excerpts: Iterable[ReadLines]) -> list[str]:
    parts = ["### The lines that fit best"]
    for excerpt in excerpts:
        last = excerpt.first + len(excerpt.lines) - 1
        parts.append(f"{code_span(excerpt.path)}, lines {excerpt.first}-{last}")
        parts.append(
            code_block(
                (
                    f"{number:>5}  {line[:_MAX_LINE]}"
                    for number, line in enumerate(excerpt.lines, start=excerpt.first)
                ),
                _language(excerpt.path),
            )
        )
    return parts


def _test_section(query: Query, location: Location, read: Sequence[ReadLines]) -> list[str]:
    if not location.tests:
        return ["### Tests nearby\nNo test file shares words or names with the files above."]
    items = []
    for test in location.tests[:_TESTS_SHOWN]:
        names = [
            _symbol(symbol)
            for one in read
            if one.path == test.path
            for symbol in _asked(query, one)
        ]
        items.append(f"- {code_span(test.path)}" + (f": {', '.join(names)}" if names else ""))
    return ["\n".join(["### Tests nearby", *items])]


def _asked(query: Query, read: ReadLines) -> list[Definition]:
    """The definitions among the lines whose names hold most of the query's words."""

    def weight(definition: Definition) -> float:
        return sum(query.terms.get(term, 0.0) for term in set(terms_of(definition.name)))

    found = [d for d in definitions_of(read.path, "\n".join(read.lines)) if weight(d) > 0]
    best = sorted(found, key=lambda definition: (-weight(definition), definition.line))
    return [Definition(d.name, d.line + read.first - 1, d.kind) for d in best[:_SYMBOLS_SHOWN]]


def _other_section(location: Location) -> list[str]:
    if not location.others:
        return []
    items = [f"- {code_span(file.path)}" for file in location.others[:_OTHERS_SHOWN]]
    return ["\n".join(["### Documents and configuration that mention it", *items])]


def _limits(location: Location) -> str:
    lines = ["### What this does not know", f"- {_METHOD}"]
    if location.unknown:
        words = ", ".join(code_span(word) for word in location.unknown[:_WORDS_SHOWN])
        lines.append(f"- Words of the text that no file holds: {words}.")
    lines += [f"- {code_span(notice)}" for notice in location.notices[:_SYMBOLS_SHOWN]]
    return "\n".join(lines)


def _nothing_found(question: str, location: Location) -> str:
    if not location.files_read:
        notices = " ".join(code_span(notice) for notice in location.notices[:_SYMBOLS_SHOWN])
        return honest_short_answer(question, f"There was no file to search. {notices}".strip())
    elsewhere = [*location.tests[:_TESTS_SHOWN], *location.others[:_OTHERS_SHOWN]]
    words = ", ".join(code_span(word) for word in location.unknown[:_WORDS_SHOWN])
    searched = f"None of the {location.files_read} files that were searched is a source file"
    lines = [f"{searched} that holds words of the text."]
    if words:
        lines.append(f"Looked for, and found nowhere: {words}.")
    if elsewhere:
        lines.append("\n".join(["They occur in:", *(f"- {code_span(f.path)}" for f in elsewhere)]))
    lines.append(
        "An error message, a stack trace or the name of a function would help to locate it."
    )
    return honest_short_answer(question, "\n\n".join(lines))


def _excerpts(query: Query, location: Location, read: Sequence[ReadLines]) -> tuple[ReadLines, ...]:
    ranked = [file.path for file in location.sources]
    sources = [one for one in read if one.path in ranked and one.lines]
    sources.sort(key=lambda one: ranked.index(one.path))
    return tuple(_best_lines(query, one) for one in sources[:_EXCERPTS_SHOWN])


def _best_lines(query: Query, read: ReadLines) -> ReadLines:
    """The 12 consecutive lines that hold most of the query; words on every line count little."""
    held = [
        {term for word in identifiers_of(line) for term in terms_of(word) if term in query.terms}
        for line in read.lines
    ]
    commonness = Counter(term for terms in held for term in terms)

    def weight(start: int) -> float:
        terms = set().union(*held[start : start + _EXCERPT_LINES])
        return sum(query.terms[term] / (1 + commonness[term]) for term in terms)

    starts = range(max(1, len(read.lines) - _EXCERPT_LINES + 1))
    start = max(starts, key=lambda index: (weight(index), -index))
    return ReadLines(read.path, read.first + start, read.lines[start : start + _EXCERPT_LINES])


def _language(path: str) -> str:
    suffix = path.rpartition(".")[2] if "." in path else ""
    return suffix if suffix.isascii() and suffix.isalnum() else ""


def _title(question: str) -> str:
    return next((line.strip() for line in question.split("\n") if line.strip()), "")


def _longest_run(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)
