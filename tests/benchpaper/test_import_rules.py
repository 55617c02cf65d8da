"""What experiments, claims, and notebooks may import, read from their syntax trees.

import-linter checks the rooms of the framework; it cannot read notebooks and namespace packages.
"""

import ast
import graphlib
import json
import subprocess
import sys

import pytest
from checkout import ROOT

import benchpaper

STARTING = {
    "subprocess", "multiprocessing", "pty", "pexpect", "socket", "asyncio.subprocess",
    "concurrent.futures.process",
}  # fmt: skip
STARTING_CALLS = {
    "os": {"system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "kill", "killpg"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
}
QUIET_MAGICS = {"matplotlib", "config"}


def violations(root):
    """Return a list of `file: what it does` for everything below `root` that breaks the rules."""
    broken = []
    patterns = ("src/**/*.py", "experiments/**/*.py", "analysis/**/*.py", "analysis/**/*.ipynb")
    for path in sorted(path for pattern in patterns for path in root.glob(pattern)):
        where = path.relative_to(root)
        room = "benchpaper" if where.parts[0] == "src" else where.parts[0]
        source = _notebook_source(path) if path.suffix == ".ipynb" else path.read_text()
        broken += [f"{where}: {what}" for what in _of_room(room, ast.parse(source), where)]
    return broken


def _of_room(room, tree, where):
    modules = sorted(set(_imported(tree, where)))
    tops = {module.split(".")[0] for module in modules}
    forbidden = {
        "benchpaper": {"experiments", "analysis"},
        "experiments": {"analysis"},
        "analysis": {"experiments"},
    }[room]
    yield from (f"imports {top}" for top in sorted(tops & forbidden))
    if room != "benchpaper":
        yield from (
            f"imports {module}, which is private" for module in modules if _is_private(module)
        )
    if room == "analysis":
        yield from (
            f"imports {module}, which starts things"
            for module in modules
            if STARTING & set(_prefixes(module))
        )
        yield from (f"imports {module}, which measures" for module in modules if _measures(module))
        yield from (f"calls {call}" for call in _starting_calls(tree))


def _prefixes(module):
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def _is_private(module):
    top, *rest = module.split(".")
    return (
        top == "benchpaper" and rest != [] and (len(rest) > 1 or rest[0] not in benchpaper.__all__)
    )


def _measures(module):
    """Return whether the module is a public name whose home is not the room that reads results."""
    top, *rest = module.split(".")
    if top != "benchpaper" or not rest or _is_private(module):
        return False
    public = getattr(benchpaper, rest[0])
    home = getattr(public, "__module__", None) or getattr(public, "__name__", "")
    return not home.startswith("benchpaper.analysis")


def _imported(tree, where):
    """Yield the full names of all modules that are imported, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = where.parts[: -node.level] if node.level else ()
            base = ".".join([*package, *([node.module] if node.module else [])])
            names = [alias.name for alias in node.names]
            # `from benchpaper import stats` names modules; from a module, it names what is in it
            yield from (
                (f"{base}.{name}" for name in names)
                if base in ("benchpaper", "os", "asyncio", "concurrent")
                else [base]
            )
        elif isinstance(node, ast.Call) and _name(node.func) in (
            "__import__",
            "import_module",
            "importlib.import_module",
        ):
            yield from (
                arg.value
                for arg in node.args[:1]
                if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            )


def circle(root):
    """Return the modules of a circle among the experiments' imports, or an empty list."""
    paths = {path.relative_to(root).with_suffix("") for path in root.glob("experiments/**/*.py")}
    modules = {".".join(path.parts).removesuffix(".__init__"): path for path in paths}
    graph = {
        module: {
            name
            for name in _named(ast.parse((root / path).with_suffix(".py").read_text()), path)
            if name in modules and name != module
        }
        for module, path in modules.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def _named(tree, where):
    """Yield what is imported, and each name imported from it: that may be a module too."""
    yield from _imported(tree, where)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _starting_calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, name = node.value.id, node.attr
            if name in STARTING_CALLS.get(module, ()) or (
                module == "os" and name.startswith(("exec", "spawn"))
            ):
                yield f"{module}.{name}"
        elif isinstance(node, ast.Call) and _name(node.func).startswith("get_ipython()."):
            first = (
                node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            )
            if first not in QUIET_MAGICS:
                yield f"{_name(node.func)} {first}"
        elif isinstance(node, ast.ImportFrom) and node.module in STARTING_CALLS:
            yield from (
                f"{node.module}.{a.name}"
                for a in node.names
                if a.name in STARTING_CALLS[node.module] or a.name.startswith(("exec", "spawn"))
            )


def _name(node):
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{_name(node.func)}()"
    return node.id if isinstance(node, ast.Name) else ""


def _notebook_source(path):
    """Return a notebook's code, magics and shell lines turned into the calls that they are."""
    from IPython.core.inputtransformer2 import TransformerManager

    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    return "\n".join(TransformerManager().transform_cell("".join(cell["source"])) for cell in cells)


# --- the rules hold --------------------------------------------------------------------------


def test_every_room_keeps_to_its_own():
    assert violations(ROOT) == []


def test_the_check_sees_the_code_that_there_is():
    assert len(list(ROOT.glob("src/**/*.py"))) >= 20 and list(
        ROOT.glob("experiments/**/experiment.py")
    )


# --- and the check can fail ------------------------------------------------------------------

BROKEN = [
    ("src/benchpaper/a.py", "import experiments.systems", "imports experiments"),
    ("src/benchpaper/hosts/a.py", "def f():\n    from analysis import claims", "imports analysis"),
    ("src/benchpaper/a.py", "import importlib\nimportlib.import_module('experiments.systems')",
        "imports experiments"),
    ("experiments/a/b/experiment.py", "from analysis import claims", "imports analysis"),
    ("analysis/claims.py", "from experiments.systems import ucx", "imports experiments"),
    ("analysis/claims.py", "import subprocess", "imports subprocess, which starts things"),
    ("analysis/claims.py", "def f():\n    from multiprocessing import Pool",
     "imports multiprocessing, which starts things"),
    ("analysis/claims.py", "from concurrent.futures.process import ProcessPoolExecutor",
     "imports concurrent.futures.process, which starts things"),
    ("analysis/claims.py", "import os\nos.system('ls')", "calls os.system"),
    ("analysis/claims.py", "import os\nos.execvp('ls', ['ls'])", "calls os.execvp"),
    ("analysis/claims.py", "from os import popen", "calls os.popen"),
    ("analysis/claims.py", "from benchpaper import LocalHost",
        "imports benchpaper.LocalHost, which measures"),
    ("analysis/claims.py", "from benchpaper import stats; from benchpaper.measure import block",
     "imports benchpaper.measure, which is private"),
    ("analysis/a.ipynb", "from benchpaper.analysis.exhibits import Exhibits",
     "imports benchpaper.analysis.exhibits, which is private"),
    ("experiments/a/b/experiment.py", "def f():\n    from benchpaper.design.spec import Experiment",
     "imports benchpaper.design.spec, which is private"),
    ("experiments/a/b/experiment.py", "from benchpaper import hosts",
        "imports benchpaper.hosts, which is private"),
    ("analysis/a.ipynb", "import experiments", "imports experiments"),
    ("analysis/a.ipynb", "x = 1\n!ls", "calls get_ipython().system ls"),
    ("analysis/a.ipynb", "%%bash\nls", "calls get_ipython().run_cell_magic bash"),
    ("analysis/a.ipynb", "%run other.py", "calls get_ipython().run_line_magic run"),
]  # fmt: skip


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".ipynb":
        cells = [
            {"cell_type": "markdown", "source": "!not code"},
            {"cell_type": "code", "source": text.splitlines(keepends=True)},
        ]
        text = json.dumps({"cells": cells})
    path.write_text(text)


@pytest.mark.parametrize("name, text, what", BROKEN, ids=[text for _, text, _ in BROKEN])
def test_a_violation_is_found_and_placed(tmp_path, name, text, what):
    write(tmp_path, name, text)
    assert violations(tmp_path) == [f"{name}: {what}"]


@pytest.mark.parametrize("name, text", [
    ("src/benchpaper/a.py", ("import subprocess, os\nfrom benchpaper.measure import block\nfrom . "
                            "import experiments_of_mine")),
    ("experiments/a/b/experiment.py",
        ("import subprocess, numpy\nfrom experiments.systems import ucx\nfrom benchpaper "
        "import Experiment, LocalHost\nfrom . import x")),
    ("analysis/claims.py", ("import os, numpy\nfrom benchpaper import claim, load, "
                           "stats\nos.environ['X']; os.path.join('a')")),
    ("analysis/a.ipynb",
     ("%matplotlib inline\nfrom benchpaper import Exhibits\nimport matplotlib.pyplot as "
     "plt\n'experiments'")),
])  # fmt: skip
def test_what_is_allowed_is_no_violation(tmp_path, name, text):
    write(tmp_path, name, text)
    assert violations(tmp_path) == []


@pytest.mark.parametrize("module", ["cli.main", "workflow.runner"])
def test_a_command_begins_without_what_takes_long_to_load(module):
    slow = ("pandas", "scipy", "pyarrow", "matplotlib")
    code = (
        f"import sys, benchpaper.{module}; print([name for name in {slow} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_imports_of_experiments_form_no_circle(tmp_path):
    assert circle(ROOT) == []
    family = tmp_path / "experiments" / "toy"
    family.mkdir(parents=True)
    (family / "first.py").write_text("from experiments.toy import second\n")
    (family / "second.py").write_text(
        "def late():\n    from experiments.toy.first import one_name\n"
    )
    assert set(circle(tmp_path)) == {"experiments.toy.first", "experiments.toy.second"}
