"""What travels is frozen, JSON's form stays at its edge, and public functions have types."""

import ast

import pytest
from checkout import ROOT

MUTABLE = {
    "Measured": "it caches what its estimates need, and notebooks extend its frames",
    "Report": "making an anonymous archive fills it in, also where it fails",
    "Budget": "a search counts it down",
    "Scrubbed": "scrubbing collects it file by file",
}


def violations(tree):
    """Yield what breaks the rules in a module's syntax tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from _of_class(node)
    yield from (
        f"{function.name} has no type for {', '.join(lacking)}"
        for function in _public_functions(tree)
        if (lacking := list(_untyped(function)))
    )


def _of_class(node):
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(call).endswith("dataclass") and not (
            "frozen=True" in ast.unparse(decorator)
            or node.name.startswith("_")
            or node.name in MUTABLE
        ):
            yield f"dataclass {node.name} is not frozen"
    is_typed_dict = any(ast.unparse(base) == "TypedDict" for base in node.bases)
    if is_typed_dict and not node.name.endswith("Json"):
        yield f"TypedDict {node.name} is not named after JSON"


def _public_functions(tree):
    """Yield the functions and methods of a module that others may call."""
    nodes = list(tree.body)
    while nodes:
        node = nodes.pop(0)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            nodes += node.body
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def _untyped(function):
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [each for each in (arguments.vararg, arguments.kwarg) if each]
    yield from (a.arg for a in every if a.annotation is None and a.arg not in ("self", "cls"))
    if function.returns is None:
        yield "its result"


SOURCES = sorted((ROOT / "src" / "benchpaper").rglob("*.py"))


def test_every_module_keeps_the_rules_of_types():
    assert len(SOURCES) > 100
    found = {path: list(violations(ast.parse(path.read_text()))) for path in SOURCES}
    assert {path: broken for path, broken in found.items() if broken} == {}


@pytest.mark.parametrize("source, broken", [
    ("@dataclass\nclass Row: pass", ["dataclass Row is not frozen"]),
    ("@dataclasses.dataclass(kw_only=True)\nclass Row: pass", ["dataclass Row is not frozen"]),
    ("@dataclass(frozen=True)\nclass Row: pass\n@dataclass\nclass _Part: pass", []),
    ("class Row(TypedDict): pass", ["TypedDict Row is not named after JSON"]),
    ("class RowJson(TypedDict): pass", []),
    ("def show(row): pass", ["show has no type for row, its result"]),
    ("class Host:\n def run(self, *argv, env: int) -> int: pass", ["run has no type for argv"]),
    ("def show(row: int) -> None:\n def inner(x): pass\ndef _own(x): pass", []),
])  # fmt: skip
def test_a_module_that_breaks_a_rule_of_types_is_found(source, broken):
    assert list(violations(ast.parse(source))) == broken
