"""Compares the authors that the files of an archive name: CITATION.cff decides.

The generated metadata follow from CITATION.cff, so this module reads those that people write, and
the PDF's document information.
"""

import io
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchpaper.artifact.bundle import metadata, strict
from benchpaper.core import settings
from benchpaper.core.errors import UserError

WORD = re.compile(r"[^\W\d_]+")
CONNECTIVES = {"and", "et", "al"}  # words between names
NOBODY = {"anonymous", "author", "authors", "s"}  # "Anonymous Author(s)" of a blind review


def check(files: Mapping[str, bytes], *pdfs: str) -> str:
    """Compare the authors in all files that name some; return a line on success.

    `files` are {name: bytes}, and `pdfs` are the names of the paper's PDFs. Raises `UserError` if a
    file names somebody else than CITATION.cff, or leaves out an author.
    """
    cited = [_words(metadata.person(author)) for author in metadata.citation(files)["authors"]]
    compared = []
    readers: dict[str, Callable[[bytes], list[str]]] = {**READERS, **dict.fromkeys(pdfs, of_pdf)}
    for name, read in readers.items():
        try:
            named = read(files[name]) if name in files else []
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{name} cannot be read ({' '.join(str(error).split())})") from None
        if not NOBODY.issuperset(_words(" ".join(named))):
            _compare(name, " and ".join(named), cited)
            compared.append(name)
    return f"the authors of CITATION.cff are those of {', '.join(compared) or 'no other file'}"


def _compare(name: str, named: str, cited: list[list[str]]) -> None:
    """Raise `UserError` unless `named`, the authors as text, are those of CITATION.cff.

    Given names may be initials, and the order of an author's names does not matter.
    """
    words = _words(named)
    known = {word for author in cited for word in author}
    initials = {word[0] for word in known}
    for word in words:
        if word not in known and word not in CONNECTIVES and word not in initials:
            raise UserError(
                f'{name} names the author "{named}", whom CITATION.cff does not; make them the same'
            )
    for author in cited:
        if author and not set(author) & set(words):
            raise UserError(
                f'{name} names the author "{named}", and leaves out "{" ".join(author)}" of '
                "CITATION.cff; make them the same"
            )


def _words(text: str) -> list[str]:
    return [word.casefold() for word in WORD.findall(unicodedata.normalize("NFKC", text))]


def of_pdf(data: bytes) -> list[str]:
    """Return the authors in a PDF's document information and XMP metadata."""
    import pikepdf

    try:
        with pikepdf.open(io.BytesIO(data)) as pdf:
            named = [str(pdf.docinfo.get("/Author", ""))]
            creators = (
                pdf.open_metadata().get("dc:creator", []) if pdf.Root.get("/Metadata") else []
            )
    except pikepdf.PdfError as error:
        raise ValueError(f"it is no PDF: {error}") from None
    named += [creators] if isinstance(creators, str) else map(str, creators)
    return [name for name in dict.fromkeys(named) if name]


def _of_pyproject(data: bytes) -> list[str]:
    project = tomllib.loads(data.decode()).get("project", {})
    return [author["name"] for author in project.get("authors", []) if author.get("name")]


def _of_settings(data: bytes) -> list[str]:
    return list(settings.parsed(data).authors)


def _of_codemeta(data: bytes) -> list[str]:
    content = strict.from_json(data, "codemeta.json")
    return [_joined(author) for key in ("author", "creator") for author in _list(content.get(key))]


def _of_datacite(data: bytes) -> list[str]:
    content = strict.from_json(data, "datacite.json")
    return [_joined(author) for author in _list(content.get("creators"))]


def _joined(author: Any) -> str:
    if isinstance(author, str):
        return author
    parts = [author.get(key) for key in ("givenName", "familyName")]
    return author.get("name") or " ".join(part for part in parts if part)


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value] if value else []


READERS: dict[str, Callable[[bytes], list[str]]] = {
    "pyproject.toml": _of_pyproject,
    settings.FILE: _of_settings,
    "codemeta.json": _of_codemeta,
    "datacite.json": _of_datacite,
}
