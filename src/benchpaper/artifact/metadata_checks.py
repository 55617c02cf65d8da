"""Whether title, authors, keywords, and description are this paper's own, and not inherited.

Who starts from another paper's artifact keeps its metadata until somebody looks. What the paper
itself says decides: its title block, its text, and its README.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import yaml

from benchpaper.artifact.bundle import authors, metadata
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project

WORD = re.compile(r"[^\W\d_]{2,}")
COMMENT = re.compile(r"(?<!\\)%.*")
COMMAND = re.compile(r"\\[vh]space\*?\{[^}]*\}|\\[A-Za-z]+\*?|\\\\")
UNTITLED = "untitled"  # as `benchpaper init` calls a paper without a title
STEM = 6  # letters: "reproducibility" is in a text that says "reproducible"
CITED = "CITATION.cff"


def own_metadata(project: Project) -> Iterator[str]:
    """Title, authors, keywords, and description are this paper's own, not another paper's."""
    paper, cited = settings.read(project.root), _cited(project)
    title_block = _argument(project, "title")
    for where, title in ((settings.FILE, paper.title), (CITED, str(cited.get("title") or ""))):
        if title.strip().casefold() == UNTITLED:
            yield f'the title in {where} is still "{title}"; give the paper\'s'
        elif title and title_block and (other := _lacking(title, title_block)):
            yield (
                f'the title in {where} is "{title}", but \\title of paper/{paper.main} has no '
                f'"{other}"; is it another paper\'s? make them one'
            )
    yield from _authors(project, cited)
    text = _text(project)
    keywords = {settings.FILE: paper.keywords, CITED: tuple(cited.get("keywords") or ())}
    for where, words in keywords.items():
        for keyword in words:
            if text and (other := _lacking(str(keyword), text)):
                yield (
                    f'{where} has the keyword "{keyword}", but neither paper nor README says '
                    f'"{other}"; is it another paper\'s? remove it'
                )
    declared = metadata.pyproject(project).get("description")
    for where, description in ((CITED, cited.get("abstract")), ("pyproject.toml", declared)):
        if description and text and _is_foreign(str(description), text):
            yield (
                f"the description in {where} has hardly a word of the paper; "
                "is it another paper's? write this one's"
            )


def _authors(project: Project, cited: dict[str, Any]) -> Iterator[str]:
    """Yield where two places name other authors."""
    names = (CITED, *authors.READERS)
    files = {
        name: (project.root / name).read_bytes() for name in names if (project.root / name).exists()
    }
    if not cited.get("authors"):
        return
    try:
        authors.check(files, "")
    except (UserError, AttributeError, TypeError) as error:
        yield str(error)
        return
    block = _argument(project, "author")
    known = {word.casefold() for word in WORD.findall(block)}
    for person in map(metadata.person, cited["authors"]):
        words = {word.casefold() for word in WORD.findall(person)}
        blind = authors.NOBODY & (known | words)
        if known and words and not blind and not words & known:
            yield (
                f'{CITED} names the author "{person}", whom \\author of '
                f"paper/{settings.read(project.root).main} does not; make them one"
            )


def _cited(project: Project) -> dict[str, Any]:
    path = project.root / CITED
    try:
        content = yaml.safe_load(path.read_text()) if path.exists() else {}
    except yaml.YAMLError:
        return {}  # the check of CITATION.cff says so
    return content if isinstance(content, dict) else {}


def _argument(project: Project, command: str) -> str:
    r"""Return the words in \COMMAND{...} of the paper's main file; "" if it has no plain ones."""
    path = project.paper / settings.read(project.root).main
    source = COMMENT.sub("", path.read_text(errors="replace")) if path.exists() else ""
    begin = source.find(f"\\{command}{{")
    if begin < 0:
        return ""
    depth, start = 0, begin + len(command) + 1
    for place in range(start, len(source)):
        depth += {"{": 1, "}": -1}.get(source[place], 0)
        if not depth:
            return " ".join(WORD.findall(COMMAND.sub(" ", source[start:place])))
    return ""


def _text(project: Project) -> str:
    """Return all that the paper and its README say."""
    paths = [*sorted(project.paper.rglob("*.tex")), project.root / "README.md"]
    return "\n".join(path.read_text(errors="replace") for path in paths if path.exists())


def _stems(text: str) -> list[str]:
    words = WORD.findall(unicodedata.normalize("NFKC", text))
    return [word.casefold()[:STEM] for word in words]


def _lacking(phrase: str, text: str) -> str:
    """Return the first word of a phrase that a text does not have, or ""."""
    known = set(_stems(text))
    return next((w for w in WORD.findall(phrase) if w.casefold()[:STEM] not in known), "")


def _is_foreign(description: str, text: str) -> bool:
    """Return whether most long words of a description are nowhere in a text."""
    known, long = set(_stems(text)), [stem for stem in _stems(description) if len(stem) == STEM]
    return bool(long) and sum(stem in known for stem in long) < len(long) / 2
