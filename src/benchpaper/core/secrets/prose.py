"""Tell a sentence, a usage line, or code from the assignment of a secret.

Examples are "use --token to log in", "wrong token: expired", and `token=self.token` in a traceback.
"""

import re

from benchpaper.core.secrets import names

LINE_BEGINS = re.compile(r"(?:\A|[\n{])[ \t]*(?:- )?(?:export |set |\+ |[-*>#] )?[\"']?\Z")
CONTINUES = re.compile(r",?[ \t]+[a-z]")
MAX_INDENT = 40
CODE = re.compile(r"self\.[\w.]+|[A-Za-z_]+(?:\.[A-Za-z_]+)*[(\[].*|\W*")
METAVARIABLE = re.compile(r"[A-Z][A-Z_-]*[.,:;)\]]*|\[.*|<.*")
# Words that follow a name in prose.
WORDS = frozenset([
    "a", "an", "and", "any", "are", "as", "at", "be", "but", "by", "can", "cannot", "could",
    "denied", "did", "do", "does", "error", "expected", "expired", "failed", "file", "flag", "for",
    "found", "from", "given", "has", "have", "if", "in", "incorrect", "instead", "invalid", "is",
    "it", "may", "missing", "must", "needs", "no", "not", "of", "on", "only", "option", "or",
    "required", "requires", "set", "should", "string", "that", "the", "then", "this", "to", "too",
    "unexpected", "unknown", "unset", "until", "use", "used", "value", "was", "when", "which",
    "will", "with", "without", "wrong", "your",
])  # fmt: skip


def follows(text: str, match: re.Match[str], value: str) -> bool:
    """Return whether `value` is part of a sentence or of code, and not the value of a name.

    `match` is that of `texts.ASSIGNMENT`; the value is not quoted.
    """
    separator = match["separator"]
    if CODE.fullmatch(value):
        return True
    if not separator:
        return value.startswith("-") or value in WORDS or bool(METAVARIABLE.fullmatch(value))
    if separator == "|":
        return bool(names.WORDS.fullmatch(value))
    if separator != ":" or not match["blank"]:
        return False
    if value.lower() in WORDS or match["name"] == "PASS":  # the result of a test
        return True
    if begins_line(text, match.start()) or not value.replace("_", "").isalpha():
        return False
    # A password may be a word, but then the sentence ends.
    is_password = names.kind(match["name"]) is names.Kind.PASSWORD
    return not is_password or bool(CONTINUES.match(text, match.end() + len(value)))


def begins_line(text: str, start: int) -> bool:
    """Return whether a name at `start` is the first of its line, apart from marks of a list."""
    return bool(LINE_BEGINS.search(text, max(0, start - MAX_INDENT), start))
