"""Where data come from that others can get: DOIs, and public addresses."""

import re
from urllib.parse import SplitResult, urlsplit

DOI = re.compile(r"(?:doi:|https://doi\.org/)?(10\.\d{4,9}/[^\s\"<>]+)")
SCHEMES = ("http", "https")


def doi(text: str) -> str:
    """Return the DOI in a text that is nothing else, without what may stand before it; else ""."""
    match = DOI.fullmatch(text)
    return match[1] if match else ""


def address(text: str) -> SplitResult | None:
    """Return the parts of an address of the web; None for anything else, such as file:///x."""
    try:
        parts = urlsplit(text)
        return parts if parts.scheme in SCHEMES and parts.hostname else None
    except ValueError:
        return None


def has_login(parts: SplitResult) -> bool:
    """Return whether an address holds a user or a password."""
    return bool(parts.username or parts.password)
