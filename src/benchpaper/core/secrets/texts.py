"""Find secrets in free text: in assignments of any notation, and by their format.

An assignment is a name, a separator, and a value: `--password x`, `TOKEN=x`, `"token": "x"`,
`{'token': 'x'}`, `token: x`, `token = "x"`, `['--token', 'x']`, `<Token>x</Token>`, `token%3Dx`.
"""

import re
from collections.abc import Iterator

from benchpaper.core.secrets import formats, names, programs, prose, randomness
from benchpaper.core.secrets.formats import Span

# A quote, escaped by backslashes, in HTML, or by a shell inside of a quoted text.
_QUOTE = r"""(?:'"'"'|'\\''|&quot;|&\#(?:34|39|x27|x22);|\\{0,7}["'`])"""
# A search begins once at each name, and goes through it once. Here and elsewhere, `(?>(...)?)`
# stands for a possessive group, which Python before 3.11.5 matches wrongly; Debian 12 has 3.11.2.
ASSIGNMENT = re.compile(
    rf"""(?<![\w.-])(?P<name>[\w.-]++)
        (?>(?P<close>{_QUOTE}\]?|\])?)
        (?P<gap>[ \t]*+)
        (?>(?P<separator>=>|:=|={{1,3}}|:(?!//)|%3(?i:[ad])
            |[,>](?=[ \t]*[bru]{{0,2}}{_QUOTE})|(?<=[\w"'])>
            |\|(?=[ \t]))?)
        (?:[ \t]*+[|>][-+]?[ \t]*+\r?\n[ \t]++ | \s*+(?={_QUOTE}) | (?P<blank>[ \t]*+))
        (?:(?:Some\(|Secret\w{{0,8}}\(|[bBrRuUfF]{{0,2}})(?={_QUOTE}) | @?)
        (?>(?P<open>{_QUOTE})?)""",
    re.X,
)
PLAIN_VALUE = re.compile(r"[^\s'\"`|,;&]++")
OPTION_VALUE = re.compile(r"[^\s'\"`|;&]++")
WORD_VALUE = re.compile(r"\S++")
LINE_VALUE = re.compile(r"[^\r\n]++")
ENCODED_VALUE = re.compile(r"(?>(?:(?!%26|%3[Bb]|%20|%22|%27)[^\s'\"|,;&])+)")
ELEMENT_VALUE = re.compile(r"[^<\n]++")
LIST = re.compile(r"[\[(]\s{0,80}\\{0,7}[\"']([^\[\]{}()\n]{1,4096}?)\\{0,7}[\"']\s{0,80}[\])]")
HEADER = re.compile(r"(?:proxy-)?authorization|(?:set-)?cookie2?", re.I)
SCHEME = re.compile(r"(?:bearer|basic|digest|token|negotiate|ntlm|apikey|aws4?[\w-]*)[ \t]+", re.I)
KEY_OF = re.compile(r"\b(api|access|secret|private|auth|encryption|signing|licen[cs]e)[ ]\Z", re.I)
SETTER = re.compile(r"\b(?:setenv|ENV)[ \t]+\Z")
MAX_PADDING = 40
OPENING = {")": "(", "]": "[", "}": "{", ">": "<"}
MAX_BRACKETS = 8
MAX_HARMLESS = 512  # characters of a value; a longer one under a telling name is a secret


def spans(text: str) -> list[Span]:
    """Return where secrets stand in `text`, in order, without overlaps."""
    found_by = (formats.spans, _assigned, programs.spans, randomness.spans)
    return merged([span for spans_of in found_by for span in spans_of(text)])


def merged(every: list[Span]) -> list[Span]:
    """Return spans in order, those that overlap as one."""
    result: list[Span] = []
    for start, end in sorted(span for span in every if span[0] < span[1]):
        if result and start < result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def without(text: str, hidden: list[Span]) -> str:
    """Return `text` with "$SECRET" in the place of each span."""
    parts, position = [], 0
    for start, end in hidden:
        parts += [text[position:start], _placeholder(text, start, end)]
        position = end
    return "".join([*parts, text[position:]])


def _placeholder(text: str, start: int, end: int) -> str:
    """Return "$SECRET", set off from the first and last line of a private key."""
    before = " " if text[max(0, start - 4) : start] == "----" else ""
    after = " " if text[end : end + 4] == "----" else ""
    return f"{before}$SECRET{after}"


def _assigned(text: str) -> Iterator[Span]:
    position = 0
    while match := ASSIGNMENT.search(text, position):
        position = match.end()
        if span := _secret(text, match):
            yield span
            position = max(position, span[1])


def _secret(text: str, match: re.Match[str]) -> Span | None:
    """Return where the secret stands that a possible assignment gives, or None."""
    separator, name = match["separator"], _whole_name(text, match)
    if not separator and not match["name"].startswith("-"):
        return _after_setting(text, match)
    if not _assigns(text, match) or names.kind(name) is None:
        return None
    if separator and (listed := LIST.match(text, match.end())):
        return listed.span(1) if names.hides(name, listed[1]) else None
    if separator and separator not in ",>|" and HEADER.fullmatch(name):
        return _header(text, match)
    return _value(text, match, name)


def _whole_name(text: str, match: re.Match[str]) -> str:
    """Return the name of an assignment: `API_key` in `API key: x`, `Cookie` in `\\nCookie: x`."""
    name, start = match["name"], match.start()
    if name[0] in "nrt" and text[start - 1 : start] == "\\":
        return name[1:]
    if name == "PWD" and text[start - 1 : start] == ";":
        return "pwd"
    if name.lower() == "key" and (first := KEY_OF.search(text, max(0, start - 12), start)):
        return f"{first[1]}_{name}"
    return name


def _after_setting(text: str, match: re.Match[str]) -> Span | None:
    """Return where the value stands in `set auth.password x`."""
    if not (match["gap"] or match["blank"] or match["close"]):
        return None
    word = PLAIN_VALUE.match(text, match.end(), match.end() + MAX_HARMLESS)
    sets = (
        names.hides if SETTER.search(text, max(0, match.start() - 8), match.start()) else names.sets
    )
    return word.span() if word and sets(match["name"], word[0]) else None


def _assigns(text: str, match: re.Match[str]) -> bool:
    """Return whether a name, what follows it, and a value are an assignment."""
    separator, start = match["separator"], match.start()
    if match["name"] == "SECRET" and text[start - 1 : start] == "$":  # hidden already
        return False
    if not separator:
        return bool(match["gap"] or match["blank"] or match["close"])
    if separator == ",":
        return bool(match["close"] and match["open"])
    if separator == "|":  # in a table
        return text[max(0, start - MAX_PADDING) : start].rstrip().endswith("|")
    return separator != ">" or text[start - 1 : start] == "<"


def _value(text: str, match: re.Match[str], name: str) -> Span | None:
    start, pattern = match.end(), _value_pattern(text, match)
    ended = pattern.match(text, start, start + MAX_HARMLESS)
    value = ended[0] if ended else ""
    if len(value) == MAX_HARMLESS:
        whole = names.kind(name) is not names.Kind.MAYBE and pattern.match(text, start)
        return whole.span() if whole else None
    if not match["open"]:
        if pattern in (WORD_VALUE, OPTION_VALUE):
            value = value.rstrip(",;\"'")
        value = _without_brackets(value)
        if prose.follows(text, match, value):
            return None
    return (start, start + len(value)) if names.hides(name, value) else None


def _value_pattern(text: str, match: re.Match[str]) -> re.Pattern[str]:
    """Return the pattern of an assignment's value, by the notation."""
    separator, opening = match["separator"], match["open"]
    if opening and len(opening) == 1:
        return re.compile(rf"(?>(?:[^{opening}\\\n]|\\[^\n])*)")
    if opening:
        return re.compile(rf"(?>(?:(?!{re.escape(opening)})[^\n])*)")
    if separator == ">":
        return ELEMENT_VALUE
    if separator and separator.startswith("%"):
        return ENCODED_VALUE
    if match["blank"] and separator and prose.begins_line(text, match.start()):
        return LINE_VALUE if "phrase" in match["name"].lower() else WORD_VALUE
    return OPTION_VALUE if match["name"].startswith("-") else PLAIN_VALUE


def _without_brackets(value: str) -> str:
    """Drop brackets that were opened before the value: `Login(token=x)`."""
    for _ in range(MAX_BRACKETS):
        last = value[-1:]
        if last not in OPENING or value.count(last) <= value.count(OPENING[last]):
            break
        value = value[:-1]
    return value


def _header(text: str, match: re.Match[str]) -> Span | None:
    """Return where a header's value stands: to the end of the line, or of the quotes around it.

    The scheme of `Authorization: Bearer x` stays.
    """
    start, before = match.end(), text[match.start() - 1 : match.start()]
    quote = match["open"] or (before if before in ("'", '"', "`") else "")
    end = rf"\\[rn]|{re.escape(quote)}" if quote else r"\\[rn]"
    ended = re.compile(rf"(?>(?:(?!{end})[^\r\n])+)").match(text, start)
    if not ended or not re.search(r"\w", ended[0]):
        return None
    scheme = SCHEME.match(text, start, ended.end())
    start = scheme.end() if scheme else start
    value = text[start : ended.end()].rstrip()
    harmless = names.EMPTY.fullmatch(value) or (not scheme and names.WORDS.fullmatch(value))
    return None if harmless else (start, start + len(value))
