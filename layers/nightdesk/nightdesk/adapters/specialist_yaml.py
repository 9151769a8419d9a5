"""The text of a specialist file: front matter and Markdown, or YAML alone.

YAML is read with the truth values of YAML 1.2, as the predecessors' loader did: `on`, `off`, `yes`
and `no` are words, so that the key `on` stays one.
"""

from collections.abc import Mapping
from typing import Any

import yaml
from frontmatter.default_handlers import YAMLHandler
from yaml.constructor import ConstructorError

from nightdesk.domain.specialist_document import SpecialistFileError

_DEEPEST = 10


class _Loader(yaml.CSafeLoader):
    """A safe loader that refuses a key given twice; PyYAML would let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        written = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in written:
                    problem = f"key {key.value} is given twice"
                    raise ConstructorError(None, None, problem, key.start_mark)
                written.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag != "tag:yaml.org,2002:bool" or first in "tTfF"
    ]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def markdown_document(text: str) -> tuple[Mapping[Any, Any], str]:
    """The keys between two lines of --- and the Markdown below them.

    Raises:
        SpecialistFileError: there are no such lines, or what is between them is no YAML mapping.
    """
    handler = YAMLHandler()
    if not handler.detect(text):
        raise SpecialistFileError("the file does not begin with its keys between two lines of ---")
    try:
        block, body = handler.split(text)
    except ValueError as error:
        raise SpecialistFileError("the line --- below the keys is missing") from error
    return yaml_document(block), body


def yaml_document(text: str) -> Mapping[Any, Any]:
    """The keys of a YAML file.

    Raises:
        SpecialistFileError: it is no YAML, or no mapping.
    """
    try:
        loaded = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        raise SpecialistFileError(f"not valid YAML: {_problem(error)}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a date such as 2026-99-99. RecursionError: thousands of nested brackets.
        raise SpecialistFileError(f"not valid YAML: {type(error).__name__}") from error
    if not isinstance(loaded, Mapping):
        raise SpecialistFileError("the file holds no keys")
    return loaded


def small_yaml_document(text: str) -> Mapping[Any, Any]:
    """The keys of a YAML file that strangers may have written: no aliases, no deep nesting.

    Raises:
        SpecialistFileError: it is no YAML, no mapping, or more than a few lists of words.
    """
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            line = event.start_mark.line + 1 if event.start_mark else 0
            if isinstance(event, yaml.AliasEvent):
                raise SpecialistFileError(f"not allowed: an alias (*{event.anchor}), line {line}")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                message = f"not allowed: more than {_DEEPEST} levels of keys or lists, line {line}"
                raise SpecialistFileError(message)
    except yaml.MarkedYAMLError as error:
        raise SpecialistFileError(f"not valid YAML: {_problem(error)}") from error
    except yaml.YAMLError as error:
        raise SpecialistFileError(f"not valid YAML: {type(error).__name__}") from error
    return yaml_document(text)


def _problem(error: yaml.MarkedYAMLError) -> str:
    """The problem and its line in the file, without the copied text of the file.

    The block of the keys begins with the end of the file's first line, so its lines are the file's.
    """
    mark = error.problem_mark or error.context_mark
    return f"{error.problem}, line {mark.line + 1}" if mark else str(error.problem)
