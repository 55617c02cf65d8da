"""The words that identify the authors or their machines, and a search for them in any file."""

import base64
import getpass
import gzip
import io
import json
import re
import socket
import subprocess
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from benchpaper.artifact.bundle import metadata
from benchpaper.core.project import Project
from benchpaper.core.revision import git

COMMON_WORDS = {
    "anonymous",
    "root",
    "user",
    "users",
    "home",
    "localhost",
    "local",
    "debian",
    "ubuntu",
    "admin",
    "git",
    "github.com",
    "gitlab.com",
    "noreply@github.com",
    "nobody",
    "/root",
}
MIN_CHARACTERS = 3
MAX_DEPTH = 3  # of archives within archives
READABLE = re.compile(rb"[\x20-\x7e]{6,}")
READABLE_UTF16 = re.compile(rb"(?:[\x20-\x7e]\0){4,}")
STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.S)


def of(project: Project, more: Iterable[str] = ()) -> list[str]:
    """Return the words that identify the authors and their machines, longest first.

    These are names and addresses in the history, in CITATION.cff and in pyproject.toml; remotes,
    host, user and folders; the hosts of sites; and `more`.
    """
    words = set(more)
    words |= set(git(project, "log", "--format=%an%n%ae%n%cn%n%ce").splitlines())
    words |= {git(project, "config", key).strip() for key in ("user.name", "user.email")}
    words |= _remotes(git(project, "remote", "-v"))
    words |= _cited(project)
    words |= {socket.gethostname(), socket.getfqdn(), str(Path.home()), str(project.root), _user()}
    words |= _site_hosts(project)
    identifying = {word for word in words if _identifies(word)}
    return sorted(identifying, key=lambda word: (-len(word), word))


def _identifies(word: str) -> bool:
    return (
        len(word) >= MIN_CHARACTERS
        and word.lower() not in COMMON_WORDS
        and not re.fullmatch(r"127\.[\d.]+|::1|[\W\d]{1,4}", word)
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # a container's user may have no name


def _remotes(text: str) -> set[str]:
    """Return the addresses of git's remotes, with their owners and repositories."""
    addresses = {line.split()[1] for line in text.splitlines() if len(line.split()) > 1}
    words = set(addresses)
    for address in addresses:
        parts = [part for part in re.split(r"[/:@]+", address.removesuffix(".git")) if part]
        words |= {"/".join(parts[-2:]), *parts[-2:-1]}
    return words


def _cited(project: Project) -> set[str]:
    words: set[str] = set()
    path = project.root / "CITATION.cff"
    for author in yaml.safe_load(path.read_text()).get("authors", []) if path.exists() else []:
        words |= {
            str(value)
            for key, value in author.items()
            if key in ("name", "family-names", "given-names", "email", "orcid", "affiliation")
        }
        if "given-names" in author:
            words |= {f"{author['given-names']} {author['family-names']}", metadata.person(author)}
    for author in metadata.pyproject(project).get("authors", []):
        words |= set(author.values())
    return words


def _site_hosts(project: Project) -> set[str]:
    words: set[str] = set()
    for path in sorted((project.root / "sites").glob("*.yaml")):
        for host in (yaml.safe_load(path.read_text()) or {}).get("hosts", []):
            words |= {
                str(host[key])
                for key in ("address", "user", "name", "key", "hostname")
                if host.get(key)
            }
    return words


def pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Return a regular expression that finds any of the words, in upper or lower case.

    It does not find a word within another word.
    """
    each = "|".join(rf"(?<![\w]){re.escape(word)}(?![\w])" for word in words)
    return re.compile(each or r"(?!)", re.I)


def where(name: str, data: bytes, words: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yield (place, word) for each part of a file that contains a word of the pattern `words`.

    The search covers the file's name and its text, and everything in Parquet, gzip, ZIP, jar, PDF
    and PNG files, and in the images of notebooks.
    """
    if match := words.search(name):
        yield f"the name of {name}", match.group()
    for part, text in _texts(name, data):
        if match := words.search(text):
            yield f"{name}{part}", match.group()


def _texts(name: str, data: bytes, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield (part, text) of everything readable in the bytes of a file."""
    try:
        yield "", data.decode()
    except UnicodeDecodeError:
        # Compressed data contain any three letters somewhere, so only longer runs count.
        yield "", "\n".join(run.decode("latin-1") for run in READABLE.findall(data))
        utf16 = READABLE_UTF16.findall(data)
        yield " (UTF-16)", "\n".join(run[::2].decode("latin-1") for run in utf16)
    if depth > MAX_DEPTH:
        return
    if data[:2] == b"\x1f\x8b":
        yield from _inside(" (gzip)", name, gzip.decompress(data), depth)
    elif data[:4] == b"PAR1":
        yield " (Parquet)", _parquet_text(data)
    elif data[:4] == b"%PDF":
        yield from _pdf_texts(data)
    elif data[:4] == b"\x89PNG":
        for kind in (b"zTXt", b"iTXt", b"iCCP"):
            for chunk in data.split(kind)[1:]:
                start = chunk.find(b"\0\0") + 2
                yield " (text in the PNG)", _inflated(chunk[start:]).decode(errors="ignore")
    elif data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as inner:
            for entry in inner.namelist():
                yield from _inside(f" ({entry})", entry, inner.read(entry), depth)
    elif name.endswith(".ipynb"):
        for mime, image in _images(json.loads(data)):
            yield from _inside(f" ({mime} in an output)", "image", image, depth)


def _pdf_texts(data: bytes) -> Iterator[tuple[str, str]]:
    for stream in STREAM.findall(data):
        yield " (a stream of the PDF)", _inflated(stream).decode(errors="ignore")
    for part, command in (
        (" (text of the PDF)", ["pdftotext", "-q", "-", "-"]),
        (" (metadata of the PDF)", ["pdfinfo", "-"]),
    ):
        done = subprocess.run(command, input=data, capture_output=True)
        yield part, done.stdout.decode(errors="ignore")


def _images(notebook: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield (MIME type, bytes) of the images in a notebook's outputs."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            for kind, shown in output.get("data", {}).items():
                if kind.startswith("image/") and not kind.endswith("svg+xml"):
                    yield kind, base64.b64decode("".join(shown))


def _inside(part: str, name: str, data: bytes, depth: int) -> Iterator[tuple[str, str]]:
    for inner, text in _texts(name, data, depth + 1):
        yield f"{part}{inner}", text


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data)
    except zlib.error:
        return b""


def _parquet_text(data: bytes) -> str:
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data), use_threads=False)
    lines = [value.decode(errors="replace") for value in (table.schema.metadata or {}).values()]
    for column in table.column_names:
        if holds_text(table.schema.field(column).type):
            lines += dict.fromkeys(map(repr, table.column(column).to_pylist()))
    return "\n".join([*table.column_names, *lines])


def holds_text(kind: Any) -> bool:
    """Return whether a type of Arrow holds texts or bytes."""
    return "string" in str(kind) or "binary" in str(kind)
