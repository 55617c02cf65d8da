"""Values in a PDF: what of them is equal in files that differ only in form."""

import hashlib
from decimal import Decimal
from typing import Any

import pikepdf

MAX_DEPTH = 50  # of objects inside each other


class UnreadableError(Exception):
    """A PDF that cannot be parsed, or that draws with an operator that has no marks here."""


def digest(item: Any) -> str:
    """Return a digest of a value that is equal for equal content, wherever its objects are."""
    return hashlib.sha256(_canonical(item, 0).encode()).hexdigest()[:16]


def _canonical(item: Any, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise UnreadableError("objects inside each other without end")
    if isinstance(item, (bool, int, Decimal, float)):
        return f"{float(item):.4f}"
    if isinstance(item, (pikepdf.Stream, pikepdf.Dictionary, dict)):
        if str(item.get("/Type", "")) in ("/Page", "/Pages"):
            return "a page"
        entries = [
            f"{name}:{_canonical(item[name], depth + 1)}"
            for name in sorted(item.keys())
            if name not in ("/Parent", "/P", "/Length", "/Filter", "/DecodeParms")
        ]
        if isinstance(item, pikepdf.Stream):
            entries.append(hashlib.sha256(_decoded(item)).hexdigest())
        return f"<{' '.join(entries)}>"
    if isinstance(item, (pikepdf.Array, list)):
        return f"[{' '.join(_canonical(part, depth + 1) for part in item)}]"
    return repr(bytes(item)) if isinstance(item, pikepdf.String) else str(item)


def _decoded(stream: Any) -> bytes:
    try:
        return bytes(stream.read_bytes())
    except pikepdf.PdfError:  # a picture as JPEG, which is the same only as it is
        return bytes(stream.read_raw_bytes())
