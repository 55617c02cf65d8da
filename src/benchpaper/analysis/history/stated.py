"""What each claim of a file states, read from the syntax tree: its sentence, and its bound.

No code runs, so this reads any version of a file that git has. Two bounds are the same if their
numbers are, whatever constants or spelling the file uses for them.
"""

import ast
from collections.abc import Iterator, Mapping
from typing import NamedTuple

COMPARISONS = {
    "below": ("bound",),
    "above": ("bound",),
    "equal": ("margin", "target"),
    "within": ("low", "high"),
}


class Stated(NamedTuple):
    """What a claim stated in one version of its file; `compared` is the estimate, as code.

    `admitted` says that the authors saw trial runs before they chose the bound.
    """

    experiment: str
    sentence: str
    bound: str
    compared: str
    admitted: bool = False


def stated(source: str) -> dict[str, Stated]:
    """Return {id: what it states} of the claims in a file; empty if it is no valid Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}
    return dict(_claims(tree, dict(_constants(tree))))


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield (name, value) of the file's assignments, of A, B = 1, 2 too."""
    for node in (each for each in tree.body if isinstance(each, ast.Assign)):
        for target in node.targets:
            pairs: list[tuple[ast.expr, ast.expr]] = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            yield from ((name.id, value) for name, value in pairs if isinstance(name, ast.Name))


def _claims(tree: ast.Module, constants: Mapping[str, ast.expr]) -> Iterator[tuple[str, Stated]]:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and _name(call.func) == "claim":
                words = {word.arg: _literal(word.value) for word in call.keywords}
                name = _literal(call.args[0]) if call.args else words.get("id", "")
                sentence = " ".join((ast.get_docstring(node, clean=False) or "").split())
                bound, compared = _comparison(node, constants)
                admitted = words.get("after_trial_runs") == "True"
                yield name, Stated(words.get("experiment", ""), sentence, bound, compared, admitted)


def _comparison(function: ast.FunctionDef, constants: Mapping[str, ast.expr]) -> tuple[str, str]:
    """Return (bound, estimate) of the last comparison in a function, as text."""
    calls = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    for call in sorted(calls, key=_end, reverse=True):
        attribute = call.func
        if isinstance(attribute, ast.Attribute) and attribute.attr in COMPARISONS:
            named = dict(zip(COMPARISONS[attribute.attr], call.args, strict=False))
            named |= {word.arg: word.value for word in call.keywords if word.arg}
            shown = ", ".join(f"{key} {_text(named[key], constants)}" for key in sorted(named))
            return f"{attribute.attr} {shown}", _text(attribute.value, constants)
    return "", ""


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


def _text(node: ast.expr, constants: Mapping[str, ast.expr]) -> str:
    """Return an expression as text, with constants of the file in place of their names."""
    return ast.unparse(_Inlined(constants).visit(ast.parse(ast.unparse(node), mode="eval")))


class _Inlined(ast.NodeTransformer):
    """Puts constants in the place of their names, and writes every number as a float."""

    def __init__(self, constants: Mapping[str, ast.expr]) -> None:
        self._constants = constants

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self._constants:
            return node
        others = {name: value for name, value in self._constants.items() if name != node.id}
        copy = ast.parse(ast.unparse(self._constants[node.id]), mode="eval").body
        inlined: ast.expr = _Inlined(others).visit(copy)
        return inlined

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        number = isinstance(node.value, int) and not isinstance(node.value, bool)
        return ast.Constant(float(node.value)) if number else node  # type: ignore[arg-type]


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _literal(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""
