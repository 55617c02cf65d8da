"""The checks of the checklist that read only the project's own files.

A check is a function of the project that yields its problems, each as "what is wrong; what to do".
Its docstring is what `benchpaper check` and the appendix print.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from benchpaper.artifact import bundle
from benchpaper.artifact.bundle import metadata
from benchpaper.core import settings
from benchpaper.core.errors import first_few
from benchpaper.core.project import Project
from benchpaper.core.revision import revision

MAX_FILE_BYTES = 5_000_000
LOCAL_PATH = re.compile(r"(?<![\w./$])/(?:home|Users|root|mnt|scratch)/[\w.\-]+")
PACKAGE_INDEX = re.compile(r"https?://|--(?:extra-)?index-url|--find-links", re.I)
AUTHOR_NAMES = {"name", "family-names", "given-names", "alias"}  # CFF requires one of these
NOT_SOURCES = (".git", "build", "results", ".benchpaper", ".snakemake", ".venv")


def readme(project: Project) -> Iterator[str]:
    """There is a README that says how to run it."""
    path = project.root / "README.md"
    if not path.exists():
        yield "there is no README.md; write one: what it is, the commands, how long they take"
    elif "./reproduce" not in path.read_text() and (project.root / "reproduce").exists():
        yield "README.md does not name ./reproduce; say there how to run everything"


def licence(project: Project) -> Iterator[str]:
    """There is a licence, and the metadata say the same one."""
    if not (project.root / "LICENSE").exists():
        named = settings.read(project.root).licence
        yield (
            f"there is no LICENSE; save the text of {named} there, from "
            f"https://spdx.org/licenses/{named}.html"
            if named
            else "there is no LICENSE; choose one, and save its text there: https://spdx.org/licenses"
        )
    cited = _cited(project).get("license")
    declared = metadata.pyproject(project).get("license")
    if isinstance(declared, str) and cited and declared != cited:
        yield f"pyproject.toml says {declared}, CITATION.cff {cited}; make them one"
    named = settings.read(project.root).licence
    if named and cited and named != cited:
        yield f"{settings.FILE} says {named}, CITATION.cff {cited}; make them one"


def citation(project: Project) -> Iterator[str]:
    """CITATION.cff has what CFF 1.2.0 requires, and the paper's title."""
    if not (project.root / "CITATION.cff").exists():
        yield "there is no CITATION.cff; add one, so that the artifact can be cited"
        return
    cited = _cited(project)
    for name in ("cff-version", "message", "title", "authors"):
        if not cited.get(name):
            yield f"CITATION.cff lacks {name}, which CFF requires; add it"
    title = settings.read(project.root).title
    if title and cited.get("title") and title != cited["title"]:
        yield f'{settings.FILE} has the title "{title}", CITATION.cff another; make them one'
    for author in cited.get("authors") or []:
        if not isinstance(author, dict) or not AUTHOR_NAMES.intersection(author):
            yield "CITATION.cff: an author has no name; give family-names and given-names, or name"


def lock(project: Project) -> Iterator[str]:
    """Every package is locked with hashes, from no named host."""
    path = project.root / "requirements.lock"
    if not path.exists():
        yield "there is no requirements.lock; benchpaper lock writes it"
        return
    text = path.read_text()
    if host := PACKAGE_INDEX.search(text):
        yield (
            f"requirements.lock names a host ({host.group()}); "
            "leave it to the user's pip where packages come from"
        )
    pins = [pin for pin in re.split(r"\n(?=[A-Za-z0-9])", text) if re.match(r"[A-Za-z0-9]", pin)]
    if bare := [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin]:
        yield f"requirements.lock has no hash of {first_few(bare)}; run benchpaper lock"
    locked = {canonicalize_name(re.split(r"[^\w.\-]", pin, maxsplit=1)[0]) for pin in pins}
    for text in _dependencies(metadata.pyproject(project)):
        try:
            name = Requirement(text).name
        except InvalidRequirement:
            yield f'pyproject.toml: "{text}" is not a valid dependency; correct it'
            continue
        if canonicalize_name(name) not in locked:
            yield (
                f"{name} is in pyproject.toml but not in requirements.lock; install it, and run "
                "benchpaper lock"
            )


def _dependencies(declared: dict[str, Any]) -> list[str]:
    """Return the dependencies of pyproject.toml, with those of all extras."""
    extras = declared.get("optional-dependencies", {}).values()
    return [*declared.get("dependencies", []), *(text for extra in extras for text in extra)]


def absolute_paths(project: Project) -> Iterator[str]:
    """No text names a folder of one machine (tests may: they plant some)."""
    # As a path of its own. A folder right below / may be anybody's, as the sandbox's own is.
    own = len(project.root.parts) > 2
    root = re.compile(rf"(?<![\w.-]){re.escape(str(project.root))}(?![\w-])")
    for name in tracked(project):
        if name.startswith("tests/"):
            continue
        data = (project.root / name).read_bytes()
        if b"\0" in data[:4096]:
            continue
        for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
            if (own and root.search(line)) or LOCAL_PATH.search(line):
                yield f"{name}:{number} has an absolute path of one machine; make it relative"
                break


def small_files(project: Project) -> Iterator[str]:
    """No file is too large for a repository."""
    for name in tracked(project):
        if (size := (project.root / name).stat().st_size) > MAX_FILE_BYTES:
            yield f"{name} has {size / 1e6:.1f} MB; keep files below {MAX_FILE_BYTES / 1e6:g} MB"


def tracked(project: Project) -> list[str]:
    """Return the names of the project's own files.

    These are the files that git tracks or an unpacked bundle lists, so that both give the same
    appendix. Without either, or if git refuses, these are all files outside generated folders.
    """
    if not revision(project).why:
        return bundle.sources(project)
    paths = (path.relative_to(project.root) for path in project.root.rglob("*") if path.is_file())
    return [
        path.as_posix()
        for path in paths
        if path.parts[0] not in NOT_SOURCES and "__pycache__" not in path.parts
    ]


def _cited(project: Project) -> dict[str, Any]:
    path = project.root / "CITATION.cff"
    try:
        return yaml.safe_load(path.read_text()) or {} if path.exists() else {}
    except yaml.YAMLError:
        return {}
