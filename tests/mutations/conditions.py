"""Find every condition of a module's conditional writes, and make a mutant for each.

A condition is an expression that PynamoDB sends as (part of) a ConditionExpression: a predicate
on an attribute (`TaskItem.fence == task.fence`, `SlotItem.task_id.does_not_exist()`) or on its
`size`, a call of a function that returns a `Condition`, or several of them joined by `&` and `|`.
A mutant is the module with one of them changed:

- *removed*: replaced by one that always holds. For an operand of `&` that drops the operand; for a
  whole `condition=` it makes the write unconditional.
- *narrowed*: an operand of `|` replaced by one that never holds.
- *weakened*: a comparison replaced by "the attribute exists", or moved by its boundary (`<=` to
  `<`).

Conditions of queries choose what is read, not what may be written, and are left alone.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

ALWAYS, NEVER = "MUTANT_ALWAYS", "MUTANT_NEVER"
_PREDICATES = frozenset({"exists", "does_not_exist", "is_in", "between", "contains", "startswith"})
_READS = frozenset({"query", "scan", "get", "count"})
_BOUNDARY: dict[type[ast.cmpop], ast.cmpop] = {
    ast.LtE: ast.Lt(),
    ast.Lt: ast.LtE(),
    ast.GtE: ast.Gt(),
    ast.Gt: ast.GtE(),
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """`module` is the compiled whole; only `function` (a qualified name) differs from before."""

    file: str
    line: int
    function: str
    was: str
    change: str
    module: CodeType

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}: {self.was}  ->  {self.change}"


def mutants_of(path: Path, *, helpers: frozenset[str] = frozenset()) -> list[Mutant]:
    """Every mutant of the module, in the order of its lines.

    `helpers` are functions of other modules that return conditions.
    """
    tree = ast.parse(path.read_text())
    helpers |= helpers_of(path)
    place_of = {id(child): place for parent in ast.walk(tree) for child, place in _children(parent)}
    return [
        Mutant(
            file=str(path),
            line=site.node.lineno,
            function=site.function,
            was=ast.unparse(site.node),
            change=ast.unparse(change),
            module=_compiled(path, tree, place_of[id(site.node)], site.node, change),
        )
        for site in _sites(tree, helpers)
        for change in _replacements(site)
    ]


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a condition stands."""

    node: ast.expr
    function: str
    is_alternative: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """A node's place in its parent: a field, or an element of one."""

    parent: ast.AST
    field: str
    index: int | None

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def _children(parent: ast.AST) -> Iterator[tuple[ast.AST, _Place]]:
    for field, value in ast.iter_fields(parent):
        if isinstance(value, ast.AST):
            yield value, _Place(parent, field, None)
        elif isinstance(value, list):
            for index, element in enumerate(value):
                if isinstance(element, ast.AST):
                    yield element, _Place(parent, field, index)


def _compiled(
    path: Path, tree: ast.Module, place: _Place, node: ast.expr, change: ast.expr
) -> CodeType:
    """The module with the change, which is taken back afterwards."""
    place.put(ast.fix_missing_locations(ast.copy_location(change, node)))
    try:
        return compile(tree, str(path), "exec")
    finally:
        place.put(node)


def _sites(tree: ast.Module, helpers: frozenset[str]) -> Iterator[_Site]:
    for function, node in _functions(tree):
        finder = _Finder(helpers, _attribute_parameters(node))
        for found, is_alternative in finder.conditions(node):
            yield _Site(found, function, is_alternative)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods, but not those inside others: they change with their outer one."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}", inner


def helpers_of(path: Path) -> frozenset[str]:
    """Names of the module's functions that return a condition."""
    return frozenset(
        node.name
        for _, node in _functions(ast.parse(path.read_text()))
        if node.returns is not None and ast.unparse(node.returns) == "Condition"
    )


def _attribute_parameters(function: ast.FunctionDef) -> frozenset[str]:
    return frozenset(
        argument.arg
        for argument in function.args.args
        if argument.annotation is not None
        and ast.unparse(argument.annotation).startswith("Attribute")
    )


class _Finder:
    def __init__(self, helpers: frozenset[str], attributes: frozenset[str]) -> None:
        self._helpers = helpers
        self._attributes = attributes

    def conditions(
        self, node: ast.AST, *, alternative: bool = False
    ) -> Iterator[tuple[ast.expr, bool]]:
        """Each condition below `node`, joined ones and their operands; and whether it is an
        operand of `|`.
        """
        if isinstance(node, ast.Call) and _name_of(node.func) in _READS:
            return
        if isinstance(node, ast.expr) and self._is_condition(node):
            yield node, alternative
        if isinstance(node, ast.keyword) and _is_named_condition(node):
            yield node.value, False
        joined_by_or = isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)
        for child in ast.iter_child_nodes(node):
            yield from self.conditions(child, alternative=joined_by_or)

    def _is_condition(self, node: ast.expr) -> bool:
        match node:
            case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr(), right=right):
                return self._is_condition(left) or self._is_condition(right)
            case ast.Compare(left=left, ops=[_]):
                return self._is_attribute(left)
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _PREDICATES:
                return self._is_attribute(value)
            case ast.Call(func=ast.Name(id=name)):
                return name in self._helpers
            case _:
                return False

    def _is_attribute(self, node: ast.expr) -> bool:
        match node:
            case ast.Call(func=ast.Name(id="size"), args=[measured]):
                return self._is_attribute(measured)
            case ast.Attribute(value=ast.Name(id=name)):
                return name.endswith("Item")
            case ast.Name(id=name):
                return name in self._attributes
            case _:
                return False


def _is_named_condition(node: ast.keyword) -> bool:
    """`condition=free`: the name of a condition that was put together before."""
    return node.arg == "condition" and isinstance(node.value, ast.Name)


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else ""


def _replacements(site: _Site) -> Iterator[ast.expr]:
    yield ast.Name(ALWAYS, ast.Load())
    if site.is_alternative:
        yield ast.Name(NEVER, ast.Load())
    if isinstance(site.node, ast.Compare):
        left = site.node.left
        attribute = left.args[0] if isinstance(left, ast.Call) else left
        yield ast.Call(ast.Attribute(attribute, "exists", ast.Load()), [], [])
        if (moved := _BOUNDARY.get(type(site.node.ops[0]))) is not None:
            yield ast.Compare(left, [moved], site.node.comparators)
