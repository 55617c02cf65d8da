"""What travels is frozen, JSON's form stays at its edge, and public functions have types."""

import ast
import re

import pytest
from checkout import ROOT

import benchpaper

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


def untyped_systems(tree):
    """Yield the context managers on a host that lack types, so that mypy cannot check them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
            made = methods.get("__init__")
            if "__enter__" in methods and made and "host" in [a.arg for a in made.args.args]:
                lacking = [word for word in _untyped(made) if word != "its result"]
                lacking += _untyped(methods["__enter__"])
                yield from (f"{node.name} has no type for {word}" for word in lacking)


def vague_names(tree):
    """Yield variables, arguments, and functions whose names say nothing of what they hold."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            name = node.id if isinstance(node.ctx, ast.Store) else ""
        elif isinstance(node, ast.arg):
            name = node.arg
        else:
            name = node.name if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else ""
        if name in VAGUE:
            yield f"line {node.lineno}: {name}"


VAGUE = {"found", "told", "asked", "about", "one"}
ASKED = {"claim_rows.py"}  # "asked" is a key of verdicts.json
PUBLIC = ROOT / "src" / "benchpaper" / "__init__.py"
SOURCES = sorted((ROOT / "src" / "benchpaper").rglob("*.py"))


def test_every_module_keeps_the_rules_of_types():
    assert len(SOURCES) > 100
    by_path = {path: list(violations(ast.parse(path.read_text()))) for path in SOURCES}
    assert {path: broken for path, broken in by_path.items() if broken} == {}


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


def test_every_system_has_types_that_its_protocol_needs():
    modules = sorted((ROOT / "experiments").rglob("*.py"))
    by_path = {path: list(untyped_systems(ast.parse(path.read_text()))) for path in modules}
    assert {path: lacking for path, lacking in by_path.items() if lacking} == {}
    source = "class S:\n def __init__(self, host): pass\n def __enter__(self): pass"
    assert list(untyped_systems(ast.parse(source))) == [
        "S has no type for host", "S has no type for its result",
    ]  # fmt: skip


def test_type_checkers_see_the_public_face_as_it_is():
    stub, seen = PUBLIC.with_suffix(".pyi").read_text(), {}
    exec(stub, seen)
    public = re.findall(r"(\w+) as \1\b", stub)  # only the form "x as x" makes a name public
    assert {name: seen[name] for name in public} == {
        name: getattr(benchpaper, name) for name in benchpaper.__all__
    }


def test_names_say_what_they_hold():
    modules = [*SOURCES, *(ROOT / "experiments").rglob("*.py")]
    by_path = {path: list(vague_names(ast.parse(path.read_text()))) for path in modules}
    vague = {path.name for path, names in by_path.items() if names}
    assert vague == ASKED, by_path
    source = "def found(one, *, told=1):\n for about in f(asked=1): pass\n import one"
    assert sorted(line.split(": ")[1] for line in vague_names(ast.parse(source))) == [
        "about", "found", "one", "told",
    ]  # fmt: skip
