"""Which names stand before a secret, and which values under such a name are harmless.

A name is that of an option, a variable, a key of a configuration, a header, or a parameter of a
URL. Its words decide: `author` does not hold the word `auth`, and `--token-bucket-size` ends in a
word for a measure.
"""

import os
import re
from enum import Enum
from functools import lru_cache

from benchpaper.core.secrets.randomness import is_random

MAX_NAME = 128  # the end of a longer name decides
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Kind(Enum):
    """How much a name says about the value under it."""

    PASSWORD = "any value is a secret"
    SECRET = "every value is one but settings, files, and small numbers"
    LOGIN = "every value is one but words, numbers, files, and addresses"
    MAYBE = "only a random value is one"


# All patterns match the words of a name in small letters, joined by "_". The first match decides.
_KEYS = (
    r"(?:api|app|application|access|account|admin|aes|auth|client|consumer|crypt|database|db|decrypt"
    r"|decryption|deploy|encrypt|encryption|gpg|hmac|jwt|licen[cs]e|master|pgp|priv|private"
    r"|pre_?shared|rsa|secret|service|session|shared|sign|signing|ssh|ssl|storage|tls|vault)_?keys?(?![a-z])"
)
_PASS = r"(?<!by)(?<!com)(?<!over)(?<!under)(?<!tres)(?<!sur)pass"
NAMES = [
    (None, re.compile(r"pub(?:lic)?_?keys?|^oldpwd$|^git_config_key")),
    (Kind.SECRET, re.compile(r"webhook|hook_url")),
    (
        Kind.PASSWORD,
        re.compile(rf"passw|passphrase|passcode|contrase[nñ]a|.pwd|pwd.|{_PASS}$|(?:^|_)otp$"),
    ),
    (
        Kind.SECRET,
        re.compile(
            rf"secret(?!ar)|token(?!i[sz]|s$|s_)|credential|(?:^|_)creds?(?:_|$)|{_KEYS}"
            r"|(?:^|_)psk$|connection_?string|(?:^|_)sas$"
        ),
    ),
    (
        Kind.LOGIN,
        re.compile(
            r"auth(?!or(?!i[sz]))|_pat$|cookies?$|signature|(?:^|_)sig$|bearer|(?:^|_)dsn$|^pwd$"
            r"|sess(?:ion)?_?id$|(?:^|_)sid$|(?:^|_)jwt$"
        ),
    ),
    (Kind.MAYBE, re.compile(r"(?:^|_)keys?(?:_|$)|tokens|(?:^|_)pat$|(?:^|_)session$")),
]
# A name that ends so tells something about a secret: TOKEN_TTL, PASSWORD_FILE, --key-size.
ABOUT = re.compile(
    r"_(?:algorithms?|algo?|alias|backend|bits|board|bucket|buckets|bytes|callback|class|cmd"
    r"|column|command|count|dir|dist|distribution|enabled?|endpoint|exp|expiration|expires?"
    r"|expiry|field|fds?|files?|folder|format|hashes|host|index|interval|kind|len|length"
    r"|limits?|max|methods?|min|mode|ms|names?|number|paths?|per_\w+|plugin|policy|port|prefix"
    r"|providers?|range|rate|requests?|required|ring|rounds|scheme|sep|seconds?|server|sizes?"
    r"|sock|socket|space|spec|suffix|time|timeout|ttl|types?|uri|url|user|username|version"
    r"|words?)$"
)
# Words at the end of a name that change nothing: API_KEY_2, TOKEN_PROD, PRIVATE_KEY_BASE64.
NEUTRAL = re.compile(
    r"(?:_(?:\d+|v\d*|prod|production|dev|test|staging|live|base|b|hex|pem|raw|value|default|old"
    r"|new|env|json))+$"
)
VARIABLE = re.compile(r"[A-Z0-9_]*(?:KEY|PAT)[A-Z0-9_]*")

# What stands for a value, or for its absence.
EMPTY = re.compile(
    r"(?i:none|null|nil|true|false|yes|no|on|off)"
    r"|\$[A-Z_][A-Z0-9_]*(?:/\S*)?|\$\{[^}]*\}|\$\([^)]*\)?|<[\w -]*>|\{[\w.]*\}|\[\w*\]"
    r"|%\(?\w*\)?s|\*+|•+|\.{2,3}|"
)
# Values of settings with a secret's name that are no secrets: MAX_TOKENS=100000, TOKEN_TYPE=Bearer.
NUMBER = re.compile(
    r"(?:0x[\da-f]+|[-+]?[\d.,_:]++(?:e[-+]?\d+)?(?:[kmgt]i?b?|[mun]?s|min|h|d|%)?)", re.I
)
SMALL_NUMBER = re.compile(r"[-+]?\d{0,5}(?:[.,:]\d+)*(?:[kmgt]i?b?|[mun]?s|min|h|d|%)?", re.I)
SETTINGS = frozenset([
    "allowed", "always", "always-on", "automatic", "basic", "bearer", "default", "digest",
    "disable", "disabled", "enable", "enabled", "forbidden", "global", "ignore", "ignored",
    "inherit", "keyring", "local-only", "manual", "memory", "optional", "password", "plain-text",
    "prefer", "preferred", "private", "public", "random", "require", "required", "sha256",
    "sha384", "sha512", "standard", "strict", "system", "unlimited", "unset", "verify",
])  # fmt: skip
WORDS = re.compile(r"(?:[A-Za-z]{1,30}|\d{1,3})(?>(?:[-_. ](?:\d{1,3}|[A-Za-z]{0,30}+))*)")
FILE = re.compile(
    r"[\w./~-]+\.(?:pem|key|crt|cer|cert|json|ya?ml|txt|toml|ini|conf|cfg|env|p12|pfx|jks|creds|nk"
    r"|pub|asc|gpg)"
)
ADDRESS = re.compile(r"[a-z][a-z\d+.-]*://[^\s@]*")
SETTING = re.compile(r"[A-Za-z]\w{0,40}[_.]\w[\w.]{0,40}")
SHORTEST_HIDDEN = 3  # characters; shorter ones are a keyboard's keys
SHORTEST_SECRET = 6  # what is hidden where no name stands before it, too


def kind(name: str) -> Kind | None:
    """Return what a name says about the value under it; None if nothing."""
    return _kind(name[-MAX_NAME:])


@lru_cache(maxsize=4096)
def _kind(name: str) -> Kind | None:
    if name == "PWD":  # the shell's working folder; a database's password is `Pwd`
        return None
    words = "_".join(WORD.findall(name)).lower()
    words = NEUTRAL.sub("", words) or words
    first = next(((kind, pattern) for kind, pattern in NAMES if pattern.search(words)), None)
    if first is None or first[0] is None:
        return None
    if ABOUT.search(words) and "hook" not in words:
        return Kind.MAYBE
    if VARIABLE.fullmatch(name) and first[0] is Kind.MAYBE and re.search(r"(key|pat)$", words):
        return Kind.SECRET
    return first[0]


def hides(name: str, value: str) -> bool:
    """Return whether `value`, which stands under `name`, is to be hidden."""
    what = kind(name)
    if what is None or EMPTY.fullmatch(value):
        return False
    if what is Kind.PASSWORD:
        # Passes through data are counted; a password may be a number.
        return not (SMALL_NUMBER.fullmatch(value) and re.search("pass$", name, re.I))
    if what is Kind.MAYBE:
        return is_random(value)
    if (
        len(value) < SHORTEST_HIDDEN
        or SMALL_NUMBER.fullmatch(value)
        or value.lower() in SETTINGS
        or FILE.fullmatch(value)
    ):
        return False
    if what is Kind.LOGIN and (
        NUMBER.fullmatch(value)
        or ADDRESS.fullmatch(value)
        or (WORDS.fullmatch(value) and not is_random(value))
    ):
        return False
    if ADDRESS.fullmatch(value) and not re.search("hook", name, re.I):
        return False
    return not _is_here(value)


def sets(word: str, value: str) -> bool:
    """Return whether `value` is a secret because `word` stands before it: `set auth.password x`.

    In prose such names stand before words.
    """
    strong = SETTING.fullmatch(word) and kind(word) in (Kind.PASSWORD, Kind.SECRET)
    return bool(strong) and is_random(value, SHORTEST_SECRET) and hides(word, value)


def may_stand_elsewhere(value: str) -> bool:
    """Return whether to leave a secret alone where no name stands before it.

    That is if it is short, a number, or a word of a setting, because those stand in harmless places
    too; or if it is a path that exists here, which is redacted as a path.
    """
    if len(value) < SHORTEST_SECRET or NUMBER.fullmatch(value) or value.lower() in SETTINGS:
        return True
    return os.path.exists(value) or all(map(_is_here, re.split("[:;,]", value)))


def _is_here(path: str) -> bool:
    """Return whether a path begins with a folder of this machine's root.

    A slash alone proves nothing: a secret in base64 may begin with it.
    """
    if not path.startswith(("/", "~/")):
        return False
    top = os.path.expanduser(path).split("/")[1]
    return bool(top) and os.path.isdir(f"/{top}")
