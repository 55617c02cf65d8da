"""Run the linters, each over the whole project. This is the only list of them.

`./reproduce lint [NAME ...]` runs them, tests/test_lint.py tests each, and .pre-commit-config.yaml
calls each. Their settings are in pyproject.toml, .clang-tidy, .clang-format, and
.clang-format-ignore.
"""

import os
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checkout import ROOT

TEMPLATES = "src/benchpaper/artifact/templates/project"
SHELL = [
    *("reproduce", ".ci/run", "tests/**/*.sh"),
    *(f"{TEMPLATES}/reproduce.txt", f"{TEMPLATES}/ci.txt"),
]
C = ["experiments/**/*.c", "experiments/**/*.h", "src/**/*.c"]


def files(patterns: list[str]) -> list[str]:
    """Return the files that match, relative to the project."""
    return sorted(
        str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)
    )


PROGRAMS = ["experiments/**/*.c", "src/**/*.c"]
LIBFABRIC = Path("/usr/include/rdma/fabric.h")
# As `experiments/systems/ucx.py` compiles them.
COMPILER_FLAGS = [
    *("-std=c11", "-Wall", "-Wextra", "-Iexperiments/rdma/fabric"),
    *("-isystem", f"{sysconfig.get_path('purelib')}/libucx/include"),
]


def programs() -> list[str]:
    """Return the C programs whose headers are here: some need the package libfabric-dev."""
    missing = "" if LIBFABRIC.exists() else "experiments/rdma/libraries/"
    return [path for path in files(PROGRAMS) if not (missing and path.startswith(missing))]


# The longest first, because two run at a time on two cores.
LINTERS = {
    "clang-tidy": ["clang-tidy", "--quiet", *programs(), "--", *COMPILER_FLAGS],
    "mypy": ["mypy"],
    "ruff": ["ruff", "check", "--quiet"],
    "ruff-format": ["ruff", "format", "--check", "--quiet"],
    "import-linter": ["lint-imports", "--cache-dir", ".benchpaper/cache/import-linter"],
    "codespell": ["codespell", "--toml", "pyproject.toml"],
    "shellcheck": ["shellcheck", *files(SHELL)],
    "clang-format": ["clang-format", "--dry-run", "-Werror", *files(C)],
    "glossary": ["python", "tests/glossary.py"],
    "drawing": ["python", "docs/draw_rooms.py", "--check"],
}


def run(name: str) -> subprocess.CompletedProcess[str]:
    """Run one linter; its standard output holds its errors too."""
    program, *arguments = LINTERS[name]
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    env = {**os.environ, "PYTHONPATH": "src", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def report(name: str) -> bool:
    """Run one linter, print what it found, and return whether it passed."""
    start = time.monotonic()
    done = run(name)
    verdict = "failed" if done.returncode else "passed"
    findings = done.stdout if done.returncode else ""
    print(f"{findings}{name} {verdict} in {time.monotonic() - start:.1f} s", flush=True)
    return done.returncode == 0


def main(names: list[str]) -> int:
    """Run the named linters, by default all; return the exit status."""
    if unknown := [name for name in names if name not in LINTERS]:
        print(
            f"there is no linter {unknown[0]!r}; choose from {', '.join(LINTERS)}", file=sys.stderr
        )
        return 2
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        passed = list(pool.map(report, names or LINTERS))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
