"""What source files say: which files of their package they run, and a digest that comments do not change.

A module counts wherever it is imported, inside functions too, and a program counts that is started by its name
(`-m experiments.family.x`): any text of the code that names a module is taken for one.
"""

import ast
import hashlib
import re
from functools import cache
from pathlib import Path

SCHEME = "ast-1:"  # marks a digest over a syntax tree; without it a digest is over the bytes
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)
UNREAD = {"ctx", "kind", "type_comment"}  # fields of a syntax tree that change nothing in what runs


def reached(start: list[Path], root: Path, package: str) -> set[Path]:
    """Return `start` and the files of `package`, a folder below `root`, that these run, directly or not: modules, what
    belongs to them, and the headers that C sources include."""
    seen, queue = set(start), list(start)
    while queue:
        path = queue.pop()
        for found in _next(path, root, package, _stamp(path)):
            if found not in seen:
                seen.add(found)
                queue.append(found)
    return seen


def files(root: Path, module: str) -> list[Path]:
    """Return the files that importing a module below `root` runs first: its own, and the __init__.py of each package
    around it."""
    return list(_files(root, {module}, set()))


def _stamp(path):
    """When a file was last changed; and its size, for what is written within one tick of the clock has one time."""
    about = path.stat()
    return about.st_mtime_ns, about.st_size


@cache
def _next(path: Path, root: Path, package: str, stamp: tuple) -> tuple[Path, ...]:
    """Return the files that the one at `path`, last changed at `stamp`, runs by itself."""
    if path.suffix in (".c", ".h"):
        named = (
            Path(path.parent, name.decode(errors="replace"))
            for name in INCLUDE.findall(path.read_bytes())
        )
        return tuple(_tidy(file) for file in named if file.is_file())
    if path.suffix not in (".py", ".ipynb"):
        return ()
    try:
        tree = ast.parse(_code(path))
    except (SyntaxError, ValueError):
        return ()  # loading it names the mistake
    imported, named = modules(
        tree, path.relative_to(root).parts if path.is_relative_to(root) else (), package
    )
    return tuple(_files(root, imported, named))


def _code(path):
    """Return a file's Python; of a notebook without magics and shell lines."""
    if path.suffix == ".py":
        return path.read_bytes()
    import json

    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    return "\n".join(
        re.sub(r"^[ \t]*[%!].*$", "", "".join(cell["source"]), flags=re.M) for cell in cells
    )


def modules(tree: ast.AST, where: tuple[str, ...], package: str) -> tuple[set[str], set[str]]:
    """Return the modules of `package` that the code of `tree`, in the file at `where` below the root, imports, and
    those that its texts name."""
    imported, named, prose = set(), set(), set()
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


def _docstring(node):
    first = node.body[0] if node.body else None
    text = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return first.value if text else None


def _files(root, imported, named):
    """Yield the files of modules. Importing one runs the __init__.py of each package around it; a package that is named
    may load any module in it by name."""
    for module in imported | named:
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            place = root.joinpath(*parts[:depth])
            for file in (place / "__init__.py", place.with_suffix(".py")):
                if file.is_file():
                    yield from _beside(file, top=depth == 1)
        if module in named and (place / "__init__.py").is_file():
            yield from place.glob("*.py")
        if home := _homes(place.with_name("__init__.py")).get(place.name):
            yield from _files(root, {".".join([*parts[:-1], home])}, set())


def _homes(init: Path) -> dict[str, str]:
    """Return {name: module} of the names that a package loads on first use: the table `_HOMES` of its __init__.py."""
    if not init.is_file():
        return {}
    for node in ast.parse(init.read_bytes()).body:
        if isinstance(node, ast.Assign) and [
            target.id for target in node.targets if isinstance(target, ast.Name)
        ] == ["_HOMES"]:
            return ast.literal_eval(node.value)
    return {}


def _beside(module, top):
    """Return the module's file and what belongs to it: the sources of the same name (store.py and store.c), and all in
    a package, but not in those within it, that is not Python, and not what a program compiled into its __pycache__."""
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


def _tidy(path):
    """The path without `..`, whatever its links lead to."""
    parts = []
    for part in path.parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return Path(*parts)


# --- digests ---------------------------------------------------------------------------------


def file_digest(path: Path) -> str:
    """Return the `digest` of a file as it is now."""
    return _file_digest(path, _stamp(path))


@cache
def _file_digest(path, stamp):
    return digest(path.name, path.read_bytes())


def digest(path: str, content: bytes) -> str:
    """Return the digest of a source: of Python over its syntax tree, without comments and docstrings, else over the
    bytes."""
    return syntax_digest(content) if path.endswith(".py") else bytes_digest(content)


def bytes_digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def syntax_digest(content: bytes) -> str:
    """The same under all versions of Python, whose trees differ in fields that are empty in most code."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return bytes_digest(content)
    parts = []
    _write(tree, parts.append)
    return SCHEME + bytes_digest("".join(parts).encode())


def _write(value, out):
    """Write the normal form of a tree: each node by name with its fields that are not empty, without docstrings."""
    if isinstance(value, ast.AST):
        out(f"({type(value).__name__}")
        for name in value._fields:
            field = getattr(value, name, None)
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
