"""Read source files: which files they run, and a digest that comments do not change.

A module counts wherever it is imported, inside functions too. A program counts if it is started by
its name (`-m experiments.family.x`): any text in the code that names a module counts as its use.
"""

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

SCHEME = "ast-1:"  # marks a digest over a syntax tree; without it a digest is over the bytes
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)
UNREAD = {"ctx", "kind", "type_comment"}  # fields of a syntax tree without effect on what runs


def reached(
    start: Iterable[Path], root: Path, package: str, tree: "Tree | None" = None
) -> set[Path]:
    """Return `start` and the files of `package` that these run, directly or not.

    `package` is a folder below `root`. The files are modules, what belongs to them, and the headers
    that C sources include. `tree` is what is known of `root` from an earlier call.
    """
    seen, queue, tree = set(start), list(start), tree or Tree(root)
    while queue:
        path = queue.pop()
        headers, imported, named = _uses(path, root, package, _stamp(path))
        for file in (*filter(Path.is_file, headers), *tree.files(imported, named)):
            if file not in seen:
                seen.add(file)
                queue.append(file)
    return seen


def files(root: Path, module: str) -> list[Path]:
    """Return the files that importing a module runs, without those that they import in turn.

    These are its own files and the __init__.py of each package around it. `module` lies below
    `root`.
    """
    return list(Tree(root).files({module}, set()))


def _stamp(path: Path) -> tuple[int, int]:
    """Return a file's time of change, and its size, since two quick writes may share a time."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


Modules = frozenset[str]


@cache
def _uses(
    path: Path, root: Path, package: str, stamp: tuple[int, int]
) -> tuple[tuple[Path, ...], Modules, Modules]:
    """Return the headers that the file at `path` includes, and the modules of `package` it uses.

    Those are the modules that it imports, and those that its texts name. `stamp` renews the cache's
    entry.
    """
    nothing: Modules = frozenset()
    if path.suffix in (".c", ".h"):
        headers = (
            Path(path.parent, name.decode(errors="replace"))
            for name in INCLUDE.findall(path.read_bytes())
        )
        return tuple(map(_tidy, headers)), nothing, nothing
    if path.suffix not in (".py", ".ipynb"):
        return (), nothing, nothing
    try:
        tree = ast.parse(_code(path))
    except (SyntaxError, ValueError):
        return (), nothing, nothing  # importing it will report the mistake
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    imported, named = modules(tree, parts, package)
    return (), frozenset(imported), frozenset(named)


def _code(path: Path) -> bytes | str:
    """Return a file's Python code; for a notebook, without magics and shell lines."""
    if path.suffix == ".py":
        return path.read_bytes()
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    return "\n".join(
        re.sub(r"^[ \t]*[%!].*$", "", "".join(cell["source"]), flags=re.M) for cell in cells
    )


def modules(tree: ast.AST, where: tuple[str, ...], package: str) -> tuple[set[str], set[str]]:
    """Return the modules of `package` that a syntax tree imports, and those that its texts name.

    `where` is the path of the tree's file below the root, in parts.
    """
    imported: set[str] = set()
    named: set[str] = set()
    prose: set[ast.Constant] = set()
    name = re.compile(rf"\b{package}(?:\.\w+)+")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            folder = where[: -node.level] if node.level else ()
            base = ".".join([*folder, *([node.module] if node.module else [])])
            imported.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
        elif isinstance(node, DOCUMENTED) and (docstring := _docstring(node)):
            prose.add(docstring)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
            named.update(name.findall(node.value))
    return {module for module in imported if module.split(".")[0] == package}, named


def _docstring(node: Documented) -> ast.Constant | None:
    first = node.body[0] if node.body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return first.value
    return None


class Tree:
    """The files of modules below `root`, which do not change while it lives: it looks once."""

    def __init__(self, root: Path):
        self._root = root
        self._files_of: dict[tuple[str, bool], frozenset[Path]] = {}
        self._companions_of: dict[Path, tuple[Path, ...]] = {}

    def files(self, imported: Iterable[str], named: Iterable[str]) -> set[Path]:
        """Return the files of modules that are imported, and of those that a text names.

        Importing a module runs the __init__.py of each package around it. A package that a text
        names may load any of its modules by name.
        """
        wanted = [*((name, False) for name in imported), *((name, True) for name in named)]
        for module in wanted:
            if module not in self._files_of:
                self._files_of[module] = frozenset(self._find(*module))
        return {file for module in wanted for file in self._files_of[module]}

    def _find(self, module: str, is_named: bool) -> Iterator[Path]:
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            yield from self._companions(self._root.joinpath(*parts[:depth]), top=depth == 1)
        place = self._root.joinpath(*parts)
        if is_named and (place / "__init__.py").is_file():
            yield from place.glob("*.py")
        if home := _homes(place.with_name("__init__.py")).get(place.name):
            yield from self.files({".".join([*parts[:-1], home])}, set())

    def _companions(self, place: Path, top: bool) -> tuple[Path, ...]:
        """Return the files of the module or package at `place`, without suffix."""
        if place not in self._companions_of:
            mains = (place / "__init__.py", place.with_suffix(".py"))
            self._companions_of[place] = tuple(
                file for main in mains if main.is_file() for file in _companions(main, top)
            )
        return self._companions_of[place]


def _homes(init: Path) -> dict[str, str]:
    """Return {name: module} of the names that a package loads on first use.

    They stand in the table `_HOMES` of its __init__.py.
    """
    if not init.is_file():
        return {}
    for node in ast.parse(init.read_bytes()).body:
        if isinstance(node, ast.Assign):
            targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if targets == ["_HOMES"]:
                homes: dict[str, str] = ast.literal_eval(node.value)
                return homes
    return {}


def _companions(module: Path, top: bool) -> list[Path]:
    """Return a module's file and the files that belong to it.

    To store.py belong the files of the same name, such as store.c. To a package belongs everything
    in it that is not Python, except in packages within it, and except what a program compiled into
    its __pycache__. To the `top` package belongs nothing else.
    """
    others: Iterable[Path]
    if module.name == "__init__.py":
        inside = [] if top else module.parent.rglob("*")
        others = [
            file for file in inside if file.suffix != ".py" and "__pycache__" not in file.parts
        ]
        others = [file for file in others if file.is_file() and _package(file) == module.parent]
    else:
        others = module.parent.glob(f"{module.stem}.*")
    return [module, *(file for file in others if file.is_file())]


def _package(file: Path) -> Path:
    """Return the package that a file lies in: the nearest folder above it with an __init__.py."""
    return next(folder for folder in file.parents if (folder / "__init__.py").is_file())


def _tidy(path: Path) -> Path:
    """Return the path without `..`, without following links."""
    parts: list[str] = []
    for part in path.parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return Path(*parts)


# --- digests ---------------------------------------------------------------------------------


def file_digest(path: Path) -> str:
    """Return the `digest` of a file as it is now."""
    return _file_digest(path, _stamp(path))


@cache
def _file_digest(path: Path, stamp: tuple[int, int]) -> str:
    return digest(path.name, path.read_bytes())


def digest(path: str, content: bytes) -> str:
    """Return the digest of a source.

    It is over the syntax tree, without comments and docstrings, for Python, and else over the
    bytes.
    """
    return syntax_digest(content) if path.endswith(".py") else bytes_digest(content)


def bytes_digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def syntax_digest(content: bytes) -> str:
    """Return a digest over Python's syntax tree, the same under all versions of Python.

    Their trees differ in fields that are empty in most code. Code with a syntax error gets the
    digest of its bytes.
    """
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return bytes_digest(content)
    parts: list[str] = []
    _write(tree, parts.append)
    return SCHEME + bytes_digest("".join(parts).encode())


def _write(value: Any, out: Callable[[str], object]) -> None:
    """Write the normal form of a tree: each node with its non-empty fields, without docstrings."""
    if isinstance(value, ast.AST):
        out(f"({type(value).__name__}")
        for name in value._fields:
            field: Any = getattr(value, name, None)
            if name == "body" and isinstance(value, DOCUMENTED) and _docstring(value):
                field = field[1:]
            if name == "values" and isinstance(value, ast.JoinedStr):  # 3.12 may add empty texts
                field = [
                    part
                    for part in field
                    if not (isinstance(part, ast.Constant) and part.value == "")
                ]
            empty = (field is None and not isinstance(value, ast.Constant)) or field == []
            if name not in UNREAD and not empty:
                out(f" {name}=")
                _write(field, out)
        out(")")
    elif isinstance(value, list):
        for part in value:
            _write(part, out)
    elif type(value) is int:
        out(hex(value))
    else:
        out(f"{type(value).__name__}:{value!a}")
