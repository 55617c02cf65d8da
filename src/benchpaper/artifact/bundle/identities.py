"""Who and where: the words that would give the authors away, and finding them in any file of a bundle."""

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
from pathlib import Path

import yaml

from benchpaper.artifact.bundle import metadata
from benchpaper.core.revision import git

NOBODY = {
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
SHORTEST = 3
READABLE = re.compile(rb"[\x20-\x7e]{6,}")
WIDE = re.compile(rb"(?:[\x20-\x7e]\0){4,}")
STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.S)


def of(project, more=()):
    """Return the words that identify the authors and their machines, longest first: names and addresses in the history,
    in CITATION.cff and pyproject.toml, remotes, host, user, folders, the hosts of sites, and `more`."""
    words = set(more)
    words |= set(git(project, "log", "--format=%an%n%ae%n%cn%n%ce").splitlines())
    words |= {git(project, "config", key).strip() for key in ("user.name", "user.email")}
    words |= _remotes(git(project, "remote", "-v"))
    words |= _cited(project)
    words |= {socket.gethostname(), socket.getfqdn(), str(Path.home()), str(project.root), _user()}
    words |= _site_hosts(project)
    return sorted({word for word in words if _tells(word)}, key=lambda word: (-len(word), word))


def _tells(word):
    return (
        len(word) >= SHORTEST
        and word.lower() not in NOBODY
        and not re.fullmatch(r"127\.[\d.]+|::1|[\W\d]{1,4}", word)
    )


def _user():
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # a container's user without a name


def _remotes(text):
    """The addresses of git's remotes, and owner and repository in them."""
    addresses = {line.split()[1] for line in text.splitlines() if len(line.split()) > 1}
    words = set(addresses)
    for address in addresses:
        parts = [part for part in re.split(r"[/:@]+", address.removesuffix(".git")) if part]
        words |= {"/".join(parts[-2:]), *parts[-2:-1]}
    return words


def _cited(project):
    words = set()
    path = project.root / "CITATION.cff"
    for author in yaml.safe_load(path.read_text()).get("authors", []) if path.exists() else []:
        words |= {
            str(value)
            for key, value in author.items()
            if key in ("name", "family-names", "given-names", "email", "orcid", "affiliation")
        }
        if "given-names" in author:
            words |= {f"{author['given-names']} {author['family-names']}", metadata.person(author)}
    path = project.root / "pyproject.toml"
    found = (
        re.search(r"^authors\s*=\s*\[(.*?)\]", path.read_text(), re.M | re.S)
        if path.exists()
        else None
    )
    return words | set(re.findall(r'"([^"]+)"', found[1] if found else ""))


def _site_hosts(project):
    words = set()
    for path in sorted((project.root / "sites").glob("*.yaml")):
        for host in (yaml.safe_load(path.read_text()) or {}).get("hosts", []):
            words |= {
                str(host[key])
                for key in ("address", "user", "name", "key", "hostname")
                if host.get(key)
            }
    return words


def pattern(words):
    """Return a regular expression that finds any of the words, not within other words, whatever the case."""
    each = "|".join(rf"(?<![\w]){re.escape(word)}(?![\w])" for word in words)
    return re.compile(each or r"(?!)", re.I)


def where(name, data, found):
    """Yield (where in the file, the word) of each word that the pattern `found` finds in a file's bytes: in its name,
    in its text, and inside what is compressed or encoded: Parquet, gzip, ZIP and jar, PDF, PNG, images in notebooks."""
    if match := found.search(name):
        yield f"the name of {name}", match.group()
    for part, text in _texts(name, data):
        if match := found.search(text):
            yield f"{name}{part}", match.group()


def _texts(name, data, depth=0):
    """Yield (which part, text) of everything readable in the bytes of a file."""
    try:
        yield "", data.decode()
    except (
        UnicodeDecodeError
    ):  # compressed data hold any three letters somewhere: what could be read stands together
        yield "", "\n".join(run.decode("latin-1") for run in READABLE.findall(data))
        yield " (UTF-16)", "\n".join(run[::2].decode("latin-1") for run in WIDE.findall(data))
    if depth > 3:
        return
    if data[:2] == b"\x1f\x8b":
        yield from _inside(" (gzip)", name, gzip.decompress(data), depth)
    elif data[:4] == b"PAR1":
        yield " (Parquet)", _parquet_text(data)
    elif data[:4] == b"%PDF":
        for stream in STREAM.findall(data):
            yield " (a stream of the PDF)", _inflated(stream).decode(errors="ignore")
        yield (
            " (text of the PDF)",
            subprocess.run(
                ["pdftotext", "-q", "-", "-"], input=data, capture_output=True
            ).stdout.decode(errors="ignore"),
        )
        yield (
            " (metadata of the PDF)",
            subprocess.run(["pdfinfo", "-"], input=data, capture_output=True).stdout.decode(
                errors="ignore"
            ),
        )
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
        for output in (
            output for cell in json.loads(data)["cells"] for output in cell.get("outputs", [])
        ):
            for kind, shown in output.get("data", {}).items():
                if kind.startswith("image/") and not kind.endswith("svg+xml"):
                    image = base64.b64decode("".join(shown))
                    yield from _inside(f" ({kind} in an output)", "image", image, depth)


def _inside(part, name, data, depth):
    for inner, text in _texts(name, data, depth + 1):
        yield f"{part}{inner}", text


def _inflated(data):
    try:
        return zlib.decompressobj().decompress(data)
    except zlib.error:
        return b""


def _parquet_text(data):
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data), use_threads=False)
    about = {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, value in (table.schema.metadata or {}).items()
    }
    words = {}
    for column in table.column_names:
        if _holds_text(table.schema.field(column).type):
            words[column] = list(dict.fromkeys(map(repr, table.column(column).to_pylist())))
    return "\n".join(
        [
            *table.column_names,
            *about.values(),
            *(text for texts in words.values() for text in texts),
        ]
    )


def _holds_text(kind):
    return "string" in str(kind) or "binary" in str(kind)
