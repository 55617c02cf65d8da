"""Keep paths, names, and secrets of a machine out of everything that is written down.

Redaction works on fields whose kind is known (a command line, a path, a text with paths in it),
because replacing strings everywhere would hide words: `root` is a user's name and also a word. The
same goes for a host's name. A name with a digit or a hyphen (`node-17`) is not a word, and is
hidden everywhere. A name of letters alone (`debian`, `test`) is hidden only where a host stands: as
an argument, after `@` or `://`, or before a port of four or five digits. `localhost` names no
particular host.

A trial decides how long its texts are, and redaction runs in the controller, where no time-out
applies. So every pattern here takes linear time, and `Redactor.shortened` cuts texts that are too
long.
"""

import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

# Matches anywhere in a name. KEY and PASS also match as a whole name or at its end, if written like
# a variable: --key-size is no secret.
SECRET_NAME = re.compile(
    r"(?:secret|token|passw|passphrase|credential|api[_-]?key|auth[_-]?key|access[_-]?key|private)"
    r"|(?-i:(?<![A-Za-z0-9-])(?:KEY|PASS)|(?<=[A-Z0-9_])_PWD)(?![\w-])",
    re.I,
)
# Values of settings with such a name that are no secrets: MAX_TOKENS=100000, TOKEN_TYPE=Bearer.
NUMBER = re.compile(r"[-+]?[\d.,_:]++(?:e[-+]?\d+)?(?:[kmgt]i?b?|[mun]?s|min|h|d|%)?", re.I)
SETTINGS = frozenset([
    "allowed", "always", "always-on", "automatic", "basic", "bearer", "default", "digest",
    "disable", "disabled", "enable", "enabled", "forbidden", "global", "ignore", "ignored",
    "inherit", "keyring", "local-only", "manual", "memory", "optional", "password", "plain-text",
    "prefer", "preferred", "private", "public", "random", "require", "required", "sha256",
    "sha384", "sha512", "standard", "strict", "system", "unlimited", "unset", "verify",
])  # fmt: skip
# Folders that are the same on every machine reveal nothing about this one.
PUBLIC = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/dev", "/proc", "/sys", "/etc")
PUBLIC_BELOW = tuple(f"{folder}/" for folder in PUBLIC)
# Where a path may begin: not inside a word, a relative path, or a URL, but after -I, file://, and
# sqlite3://.
BEGIN = r"(?:(?<![\w.$~/\-])(?!(?<=:)//)|(?<=(?<![\w\-])-[A-Za-z])|(?<=file://)|(?<=sqlite3://))"
NEXT_PATH = re.compile(BEGIN + "(?=/)")
_PART = r"[^\s:'\"|,;()<>\[\]{}=]++"
PATH_IN_TEXT = re.compile(
    rf"{BEGIN}(?:(?<=')/[^'\n]++(?=')|(?<=\")/[^\"\n]++(?=\")|/{_PART}(?:(?<=\\) {_PART})*+)"
)
BETWEEN_PATHS = " \t\n:;,|=&<>()[]{}'\""
URL_LOGIN = re.compile(r"(?<=://)[^/\s]+@")
URL_CUT = re.compile(r"(?<=://)[^/\s@]++\Z")
# Each name is searched once, from its first letter: a search from every letter takes hours on a
# megabyte of hex digits.
_NAMED = rf"(?<![\w-])(?=[\w-]*?(?:{SECRET_NAME.pattern}))[\w-]++"
SECRET_IN_TEXT = re.compile(rf"({_NAMED}=|(?=--){_NAMED}\s++)(['\"]?)([^\s'\"|,;&]++)", re.I)
PRIVATE_KEY = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
)
KEY_BEGINS, KEY_ENDS = (
    re.compile(rf"-----{edge} [A-Z ]*PRIVATE KEY-----") for edge in ("BEGIN", "END")
)
SHORTEST_SECRET = 6
MAX_TEXT_BYTES = 200_000
DOMAIN = r"(?:\.[A-Za-z][\w\-]*)*"
HOST_IN_TEXT = rf"(?<![\w.\-]){{}}{DOMAIN}(?![\w\-])"  # a domain is hidden with the name
WORD_AS_HOST = (
    rf"(?:(?<=@)|(?<=://)){{0}}{DOMAIN}(?![\w\-])"
    rf"|(?<![\w.\-]){{0}}{DOMAIN}(?=:\d{{{{4,5}}}}\b)"
)


class Redactor:
    """Redacts for one project.

    `root` is the project's top folder. `secrets` are further values to hide (throw-away
    credentials).
    """

    def __init__(self, root: Path | str, secrets: Iterable[str] = ()):
        folders = {
            str(Path(sys.prefix)): "$VENV",
            str(root): "$PROJECT",
            tempfile.gettempdir(): "$TMP",
        }
        folders.setdefault(os.path.expanduser("~"), "$HOME")
        # The longest first: the environment lies inside the project.
        self._folders = sorted(folders.items(), key=lambda item: -len(item[0]))
        self._folders = [
            (folder, name)
            for folder, name in self._folders
            if folder.startswith("/") and folder != "/"
        ]
        values = {
            value
            for name, value in os.environ.items()
            if SECRET_NAME.search(name) and _may_be_secret(value)
        }
        values |= {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self._secrets = sorted(values, key=len, reverse=True)
        self._host = socket.gethostname()
        self._host_in_text = _host_in_text(self._host.partition(".")[0])

    def hide_folders(self, folders: Mapping[str, str]) -> None:
        """Replace further folders (of other hosts) by a name, given as {folder: name}."""
        known = dict(self._folders)
        self._folders += [
            (folder, name)
            for folder, name in folders.items()
            if folder not in known and folder != "/"
        ]
        self._folders.sort(key=lambda item: -len(item[0]))

    def path(self, path: Path | str) -> str:
        """Return an absolute path relative to a known folder; of other paths only the last part."""
        text = self._without_secrets(str(path))
        for folder, name in self._folders:
            if text == folder or text.startswith(folder + "/"):
                return name + text[len(folder) :]
        plain = os.path.normpath(text) if "/.." in text else text
        if not text.startswith("/") or plain.startswith(PUBLIC_BELOW) or plain in PUBLIC:
            return text
        return f"$ELSEWHERE/{plain.rstrip('/').rpartition('/')[2]}"

    def _paths(self, text: str) -> str:
        """Redact a path that may hold blanks, or a text of several paths.

        A path begins wherever `BEGIN` matches.
        """
        return "".join(map(self._path_and_separator, NEXT_PATH.split(text)))

    def _path_and_separator(self, text: str) -> str:
        path = text.rstrip(BETWEEN_PATHS)
        return self.path(path) + text[len(path) :]

    def shortened(self, text: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
        """Return `self.text(text)`, cut at `max_bytes` and encodable as UTF-8."""
        data = text.encode(
            errors="backslashreplace"
        )  # a file's name may hold bytes that no text has
        if len(data) <= max_bytes:
            return self.text(data.decode())
        kept = self._without_begun_secret(data[:max_bytes].decode(errors="ignore"))
        return f"{self.text(URL_CUT.sub('', kept))} [cut at {max_bytes} of {len(data)} bytes]"

    def _without_begun_secret(self, text: str) -> str:
        """Drop the beginning of a secret from the end of a cut text, where no search finds it."""
        for secret in self._secrets:
            begun = next((n for n in range(len(secret) - 1, 0, -1) if text.endswith(secret[:n])), 0)
            text = text[: len(text) - begun]
        return text

    def text(self, text: str) -> str:
        """Return free text (an error, a log) without secrets, URL logins, paths, and host name."""
        text = self.without_secrets(text)
        for folder, name in self._folders:  # they may hold blanks
            if folder in text:
                pattern = rf"{BEGIN}{re.escape(folder)}(?![\w\-]|\.\w)"
                text = re.sub(pattern, name.replace("\\", r"\\"), text)
        return self._without_host(PATH_IN_TEXT.sub(lambda match: self._paths(match.group()), text))

    def _without_host(self, text: str) -> str:
        return self._host_in_text.sub("$HOST", text) if self._host_in_text else text

    def without_secrets(self, text: str) -> str:
        """Return free text without secrets and logins in URLs; paths stay, for the user alone."""
        text = PRIVATE_KEY.sub(
            r"\1 $SECRET \2", URL_LOGIN.sub("$SECRET@", self._without_secrets(text))
        )
        end = KEY_ENDS.search(text)
        if end and not KEY_BEGINS.search(text, 0, end.start()):  # the text was cut inside a key
            text = f"$SECRET {text[end.start() :]}"
        return SECRET_IN_TEXT.sub(r"\1\2$SECRET", text)

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "$SECRET")
        return text

    def learn(self, argv: Sequence[object]) -> None:
        """Hide a command line's secrets in every later text and command: programs repeat them.

        Secrets are the values of options and variables with a secret's name, and passwords in URLs.
        """
        self._shown(argv)
        for argument in map(str, argv):
            for match in SECRET_IN_TEXT.finditer(argument):
                self._hidden(match[3])
            for login in URL_LOGIN.findall(argument):
                self._hidden(login[:-1].partition(":")[2])

    def command(self, argv: Sequence[object]) -> list[str]:
        """Return a command line, argument by argument, without its secrets, and learn them."""
        self.learn(argv)
        return self._shown(argv)

    def _shown(self, argv: Sequence[object]) -> list[str]:
        shown, hide_next = [], False
        for argument in map(str, argv):
            name, equals, value = argument.partition("=")
            secret_option = bool(SECRET_NAME.search(name)) and bool(equals or name.startswith("-"))
            if hide_next:
                shown.append(self._hidden(argument))
            elif secret_option and equals:
                shown.append(f"{name}={self._hidden(value)}")
            else:
                shown.append(self._argument(argument))
            hide_next = not hide_next and secret_option and not equals
        return shown

    def _hidden(self, value: str) -> str:
        """Return "$SECRET", and hide `value` from now on if it may be a secret."""
        if _may_be_secret(value) and value not in self._secrets:
            self._secrets = sorted([*self._secrets, value], key=len, reverse=True)
        return "$SECRET"

    def _argument(self, argument: str) -> str:
        name, equals, value = argument.partition("=")
        if self._host in (argument, value):
            return f"{name}=$HOST" if equals else "$HOST"
        if argument.startswith("/"):
            return self._without_host(self._paths(self.without_secrets(argument)))
        if equals and value.startswith("/"):
            return f"{self.text(name)}={self._argument(value)}"
        return self.text(argument)


def _may_be_secret(value: str) -> bool:
    """Return whether to hide a value everywhere from now on.

    Not if it is short, a number, or a word of a setting, because those stand in harmless places
    too; nor if it is a path that exists here, which is redacted as a path.
    """
    if len(value) < SHORTEST_SECRET or NUMBER.fullmatch(value) or value.lower() in SETTINGS:
        return False
    return not (os.path.exists(value) or all(map(_is_here, re.split("[:;,]", value))))


def _is_here(path: str) -> bool:
    """Return whether a path begins with a folder of this machine's root.

    A slash alone proves nothing: a secret in base64 may begin with it.
    """
    if not path.startswith(("/", "~/")):
        return False
    top = os.path.expanduser(path).split("/")[1]
    return bool(top) and os.path.isdir(f"/{top}")


def _host_in_text(name: str) -> re.Pattern[str] | None:
    """Return a pattern that finds a host's name (without domain) in free text.

    None for a name that identifies no host.
    """
    if not name or name.isdigit() or name.lower() == "localhost":
        return None
    pattern = WORD_AS_HOST if name.isalpha() else HOST_IN_TEXT
    return re.compile(pattern.format(re.escape(name)), re.I)
