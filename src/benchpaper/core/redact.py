"""Keeps paths, names and secrets of a machine out of everything that is written down.

Redaction works on fields whose kind is known (a command line, a path, a text with paths in it), not by replacing
strings everywhere: `root` is a user's name and also a word. So it is with a host's name. One with a digit or a hyphen
(`node-17`) is no word, and is hidden wherever it stands; one of letters alone (`debian`, `test`) only where a host
stands: as an argument, after `@` or `://`, or before a port of four digits or five. `localhost` names none.

A trial decides how long its texts are, and redaction runs in the controller, where no time-out reaches it. So every
pattern here takes linear time, and `Redactor.told` cuts what is too long.
"""

import os
import re
import socket
import sys
import tempfile
from pathlib import Path

# Within any name; and a name that is nothing but KEY or ends so, written as variables are: --key-size is none.
SECRET_NAME = re.compile(
    r"(?:secret|token|passw|passphrase|credential|api[_-]?key|auth[_-]?key|access[_-]?key|private)"
    r"|(?-i:(?<![A-Za-z0-9-])(?:KEY|PASS)|(?<=[A-Z0-9_])_PWD)(?![\w-])",
    re.I,
)
# Values that settings with such a name have, and that are no secrets: MAX_TOKENS=100000, TOKEN_TYPE=Bearer.
NUMBER = re.compile(r"[-+]?[\d.,_:]++(?:e[-+]?\d+)?(?:[kmgt]i?b?|[mun]?s|min|h|d|%)?", re.I)
SETTINGS = frozenset(
    [
        "allowed",
        "always",
        "always-on",
        "automatic",
        "basic",
        "bearer",
        "default",
        "digest",
        "disable",
        "disabled",
        "enable",
        "enabled",
        "forbidden",
        "global",
        "ignore",
        "ignored",
        "inherit",
        "keyring",
        "local-only",
        "manual",
        "memory",
        "optional",
        "password",
        "plain-text",
        "prefer",
        "preferred",
        "private",
        "public",
        "random",
        "require",
        "required",
        "sha256",
        "sha384",
        "sha512",
        "standard",
        "strict",
        "system",
        "unlimited",
        "unset",
        "verify",
    ]
)
# Folders that are the same on every machine say nothing about this one.
PUBLIC = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/dev", "/proc", "/sys", "/etc")
PUBLIC_BELOW = tuple(f"{folder}/" for folder in PUBLIC)
# Where a path may begin: not within a word, a relative path or a URL, but after -I, file:// and sqlite3://.
BEGIN = r"(?:(?<![\w.$~/\-])(?!(?<=:)//)|(?<=(?<![\w\-])-[A-Za-z])|(?<=file://)|(?<=sqlite3://))"
NEXT_PATH = re.compile(BEGIN + "(?=/)")
_PART = r"[^\s:'\"|,;()<>\[\]{}=]++"
PATH_IN_TEXT = re.compile(
    rf"{BEGIN}(?:(?<=')/[^'\n]++(?=')|(?<=\")/[^\"\n]++(?=\")|/{_PART}(?:(?<=\\) {_PART})*+)"
)
BETWEEN_PATHS = " \t\n:;,|=&<>()[]{}'\""
URL_LOGIN = re.compile(r"(?<=://)[^/\s]+@")
URL_CUT = re.compile(r"(?<=://)[^/\s@]++\Z")
# A name is looked through once, from its first letter on: from every letter on takes hours on a megabyte of hex.
_NAMED = rf"(?<![\w-])(?=[\w-]*?(?:{SECRET_NAME.pattern}))[\w-]++"
SECRET_IN_TEXT = re.compile(rf"({_NAMED}=|(?=--){_NAMED}\s++)(['\"]?)([^\s'\"|,;&]++)", re.I)
PRIVATE_KEY = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
)
KEY_BEGINS, KEY_ENDS = (
    re.compile(rf"-----{edge} [A-Z ]*PRIVATE KEY-----") for edge in ("BEGIN", "END")
)
SHORTEST_SECRET = 6
TOLD_BOUND = 200_000  # bytes
HOST_IN_TEXT = r"(?<![\w.\-]){}(?:\.[A-Za-z][\w\-]*)*(?![\w\-])"  # a domain goes with it
WORD_AS_HOST = r"(?:(?<=@)|(?<=://)){0}(?:\.[A-Za-z][\w\-]*)*(?![\w\-])|(?<![\w.\-]){0}(?:\.[A-Za-z][\w\-]*)*(?=:\d{{4,5}}\b)"


class Redactor:
    """Redacts for one project. `secrets` are further values that must never be seen (throw-away credentials)."""

    def __init__(self, root, secrets=()):
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
        found = {
            value
            for name, value in os.environ.items()
            if SECRET_NAME.search(name) and _may_be_secret(value)
        }
        found |= {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self._secrets = sorted(found, key=len, reverse=True)
        self._host = socket.gethostname()
        self._host_in_text = _host_in_text(self._host.partition(".")[0])

    def hide_folders(self, folders):
        """Have further folders (of other hosts) shown by a name, as {folder: name}."""
        known = dict(self._folders)
        self._folders += [
            (folder, name)
            for folder, name in folders.items()
            if folder not in known and folder != "/"
        ]
        self._folders.sort(key=lambda item: -len(item[0]))

    def path(self, path):
        """Return an absolute path relative to the folder that it lies in; of an unknown folder only the last part."""
        text = self._without_secrets(str(path))
        for folder, name in self._folders:
            if text == folder or text.startswith(folder + "/"):
                return name + text[len(folder) :]
        plain = os.path.normpath(text) if "/.." in text else text
        if not text.startswith("/") or plain.startswith(PUBLIC_BELOW) or plain in PUBLIC:
            return text
        return f"$ELSEWHERE/{plain.rstrip('/').rpartition('/')[2]}"

    def _paths(self, text):
        """Redact a path that may hold blanks, or several of them: a path begins wherever one may begin in a text."""
        return "".join(map(self._path_and_separator, NEXT_PATH.split(text)))

    def _path_and_separator(self, text):
        path = text.rstrip(BETWEEN_PATHS)
        return self.path(path) + text[len(path) :]

    def told(self, text, most=TOLD_BOUND):
        """Return `text(text)` of what a trial tells, whatever it is: cut at `most` bytes, and fit to be written."""
        data = text.encode(
            errors="backslashreplace"
        )  # a file's name may hold bytes that are no text
        if len(data) <= most:
            return self.text(data.decode())
        kept = URL_CUT.sub("", self._without_begun_secret(data[:most].decode(errors="ignore")))
        return f"{self.text(kept)} [cut at {most} of {len(data)} bytes]"

    def _without_begun_secret(self, text):
        """Drop the beginning of a secret from the end of a text that was cut there: nobody would know it again."""
        for secret in self._secrets:
            begun = next((n for n in range(len(secret) - 1, 0, -1) if text.endswith(secret[:n])), 0)
            text = text[: len(text) - begun]
        return text

    def text(self, text):
        """Return free text (an error, a log) without secrets, logins in URLs, and this machine's paths and name."""
        text = self.without_secrets(text)
        for folder, name in self._folders:  # they may hold blanks
            if folder in text:
                text = re.sub(
                    rf"{BEGIN}{re.escape(folder)}(?![\w\-]|\.\w)", lambda match: name, text
                )
        return self._without_host(PATH_IN_TEXT.sub(lambda match: self._paths(match.group()), text))

    def _without_host(self, text):
        return self._host_in_text.sub("$HOST", text) if self._host_in_text else text

    def without_secrets(self, text):
        """Return free text without secrets and logins in URLs. What is told to the user alone keeps its paths."""
        text = PRIVATE_KEY.sub(
            r"\1 $SECRET \2", URL_LOGIN.sub("$SECRET@", self._without_secrets(text))
        )
        end = KEY_ENDS.search(text)
        if end and not KEY_BEGINS.search(
            text, 0, end.start()
        ):  # only the end of what was printed was kept
            text = f"$SECRET {text[end.start() :]}"
        return SECRET_IN_TEXT.sub(r"\1\2$SECRET", text)

    def _without_secrets(self, text):
        for secret in self._secrets:
            text = text.replace(secret, "$SECRET")
        return text

    def learn(self, argv):
        """Hide the secrets of a command line from now on in every text and every command, for programs repeat them in
        their errors: the values of options and variables with a secret's name, and passwords in URLs."""
        self._shown(argv)
        for argument in map(str, argv):
            for match in SECRET_IN_TEXT.finditer(argument):
                self._hidden(match[3])
            for login in URL_LOGIN.findall(argument):
                self._hidden(login[:-1].partition(":")[2])

    def command(self, argv):
        """Return a command line, argument by argument, without its secrets, which are learned."""
        self.learn(argv)
        return self._shown(argv)

    def _shown(self, argv):
        shown, hide_next = [], False
        for argument in map(str, argv):
            name, equals, value = argument.partition("=")
            secret_option = bool(SECRET_NAME.search(name)) and (equals or name.startswith("-"))
            if hide_next:
                shown.append(self._hidden(argument))
            elif secret_option and equals:
                shown.append(f"{name}={self._hidden(value)}")
            else:
                shown.append(self._argument(argument))
            hide_next = not hide_next and bool(secret_option) and not equals
        return shown

    def _hidden(self, value):
        if _may_be_secret(value) and value not in self._secrets:
            self._secrets = sorted([*self._secrets, value], key=len, reverse=True)
        return "$SECRET"

    def _argument(self, argument):
        name, equals, value = argument.partition("=")
        if self._host in (argument, value):
            return f"{name}=$HOST" if equals else "$HOST"
        if argument.startswith("/"):
            return self._without_host(self._paths(self.without_secrets(argument)))
        if equals and value.startswith("/"):
            return f"{self.text(name)}={self._argument(value)}"
        return self.text(argument)


def _may_be_secret(value):
    """Whether a value is hidden wherever it stands from now on. Short ones, numbers and words of a setting stand in
    harmless places too, and a path that exists here is shown as a path."""
    if len(value) < SHORTEST_SECRET or NUMBER.fullmatch(value) or value.lower() in SETTINGS:
        return False
    return not (os.path.exists(value) or all(map(_is_here, re.split("[:;,]", value))))


def _is_here(path):
    """Whether a path lies below a folder of this machine's root. A secret in base64 may begin with a slash, too."""
    if not path.startswith(("/", "~/")):
        return False
    top = os.path.expanduser(path).split("/")[1]
    return bool(top) and os.path.isdir(f"/{top}")


def _host_in_text(name):
    """Return the pattern that finds a host's name (without its domain) in free text; None for one that names no
    host."""
    if not name or name.isdigit() or name.lower() == "localhost":
        return None
    return re.compile(
        (WORD_AS_HOST if name.isalpha() else HOST_IN_TEXT).format(re.escape(name)), re.I
    )
