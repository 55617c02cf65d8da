"""Secrets that their format alone gives away: providers' tokens, private keys, logins in URLs.

The prefixes are those that the providers document, and that the rules of detect-secrets and
gitleaks look for.
"""

import re
from base64 import b64decode
from collections.abc import Iterator
from functools import cache

from benchpaper.core.secrets import names

Span = tuple[int, int]

_ALNUM, _URLSAFE = "[A-Za-z0-9]", r"[\w-]"
# Each pattern ends where no further character can make it fail, so that a search never goes back
# over a long text.
TOKENS = [
    rf"gh[pousr]_{_ALNUM}{{30}}[A-Za-z0-9_]*+", r"github_pat_\w{22,}+",
    rf"gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas|ffct)-{_URLSAFE}{{20,}}+",
    rf"GR1348941{_URLSAFE}{{20,}}+",
    r"[xX][oO][xX][a-zA-Z](?:\.[a-zA-Z]+)?-[A-Za-z0-9-]{8,}+", r"xapp-\d-[A-Za-z0-9-]{20,}+",
    r"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}", r"LTAI[A-Za-z0-9]{12,}+",
    rf"AIza{_URLSAFE}{{35}}", r"ya29\.[\w.-]{20,}+", rf"GOCSPX-{_URLSAFE}{{20,}}+",
    rf"1//0{_URLSAFE}{{30,}}+",
    rf"[rsp]k_(?:live|test)_{_ALNUM}{{16,}}+", rf"whsec_{_ALNUM}{{24,}}+",
    rf"sk-(?:proj|svcacct|admin|ant|or|lf)-{_URLSAFE}{{20,}}+", rf"sk-{_URLSAFE}{{32,}}+",
    r"hf_[A-Za-z]{30,}+", r"api_org_[A-Za-z]{30,}+", rf"gsk_{_ALNUM}{{40,}}+",
    rf"r8_{_ALNUM}{{30,}}+", rf"pplx-{_ALNUM}{{40,}}+",
    rf"npm_{_ALNUM}{{30,}}+", rf"pypi-AgE{_URLSAFE}{{40,}}+", r"rubygems_[0-9a-f]{40,}+",
    rf"cio{_ALNUM}{{32}}",
    rf"(?<![\w-])eyJ{_URLSAFE}{{8,}}+=*+\.{_URLSAFE}{{4,}}+=*+(?>(?:\.[\w+/=-]*+)*)",
    rf"SG\.{_URLSAFE}{{20,24}}\.{_URLSAFE}{{39,}}+",
    r"[0-9a-z]{32}-us\d{1,2}(?!\w)", r"(?:AC|SK)[a-z0-9]{32}(?!\w)",
    r"sq0[a-z]{3}-[\w\\-]{22,}+", r"\d{8,10}:[\w-]{35}(?![\w-])",
    rf"[MNO][\w-]{{23,25}}\.{_URLSAFE}{{6}}\.{_URLSAFE}{{27,}}+",
    rf"AKC{_ALNUM}{{40,}}+",
    r"do[opr]_v1_[0-9a-f]{40,}+", r"dapi[0-9a-f]{32}", r"hv[sbr]\.[\w-]{20,}+",
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}", r"ATATT3[\w=-]{20,}+", r"ATCTT3[\w=-]{20,}+",
    rf"lin_api_{_ALNUM}{{30,}}+", rf"ntn_{_ALNUM}{{30,}}+", rf"secret_{_ALNUM}{{43}}",
    r"gl(?:sa|c)_[A-Za-z0-9_=+/]{32,}+", r"NR(?:AK|JS|II)-[A-Za-z0-9-]{19,}+",
    r"pscale_(?:tkn|pw|oauth)_[\w.-]{32,}+", r"PMAK-[0-9a-f-]{40,}+", r"pul-[0-9a-f]{40}",
    r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.]{40,}+", rf"dckr_(?:pat|oat)_{_URLSAFE}{{20,}}+",
    rf"{_ALNUM}{{14}}\.atlasv1\.{_URLSAFE}{{60,}}+", r"tskey-[a-z]+-[\w-]{10,}+",
    r"sbp_[0-9a-f]{40}", r"FlyV1 [\w,/+=]{20,}+", r"HRKU-[\w-]{36,}+", r"sntry[su]_[\w+/=]{40,}+",
    rf"{_ALNUM}{{3}}8Q~[\w.~-]{{31,}}+",  # Azure's client secrets
    r"S[UAONCX][A-Z2-7]{56}(?!\w)",  # seeds of NATS
    r"AGE-SECRET-KEY-1[A-Z0-9]{50,}+", r"AQ[A-Za-z0-9+/]{36}==",  # age; Ceph
    r"b3BlbnNzaC1rZXktdjE[A-Za-z0-9+/=]*+",  # private keys without their first and last lines
    r"MII[A-Za-z0-9+/]{2}[AQgw]IBA[A-Za-z0-9+/=]{24,}+",
    r"(?:MC4CAQAwBQYDK2V|MIG[HT]AgEA|MHcCAQEE|MIGkAgEB)[A-Za-z0-9+/=]{24,}+",
]  # fmt: skip
LONG_WORD = re.compile(r"[\w.+/=~:\\-]{16,}+(?:(?<=FlyV1) [\w.+/=,-]++)?")

URL_LOGIN = re.compile(
    r"(?<=://)(?:[^/\s]+@"
    r"|[^\s/:@\[]{0,128}:(?!\d{1,5}(?:[/?\s]|\Z))[^\s@'\"<>]{1,256}@(?=[\w.\[-]))"
)
GO_LOGIN = re.compile(r"(?<![\w.-])[\w.-]{1,64}:([^\s:@/'\"]{1,128})@(?=(?:tcp|unix|udp)\()")
HOOK = re.compile(
    r"https?://(?:hooks\.slack\.com/(?:services|workflows|triggers)"
    r"|(?:canary\.|ptb\.)?discord(?:app)?\.com/api/webhooks|[\w.-]{1,64}\.webhook\.office\.com"
    r"|hooks\.zapier\.com/hooks|maker\.ifttt\.com/trigger|api\.telegram\.org"
    r"|chat\.googleapis\.com/v1/spaces|outlook\.office\.com/webhook|open\.feishu\.cn/open-apis/bot"
    r"|oapi\.dingtalk\.com/robot|api\.softlayer\.com/soap/v[\d.]+)/([^\s'\"<>]++)",
    re.I,
)
BEARER = re.compile(r"\bbearer(?:[ \t]|%20|\+){1,8}([\w.~+/=:-]{6,}+)", re.I)
BASIC = re.compile(r"\bbasic(?:[ \t]|%20|\+){1,8}([A-Za-z0-9+/]{6,}+={0,2})", re.I)
NETRC = re.compile(r"\blogin\s{1,8}\S{1,128}\s{1,8}password\s{1,8}(\S++)")
SQL = re.compile(r"\b(?:password|identified(?:\s+with\s+\w+)?\s+by)\s{1,8}'([^'\n]++)'", re.I)

PGPASS = re.compile(r"^[\w.*-]{1,128}:(?:\d{3,5}|\*):[\w.*-]{1,64}:[\w.*-]{1,64}:(\S++)$", re.M)
HASHES = re.compile(
    r"\$(?:1|2[abxy]|5|6|7|y|apr1|argon2i?d?|scrypt|pbkdf2[\w-]*)\$[\w./$=,+-]{20,}+"
)

_BLANK = r"(?:[ +_]|%20)"
_MARK = (
    rf"-{{4,5}}{_BLANK}?EDGE{_BLANK}(?:[A-Z0-9]{{1,12}}{_BLANK}){{0,3}}?"
    rf"PRIVATE{_BLANK}KEY(?:{_BLANK}BLOCK)?{_BLANK}?-{{4,5}}"
)
KEY_BEGINS, KEY_ENDS = (re.compile(_MARK.replace("EDGE", edge)) for edge in ("BEGIN", "END"))
PUTTY = re.compile(r"Private-(?:Lines: ?\d+(?>(?:\r?\n[A-Za-z0-9+/=]++)+)|MAC: ?[0-9a-f]++)")


@cache
def _tokens() -> re.Pattern[str]:
    return re.compile(f"(?<![A-Za-z0-9])(?:{'|'.join(TOKENS)})")  # compiling takes a while


def spans(text: str) -> Iterator[Span]:
    """Yield where in `text` secrets of a known format stand."""
    yield from private_keys(text)
    yield from (match.span() for match in PUTTY.finditer(text))
    if "://" in text:
        yield from ((match.start(), match.end() - 1) for match in URL_LOGIN.finditer(text))
        yield from (match.span(1) for match in HOOK.finditer(text))
    yield from (match.span() for match in HASHES.finditer(text))
    for pattern in (GO_LOGIN, NETRC, PGPASS, SQL):
        yield from (match.span(1) for match in pattern.finditer(text))
    for match in BEARER.finditer(text):
        if not names.WORDS.fullmatch(match[1]) and not names.EMPTY.fullmatch(match[1]):
            yield match.span(1)
    yield from (match.span(1) for match in BASIC.finditer(text) if login_in_base64(match[1]))
    for word in LONG_WORD.finditer(text):
        for match in _tokens().finditer(word.group()):
            yield word.start() + match.start(), word.start() + match.end()


def private_keys(text: str) -> Iterator[Span]:
    """Yield where private keys stand, between their first and last lines.

    A text may be cut inside a key: then all before its last line belongs to it, or all after its
    first one.
    """
    begin, end = KEY_BEGINS.search(text), KEY_ENDS.search(text)
    if end and not (begin and begin.start() < end.start()):
        yield 0, end.start()
        begin = KEY_BEGINS.search(text, end.end())
    while begin:
        end = KEY_ENDS.search(text, begin.end())
        yield begin.end(), end.start() if end else len(text)
        begin = KEY_BEGINS.search(text, end.end()) if end else None


def login_in_base64(value: str) -> str:
    """Return the `user:password` that `value` encodes in base64; "" if it encodes no such text."""
    try:
        text = b64decode(value + "=" * (-len(value) % 4), validate=True).decode()
    except ValueError:
        return ""
    return text if ":" in text and text.isprintable() else ""
