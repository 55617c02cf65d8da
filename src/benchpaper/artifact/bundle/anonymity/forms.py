"""The forms of a text: as it is, and decoded, in every way that text is encoded within text.

Decoding here stays within the text. `embedded` returns the bytes that a text holds in base64 or
hexadecimal, which may be any kind of file. All patterns take linear time.
"""

import base64
import binascii
import html
import quopri
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

ROUNDS = 3  # of decoding what is already decoded, such as an entity in a JSON string
ESCAPES = re.compile(
    r"(?:\\x[0-9a-fA-F]{2})+|(?:\\[0-7]{3})+|(?:\\u[0-9a-fA-F]{4})+|\\U[0-9a-fA-F]{8}"
    r"|\\u\{[0-9a-fA-F]{1,6}\}|\\N\{[A-Z0-9 -]{1,80}\}|\\[\"'/\\nrtbf]"
)
CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "", "f": "\f"}
PERCENT = re.compile(r"%[0-9a-fA-F]{2}|%u[0-9a-fA-F]{4}")
PUNYCODE = re.compile(r"xn--([a-z0-9-]{1,60})", re.I)
QUOTED_PRINTABLE = re.compile(r"=\r?\n|=[0-9A-F]{2}")
LATEX_ACCENT = re.compile(
    r"\\(?:[`'^\"~=.]|[uvHtcdbkr](?![A-Za-z]))\s?\{?\s?(?:\\([ij])(?![A-Za-z])|([A-Za-z]))\s?\}?"
)
LATEX_LETTER = re.compile(
    r"\\(o|O|ss|SS|l|L|ae|AE|oe|OE|aa|AA|i|j|dh|DH|th|TH|dj|DJ|ng|NG)(?![A-Za-z])\s?"
)
LATEX_LETTERS = {
    "o": "ø", "O": "Ø", "ss": "ß", "SS": "ẞ", "l": "ł", "L": "Ł", "ae": "æ", "AE": "Æ",
    "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "i": "i", "j": "j", "dh": "ð", "DH": "Ð",
    "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ", "ng": "ŋ", "NG": "Ŋ",
}  # fmt: skip
LATEX_SYMBOL = re.compile(r"\\([%_&#$])")
LATEX_REST = re.compile(r"\\[A-Za-z]{1,40}\*?[ \t]?|\\[-/,;:!@]|[{}]")
TAG = re.compile(r"<[^<>]{1,1000}>")
# In base64 of printable ASCII, three of the four characters of each group are half the alphabet. So
# a fast pattern finds it in the middle of other text, and passes over ordinary words.
BASE64_ASCII = re.compile(
    r"(?:[CI-Za-f][A-HQ-Xg-nw-z0-3][A-DE-HI-LM-PQ-TU-XY-Za-f][A-Za-z0-9+/_-]){2,}"
)
BASE64_OTHER = re.compile(  # of anything: a longer run in upper and lower case
    r"(?<![A-Za-z0-9+/_-])(?=[a-z0-9+/_-]*[A-Z])(?=[A-Z0-9+/_-]*[a-z])[A-Za-z0-9+/_-]{11,}"
)
BASE64_SEGMENT = re.compile(r"(?<=/)(?=[a-z0-9+]*[A-Z])(?=[A-Z0-9+]*[a-z])[A-Za-z0-9+]{11,}")
WRAPPED = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{20,}(?:[\"',\s\\]{1,40}[A-Za-z0-9+/]{20,})+")
_HEX_CHARACTER = "(?:[2-7][0-9a-fA-F]|[cC][2-9a-fA-F][89abAB][0-9a-fA-F])"  # ASCII, or in UTF-8
HEX = re.compile(rf"(?<![0-9a-fA-F]){_HEX_CHARACTER}{{4,}}(?![0-9a-fA-F])")
_HEX_BYTE = "(?:0x)?[2-9a-cA-C][0-9a-fA-F]"
HEX_DUMP = re.compile(rf"(?:{_HEX_BYTE}[\s,:]{{1,3}}){{3,}}{_HEX_BYTE}")
LONG_BYTES = 16  # what ordinary words and numbers decode to is shorter, and holds few letters
THREE_LETTERS = re.compile(rb"(?:[^\x00-\x40\x5b-\x60\x7b-\x7f]\0{0,3}){3}")
"""How a text was encoded: (name of the encoding or "", decoded text)."""
Form = tuple[str, str]


def forms(text: str) -> Iterator[Form]:
    """Yield (encoding, text): the text itself with encoding "", and its decoded forms."""
    yield "", text
    decoded, encodings = text, []
    for _ in range(ROUNDS):
        before = decoded
        for name, decode in IN_PLACE.items():
            if (after := decode(decoded)) != decoded:
                decoded = after
                encodings.append(name)
        if decoded == before:
            break
    bases = {"": text}
    if encodings:
        bases[" and ".join(dict.fromkeys(encodings))] = decoded
        yield " and ".join(dict.fromkeys(encodings)), decoded
    for encoding, base in bases.items():
        for name, decode in BRANCHES.items():
            if (branch := decode(base)) != base:
                yield " and ".join(filter(None, (encoding, name))), branch


def _unescaped(text: str) -> str:
    return ESCAPES.sub(_escape, text) if "\\" in text else text


def _escape(match: re.Match[str]) -> str:
    escape = match.group()
    kind, rest = escape[1], escape[2:]
    if kind == "x":
        return _characters(bytes.fromhex(escape.replace("\\x", "")))
    if kind in "01234567":
        return _characters(bytes(int(part, 8) & 255 for part in escape.split("\\")[1:]))
    if kind == "N":
        try:
            return unicodedata.lookup(rest[1:-1])
        except KeyError:
            return escape
    if kind in "uU":
        numbers = [rest.strip("{}")] if rest[:1] == "{" or kind == "U" else escape.split("\\u")[1:]
        return _code_points(int(number, 16) for number in numbers)
    return CONTROLS.get(kind, kind)


def _code_points(numbers: Iterator[int]) -> str:
    """Return the text of code points, or of UTF-16's pairs of them."""
    text = "".join(chr(number) for number in numbers if number <= 0x10FFFF)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _characters(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _without_entities(text: str) -> str:
    return html.unescape(text) if "&" in text else text


def _without_percents(text: str) -> str:
    if not PERCENT.search(text):
        return text
    text = re.sub(r"%u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    return unquote(text, errors="replace")


def _without_punycode(text: str) -> str:
    return PUNYCODE.sub(_punycode, text) if "xn--" in text.lower() else text


def _punycode(match: re.Match[str]) -> str:
    try:
        return match[1].encode().decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return match.group()


def without_latex(text: str) -> str:
    """Return LaTeX as plain text: accents become letters; commands and braces go."""
    if "\\" not in text and "{" not in text:
        return text
    text = LATEX_ACCENT.sub(lambda match: match[1] or match[2], text)
    text = LATEX_LETTER.sub(lambda match: LATEX_LETTERS[match[1]], text)
    return LATEX_REST.sub("", LATEX_SYMBOL.sub(r"\1", text))


def _without_tags(text: str) -> str:
    return TAG.sub("", text) if "<" in text else text


def _without_quoted_printable(text: str) -> str:
    if not QUOTED_PRINTABLE.search(text):
        return text
    return _characters(quopri.decodestring(text.encode(errors="replace")))


IN_PLACE = {
    "escapes": _unescaped,
    "HTML entities": _without_entities,
    "percent-encoding": _without_percents,
    "punycode": _without_punycode,
}
BRANCHES = {
    "LaTeX": without_latex,
    "tags": _without_tags,
    "quoted-printable": _without_quoted_printable,
}
GLUED = ("LaTeX", "tags")  # without them, `/home/{name}` is a home folder


def embedded(text: str) -> Iterator[tuple[str, bytes]]:
    """Yield (encoding, bytes) of each part of a text that may be base64 or hexadecimal."""
    for encoding, decode, patterns in EMBEDDED:
        for pattern in patterns:
            for match in pattern.finditer(text):
                data = decode(match.group())
                if len(data) >= LONG_BYTES or THREE_LETTERS.search(data):
                    yield encoding, data


def _from_hex(run: str) -> bytes:
    try:
        return bytes.fromhex(re.sub("0x|[,:]", " ", run))
    except ValueError:
        return b""


def _from_base64(run: str) -> bytes:
    run = re.sub(r"[\"',\s\\]", "", run).replace("-", "+").replace("_", "/")
    run = run[: len(run) - (len(run) % 4 == 1)]
    try:
        return base64.b64decode(run + "=" * (-len(run) % 4))
    except (binascii.Error, ValueError):
        return b""


EMBEDDED = (
    ("base64", _from_base64, (BASE64_ASCII, BASE64_OTHER, BASE64_SEGMENT, WRAPPED)),
    ("hexadecimal", _from_hex, (HEX, HEX_DUMP)),
)
