"""Secrets that were seen once, under a telling name, and are hidden wherever they stand from then.

Programs repeat them in other notations: quoted, percent-encoded, line by line.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from urllib.parse import quote, quote_plus

from benchpaper.core.secrets import formats, names, texts
from benchpaper.core.secrets.randomness import is_random

MIN_LINE = 12  # of a secret of several lines, each line of so many characters is hidden alone
MAX_BEGUN = 4096  # characters of a secret that a cut may leave

BETWEEN = re.compile(r"""\\*["']\s*,\s*\\*["']""")  # the strings of a list
LOGIN = re.compile(r"[^\s:]{0,128}:(\S{1,256})")
HEX = re.compile(r"[0-9a-fA-F]{16,}")
MIN_PART, MAX_PARTS = 12, 20


class Learned:
    """Known secrets, the longest first, so that a part of one never hides the whole."""

    def __init__(self, secrets: Iterable[str] = ()):
        self._forms: set[str] = set()
        self._sorted: list[str] = []
        for secret in secrets:
            if len(secret) >= names.SHORTEST_SECRET:
                self._add(secret)

    def learn_environment(self, variables: Mapping[str, str]) -> None:
        """Learn the values of variables with a secret's name, and passwords in URLs."""
        for name, value in variables.items():
            if names.hides(name, value):
                self.learn(value)
            for start, end in texts.spans(value):
                self.learn(value[start:end])

    def learn(self, value: str) -> None:
        """Hide `value` from now on, unless it may stand in harmless places, too."""
        if decoded := formats.login_in_base64(value):
            self.learn(decoded)
        for secret in (value, *_parts(value)):
            if not names.may_stand_elsewhere(secret):
                self._add(secret)

    def _add(self, secret: str) -> None:
        new = {form for form in _forms(secret) if len(form) >= names.SHORTEST_SECRET}
        if new - self._forms:
            self._forms |= new
            self._sorted = sorted(self._forms, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """Return `text` with "$SECRET" for each known secret."""
        for secret in self._sorted:
            text = text.replace(secret, "$SECRET")
        return text

    def without_begun(self, text: str) -> str:
        """Drop the beginning of a known secret from the end of a text that was cut there."""
        for secret in self._sorted:
            longest = min(len(secret) - 1, MAX_BEGUN)
            begun = next((n for n in range(longest, 0, -1) if text.endswith(secret[:n])), 0)
            text = text[: len(text) - begun]
        return text


def _parts(value: str) -> Iterator[str]:
    """Yield what is secret in a login, a list, a cookie, or a URL, and the header of a login."""
    yield from BETWEEN.split(value)[:MAX_PARTS]
    if (login := LOGIN.fullmatch(value)) and "://" not in value:
        yield login[1]
        yield b64encode(value.encode(errors="replace")).decode()
    parts = re.split(r"[\s/=;&,?@:]+", value, maxsplit=MAX_PARTS)
    yield from (part for part in parts if is_random(part, MIN_PART) or HEX.fullmatch(part))


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret in the notations in which programs repeat it."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret, safe="", errors="replace")
    yield quote_plus(secret, errors="replace")
    yield escape(secret)
    yield b64encode(secret.encode(errors="replace")).decode()
    if HEX.fullmatch(secret):
        yield from (secret.lower(), secret.upper())
    yield secret.replace("'", "'\\''")
    yield secret.replace("'", "'\"'\"'")
    lines = secret.replace("\\n", "\n").split()
    if "\n" in secret or "\\n" in secret:
        body = [line for line in lines if "-----" not in line]
        for joiner in ("", " ", "\\n", "\n", " | "):
            yield joiner.join(lines)
        yield from (line for line in body if len(line) >= MIN_LINE)
        yield "".join(line for line in body if len(line) >= MIN_LINE)
