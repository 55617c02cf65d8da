"""Tell a random value from a word, a path, a digest, and encoded data."""

import math
import re
from base64 import b64decode
from collections import Counter

HEX = re.compile(r"(?:0x)?[0-9a-fA-F-]+")  # digests and UUIDs
LETTERS_AND_DIGITS = re.compile(r"[A-Z]+|[a-z]+|\d+")
MIN_BITS = 3.0  # of entropy in a character; words and repeated patterns have less
# A random text changes between capitals, small letters, and digits at more than 0.4 of its
# characters; CamelCase, mangled symbols, and numbered names at less than 0.3.
MIN_CHANGES = 0.33
# What text under no telling name must be, since digests in base64 are random, too.
MIN_BARE = 32
BARE = re.compile(rf"(?<![\w+/.%@$-])[A-Za-z0-9+/_-]{{{MIN_BARE},200}}={{0,2}}(?![\w+/=-])(?!\.\w)")
PUBLIC_NAME = re.compile(
    r"(?:sha\d*|md5|crc\w*|e?tag|digest|checksum|sum|fingerprint|hash|integrity|uuid|guid|nonce|id"
    r"|id-2|commit|rev|revision|payload|data|body|content|base64|cursor|marker|public|pub|name|path"
    r"|file|key-?id|public[-_]?key)[\W_]{1,4}\Z",
    re.I,
)
# A part of a name or of a path that is a word.
WORD = re.compile(r"(?:\A|[/_-])(?:[A-Z]?[a-z]{3,}|[A-Z]{4,})(?=[/_-]|\Z)")
# Public keys, and the first bytes of compressed files, pictures, programs, and pickles.
DATA = re.compile(
    r"AAAA|H4sI|iVBOR|/9j/|R0lGOD|UEsDB|JVBERi|TVqQ|Qlpo|/Td6|KLUv|f0VMR|UklGR|gAS|gAN|_Z"
    r"|(?:sha|md)\d+[-_]"
)
PUBLIC_BEGINS = re.compile(r"-----BEGIN (?!(?:[A-Z0-9]+ ){0,3}PRIVATE )[A-Z0-9 ]{3,40}-----")


def entropy(text: str) -> float:
    """Return the Shannon entropy of the characters of `text`, in bits per character."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


def is_random(value: str, min_length: int = 16, min_classes: int = 2) -> bool:
    """Return whether a value without blanks seems drawn at random.

    Capitals, small letters, and digits are the classes. Hexadecimal numbers do not count, because
    digests and identifiers look like them.
    """
    if len(value) < min_length or HEX.fullmatch(value) or any(map(str.isspace, value)):
        return False
    runs = LETTERS_AND_DIGITS.findall(value)
    classes = {"Aa1"[2 if run.isdigit() else run.islower()] for run in runs}
    enough = len(classes) >= min_classes and len(runs) - 1 >= MIN_CHANGES * len(value)
    return enough and entropy(value) >= MIN_BITS


def spans(text: str) -> list[tuple[int, int]]:
    """Return where in `text` random values stand that nothing before them calls public."""
    blocks = _public_blocks(text)
    return [
        match.span()
        for match in BARE.finditer(text)
        if is_random(match.group(), MIN_BARE, 3)
        and not match.group().startswith("/")
        and not WORD.search(match.group())
        and not DATA.match(match.group())
        and not PUBLIC_NAME.search(text, max(0, match.start() - 24), match.start())
        and not _encodes_text(match.group())
        and not any(start < match.start() < end for start, end in blocks)
    ]


def _public_blocks(text: str) -> list[tuple[int, int]]:
    """Return where certificates and public keys stand."""
    blocks, position = [], 0
    while begin := PUBLIC_BEGINS.search(text, position):
        position = text.find("-----END ", begin.end())
        if position < 0:
            break
        blocks.append((begin.start(), position))
    return blocks


def _encodes_text(value: str) -> bool:
    """Return whether a value is text or sparse bytes in base64, which is no secret's format."""
    whole = value[: len(value) // 4 * 4]
    data = b64decode(whole.replace("-", "+").replace("_", "/"))
    plain = sum(32 <= byte < 127 or byte in b"\t\n\r\0" for byte in data)
    return plain >= 0.9 * len(data)
