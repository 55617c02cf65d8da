"""Files whose metadata name people are written anew with only what they need.

So nobody has to know which names their metadata held: of notebooks, pictures, PDFs, archives, and
CITATION.cff, only known and harmless fields stay.
"""

import base64
import bz2
import gzip
import io
import json
import lzma
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from benchpaper.analysis import history
from benchpaper.artifact.bundle.anonymity import pdf, pictures
from benchpaper.artifact.bundle.anonymity.containers import DAMAGE
from benchpaper.artifact.bundle.anonymity.limits import MAX_DEPTH, Budget, CannotSearch

# Files that only name people, or describe a deposit that names them.
LEFT_OUT = frozenset([
    ".mailmap", ".zenodo.json", "authors", "codemeta.json", "codeowners", "contributors", "credits",
    "maintainers",
])  # fmt: skip
CITATION_KEYS = (
    "cff-version", "message", "title", "type", "version", "license", "abstract", "keywords",
)  # fmt: skip
CELL_KEYS = ("cell_type", "id", "execution_count", "source", "outputs", "attachments")
COMMIT_DIGEST = re.compile(rb"\b[0-9a-f]{40}\b")
PAX_KEYS = {"path", "linkpath", "size", "mtime"}  # tarfile writes those again
FIRST_DAY = (1980, 1, 1, 0, 0, 0)


def is_left_out(name: str) -> bool:
    """Return whether a file consists of people's names, such as AUTHORS.md or .mailmap."""
    path = PurePosixPath(name.lower())
    return path.name in LEFT_OUT or (
        path.stem in LEFT_OUT and path.suffix in (".md", ".txt", ".rst")
    )


def rewritten(name: str, data: bytes, depth: int = 0, budget: Budget | None = None) -> bytes:
    """Return a file without the metadata that may name people; the same bytes if it has none.

    A file that cannot be read stays as it is, and stops the search later.
    """
    budget = budget or Budget()
    if depth > MAX_DEPTH:
        return data
    path = PurePosixPath(name)
    try:
        if path.name == "CITATION.cff":
            return _citation(data)
        if path.name == history.FILE:
            return COMMIT_DIGEST.sub(b"0" * 40, data)
        if path.suffix == ".ipynb":
            return _notebook(data)
        if data.startswith(pictures.PNG):
            return pictures.clean_png(data)
        if data.startswith(pictures.JPEG):
            return pictures.clean_jpeg(data)
        if data.startswith(b"%PDF-"):
            return pdf.clean(data)
        if data.startswith(b"\x1f\x8b\x08"):
            return _gzip(name, data, depth, budget)
        if data.startswith((b"\xfd7zXZ\0", b"BZh")):
            return _compressed(name, data, depth, budget)
        if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return _zip(data, depth, budget)
        if data[257:262] == b"ustar":
            return _tar(data, depth, budget)
    except (*DAMAGE, CannotSearch, yaml.YAMLError, pdf.error()):
        return data
    return data


def _citation(data: bytes) -> bytes:
    cited = yaml.safe_load(data) or {}
    kept = {key: cited[key] for key in CITATION_KEYS if key in cited}
    kept["authors"] = [{"name": "Anonymous"}]
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True).encode()


def _notebook(data: bytes) -> bytes:
    given = json.loads(data)
    kernel = given.get("metadata", {}).get("kernelspec", {}).get("name", "")
    language = given.get("metadata", {}).get("language_info", {}).get("name", "python")
    shown = language
    if language == "python":
        kernel, shown = "python3", "Python 3"  # and not those of somebody's own environment
    notebook = {
        "cells": [_cell(cell) for cell in given["cells"]],
        "metadata": {
            "kernelspec": {"display_name": shown, "language": language, "name": kernel},
            "language_info": {"name": language},
        },
        "nbformat": given["nbformat"],
        "nbformat_minor": given["nbformat_minor"],
    }
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def _cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: cell[key] for key in CELL_KEYS if key in cell}
    tags = cell.get("metadata", {}).get("tags")
    kept["metadata"] = {"tags": tags} if tags else {}
    if "outputs" in kept:
        kept["outputs"] = [_output(output) for output in kept["outputs"]]
    if "attachments" in kept:
        kept["attachments"] = {
            name: _pictures(bundle) for name, bundle in kept["attachments"].items()
        }
    return dict(sorted(kept.items()))


def _output(output: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(output)
    if "metadata" in kept:
        kept["metadata"] = {}
    if "data" in kept:
        kept["data"] = _pictures(kept["data"])
    return kept


def _pictures(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """Return {MIME type: content} with the metadata of pictures taken out."""
    kept = dict(bundle)
    for mime in ("image/png", "image/jpeg"):
        if mime in kept:
            picture = base64.b64decode("".join(kept[mime]))
            kept[mime] = base64.b64encode(rewritten("", picture)).decode() + "\n"
    return kept


def _gzip(name: str, data: bytes, depth: int, budget: Budget) -> bytes:
    content = budget.read(gzip.GzipFile(fileobj=io.BytesIO(data)))
    new = rewritten(name.removesuffix(".gz"), content, depth + 1, budget)
    has_metadata = data[3] & 0b11100 or data[4:8] != bytes(4)  # extra, name, comment; time
    return gzip.compress(new, mtime=0) if has_metadata or new != content else data


def _compressed(name: str, data: bytes, depth: int, budget: Budget) -> bytes:
    codec: Any = lzma if data[:1] == b"\xfd" else bz2
    opened = (lzma.LZMAFile if codec is lzma else bz2.BZ2File)(io.BytesIO(data))
    content = budget.read(opened)
    new = rewritten(PurePosixPath(name).stem, content, depth + 1, budget)
    return codec.compress(new) if new != content else data


def _zip(data: bytes, depth: int, budget: Budget) -> bytes:
    sink, changed = io.BytesIO(), False
    with zipfile.ZipFile(io.BytesIO(data)) as given, zipfile.ZipFile(sink, "w") as archive:
        changed = bool(given.comment)
        for entry in given.infolist():
            with given.open(entry) as stream:
                content = budget.read(stream)
            new = rewritten(entry.filename, content, depth + 1, budget)
            changed |= new != content or bool(entry.comment or entry.extra)
            info = zipfile.ZipInfo(entry.filename, FIRST_DAY)
            info.create_system, info.external_attr = 3, entry.external_attr
            info.compress_type = entry.compress_type
            archive.writestr(info, new)
    return sink.getvalue() if changed else data


def _tar(data: bytes, depth: int, budget: Budget) -> bytes:
    sink, changed = io.BytesIO(), False
    with (
        tarfile.open(fileobj=io.BytesIO(data), mode="r:") as given,
        tarfile.open(fileobj=sink, mode="w:", format=tarfile.PAX_FORMAT) as archive,
    ):
        changed = bool(given.pax_headers)
        for member in given:
            stream = given.extractfile(member) if member.isreg() else None
            content = budget.read(stream) if stream else b""
            new = rewritten(member.name, content, depth + 1, budget)
            owned = member.uid or member.gid or member.uname or member.gname
            changed |= bool(owned) or new != content or not PAX_KEYS.issuperset(member.pax_headers)
            info = tarfile.TarInfo(member.name)
            info.type, info.mode, info.linkname = member.type, member.mode, member.linkname
            info.size = len(new)
            archive.addfile(info, io.BytesIO(new))
    return sink.getvalue() if changed else data
