"""What a mutant is: one small change inside one function, as a node of the syntax tree that replaces another."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Final, TypeVar

import attrs

N = TypeVar("N", bound=ast.AST)
Function = ast.FunctionDef | ast.AsyncFunctionDef

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Div,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.Pow: ast.Mult,
}
_PAIRS: Final = (
    ("lower", "upper"),
    ("lstrip", "rstrip"),
    ("find", "rfind"),
    ("index", "rindex"),
    ("removeprefix", "removesuffix"),
    ("partition", "rpartition"),
    ("split", "rsplit"),
)
_METHODS: Final = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_ONLY_FOR_CHECKERS: Final = ("cast", "assert_never")
_SURE_TO_RAISE: Final = ("isinstance", "issubclass", "len")  # with None for an argument, whatever the tests are
_AROUND: Final = 40  # characters of a statement shown on each side of what changes
_OF_CHECKERS: Final = ("annotation", "returns", "decorator_list", "format_spec")


@attrs.frozen(eq=False)
class Mutant:
    """One change, not made yet. `tree` is the whole module; it is changed in place, once, in a process of its own."""

    path: Path
    tree: ast.Module
    place: str
    """Its module and function."""
    lines: range
    text: str
    """The statement as it becomes."""
    owner: ast.AST
    field: str
    value: object

    @property
    def name(self) -> str:
        """Name it in one line: module, function and what the statement becomes."""
        return f"{self.place}: {self.text}"

    def apply(self) -> ast.Module:
        """Make the change."""
        setattr(self.owner, self.field, self.value)
        return ast.fix_missing_locations(self.tree)


def mutants(path: Path) -> Iterator[Mutant]:
    """Give every mutant of the functions of a module."""
    tree = ast.parse(path.read_text("utf-8"), str(path))
    for prefix, function in functions(tree.body):
        for statement, owner, field, old, new in _edits(function):
            text = _described(statement, owner, field, old, new)
            first = getattr(old, "lineno", statement.lineno)
            lines = range(first, getattr(old, "end_lineno", first) + 1)
            yield Mutant(path, tree, f"{path.stem}.{prefix}{function.name}", lines, text, owner, field, new)


def functions(body: Sequence[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Give the outermost functions and methods, each with the names of the classes around it."""
    for statement in body:
        if isinstance(statement, Function):
            yield prefix, statement
        elif isinstance(statement, ast.ClassDef):
            yield from functions(statement.body, f"{prefix}{statement.name}.")
        elif isinstance(statement, ast.If):
            yield from functions((*statement.body, *statement.orelse), prefix)


_Edit = tuple[ast.stmt, ast.AST, str, ast.AST, object]


def _edits(function: Function) -> Iterator[_Edit]:
    for index, statement in enumerate(function.body):
        if not (index == 0 and _is_text(statement)):
            yield from _edits_of(function, "body", index, statement, statement)


def _edits_of(owner: ast.AST, field: str, index: int | None, node: ast.AST, statement: ast.stmt) -> Iterator[_Edit]:
    """Give the replacements of a node and of those below it, with the innermost statement around each."""
    if isinstance(node, ast.stmt):
        statement = node
    for new in replacements(node):
        if index is None:
            yield statement, owner, field, node, new
        else:
            nodes: list[object] = getattr(owner, field)
            yield statement, owner, field, node, [*nodes[:index], new, *nodes[index + 1 :]]
    if isinstance(node, ast.Expr) and (_is_text(node) or _calls(node.value, ("assert_never",))):
        return
    for name, value in ast.iter_fields(node):
        if name in _OF_CHECKERS:
            continue
        if isinstance(value, ast.AST):
            yield from _edits_of(node, name, None, value, statement)
        elif isinstance(value, list):
            for number, each in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
                if isinstance(each, ast.AST) and not (number == 0 and name == "args" and _calls(node, ("cast",))):
                    yield from _edits_of(node, name, number, each, statement)


def replacements(node: ast.AST) -> Iterator[ast.AST]:
    """Give what may stand in a node's place."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | bytes() as value):
            yield _with(node, value=_another(value))
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                yield _with(node, ops=[*ops[:index], _COMPARISONS[type(op)](), *ops[index + 1 :]])
        case ast.BoolOp(op=op):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert(), operand=operand):
            yield operand
        case ast.BinOp(op=op):
            yield _with(node, op=_ARITHMETIC[type(op)]())
        case ast.AugAssign(target=target, op=op, value=value):
            yield _with(node, op=_ARITHMETIC[type(op)]())
            yield ast.copy_location(ast.Assign([target], value), node)
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            if not isinstance(value, ast.Constant) or value.value is not False:
                yield _with(node, value=ast.Constant("" if _is_none(value) else None))
        case ast.Lambda(body=body) if not _is_none(body):
            yield _with(node, body=ast.Constant(None))
        case ast.Call():
            yield from _calls_changed(node)
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if _is_bare(test):
            yield _with(node, test=_negated(test))
        case ast.comprehension(ifs=ifs):
            for index, test in enumerate(ifs):
                if _is_bare(test):
                    yield _with(node, ifs=[*ifs[:index], _negated(test), *ifs[index + 1 :]])
        case ast.Match(cases=cases):
            for index, case in enumerate(cases):
                if not _calls(getattr(case.body[0], "value", case), ("assert_never",)):
                    yield _with(node, cases=[*cases[:index], *cases[index + 1 :]])
        case ast.Expr(value=ast.Call() | ast.Await() as value) if not _calls(value, ("assert_never",)):
            if "super()" in ast.unparse(value):  # its function would lose a variable, and cannot be replaced in place
                return
            yield ast.copy_location(ast.Pass(), node)
        case ast.Raise():
            yield ast.copy_location(ast.Pass(), node)
        case ast.Break():
            yield ast.copy_location(ast.Return(), node)
        case ast.Continue():
            yield ast.copy_location(ast.Break(), node)
        case _:
            pass


def _calls_changed(node: ast.Call) -> Iterator[ast.Call]:
    if not _calls(node, _ONLY_FOR_CHECKERS + _SURE_TO_RAISE):
        for index, argument in enumerate(node.args):
            if not _is_as_false_as_none(argument) and not isinstance(argument, ast.Starred):
                yield _with(node, args=[*node.args[:index], ast.Constant(None), *node.args[index + 1 :]])
        for index, keyword in enumerate(node.keywords):
            if keyword.arg is not None and not _is_as_false_as_none(keyword.value):
                without = node.keywords[:index], node.keywords[index + 1 :]
                yield _with(node, keywords=[*without[0], _with(keyword, value=ast.Constant(None)), *without[1]])
                yield _with(node, keywords=[*without[0], *without[1]])
    match node.func:
        case ast.Attribute(attr="split" | "rsplit") if len(node.args) + len(node.keywords) < 2:  # without a maximum
            pass
        case ast.Attribute(attr=attr) if attr in _METHODS:
            yield _with(node, func=_with(node.func, attr=_METHODS[attr]))
        case _:
            pass


def _with(node: N, **changed: object) -> N:
    new = copy(node)
    for name, value in changed.items():
        setattr(new, name, value)
    return new


def _another(value: bool | float | str | bytes) -> bool | float | str | bytes:
    match value:
        case bool():
            return not value
        case str():
            return f"XX{value}XX"
        case bytes():
            return b"XX%bXX" % value
        case _:
            return value + 1


def _negated(test: ast.expr) -> ast.expr:
    return ast.copy_location(ast.UnaryOp(ast.Not(), test), test)


def _is_bare(test: ast.expr) -> bool:
    """Whether a condition has no operator, so that no other replacement would turn it round."""
    return not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_as_false_as_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or node.value is False)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _calls(node: ast.AST, names: tuple[str, ...]) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def _described(statement: ast.stmt, owner: ast.AST, field: str, old: ast.AST, new: object) -> str:
    """Show what changes within its statement, in one line: `before [old -> new] after`."""
    if isinstance(old, ast.Match):
        kept = [each for match in _listed(new) if isinstance(match, ast.Match) for each in match.cases]
        return "without case " + next(ast.unparse(case.pattern) for case in old.cases if case not in kept)
    was, before = ast.unparse(statement), getattr(owner, field)
    if old is statement:
        became = next(ast.unparse(each) for each in _listed(new) if each not in before)
        if became == "pass":
            return f"without {was}"
    else:
        setattr(owner, field, new)
        became = ast.unparse(statement)
        setattr(owner, field, before)
    lines = zip(was.split("\n"), became.split("\n"), strict=False)
    was, became = next((one.strip(), other.strip()) for one, other in lines if one != other)
    start = _shared(was, became)
    end = _shared(was[start:][::-1], became[start:][::-1])
    while start and was[start - 1].isalnum():
        start -= 1
    while end and was[-end].isalnum():
        end -= 1
    left, right = was[:start], was[len(was) - end :]
    left = left if len(left) <= _AROUND else f"...{left[-_AROUND:]}"
    right = right if len(right) <= _AROUND else f"{right[:_AROUND]}..."
    return f"{left}[{was[start : len(was) - end]} -> {became[start : len(became) - end]}]{right}"


def _shared(one: str, other: str) -> int:
    """Count the characters with which both begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (this, that) in pairs if this != that), min(len(one), len(other)))


def _listed(value: object) -> Iterator[ast.AST]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, ast.AST))  # pyright: ignore[reportUnknownVariableType]
