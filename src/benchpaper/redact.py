"""Keeps paths, names and secrets of a machine out of everything that is written down.

Redaction works on fields whose kind is known (a command line, a path, a text with paths in it), not by replacing
strings everywhere: `root` is a user's name and also a word. So it is with a host's name. One with a digit or a hyphen
(`node-17`) is no word, and is hidden wherever it stands; one of letters alone (`debian`, `test`) only where a host
stands: as an argument, after `@` or `://`, or before a port of four digits or five. `localhost` names none.
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
    r"|(?<![A-Za-z0-9-])(?-i:(?:(?:[A-Z0-9_]*_)?(?:KEY|PASS)|[A-Z0-9_]+_PWD))(?![\w-])", re.I
)
# Folders that are the same on every machine say nothing about this one.
PUBLIC = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/dev", "/proc", "/sys", "/etc")
# Where a path may begin: not within a word, a relative path or a URL, but after -I, file:// and sqlite3://.
BEGIN = r"(?:(?<![\w.$/\-])(?!(?<=:)//)|(?<=(?<![\w\-])-[A-Za-z])|(?<=file://)|(?<=sqlite3://))"
PATH_IN_TEXT = re.compile(BEGIN + r"/[^\s:'\"|,;()<>\[\]{}=]+")
URL_LOGIN = re.compile(r"(?<=://)[^/\s]+@")
_NAMED = rf"[\w-]*(?:{SECRET_NAME.pattern})[\w-]*"
SECRET_IN_TEXT = re.compile(rf"({_NAMED}=|(?<![\w-])--{_NAMED}\s+)(['\"]?)([^\s'\"|,;&]+)", re.I)
PRIVATE_KEY = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S)
SHORTEST_SECRET = 6
HOST_IN_TEXT = r"(?<![\w.\-]){}(?:\.[A-Za-z][\w\-]*)*(?![\w\-])"  # a domain goes with it
WORD_AS_HOST = (
    r"(?:(?<=@)|(?<=://)){0}(?:\.[A-Za-z][\w\-]*)*(?![\w\-])|(?<![\w.\-]){0}(?:\.[A-Za-z][\w\-]*)*(?=:\d{{4,5}}\b)"
)


class Redactor:
    """Redacts for one project. `secrets` are further values that must never be seen (throw-away credentials)."""

    def __init__(self, root, secrets=()):
        folders = {str(Path(sys.prefix)): "$VENV", str(root): "$PROJECT", tempfile.gettempdir(): "$TMP"}
        folders.setdefault(os.path.expanduser("~"), "$HOME")
        # The longest first: the environment lies inside the project.
        self._folders = sorted(folders.items(), key=lambda item: -len(item[0]))
        self._folders = [(folder, name) for folder, name in self._folders if folder.startswith("/") and folder != "/"]
        found = {v for name, v in os.environ.items() if SECRET_NAME.search(name) and not os.path.exists(v)}
        found |= set(secrets)
        self._secrets = sorted((s for s in found if len(s) >= SHORTEST_SECRET), key=len, reverse=True)
        self._host = socket.gethostname()
        self._host_in_text = _host_in_text(self._host.partition(".")[0])

    def hide_folders(self, folders):
        """Have further folders (of other hosts) shown by a name, as {folder: name}."""
        known = dict(self._folders)
        self._folders += [(folder, name) for folder, name in folders.items() if folder not in known and folder != "/"]
        self._folders.sort(key=lambda item: -len(item[0]))

    def path(self, path):
        """Return an absolute path relative to the folder that it lies in; of an unknown folder only the last part."""
        text = self._without_secrets(str(path))
        for folder, name in self._folders:
            if text == folder or text.startswith(folder + "/"):
                return name + text[len(folder) :]
        if not text.startswith("/") or text.startswith(tuple(f + "/" for f in PUBLIC)) or text in PUBLIC:
            return text
        return f"$ELSEWHERE/{Path(text).name}"

    def text(self, text):
        """Return free text (an error, a log) without secrets, logins in URLs, and this machine's paths and name."""
        text = self.without_secrets(text)
        for folder, name in self._folders:  # they may hold blanks
            text = re.sub(rf"{BEGIN}{re.escape(folder)}(?![\w\-]|\.\w)", lambda match: name, text)
        text = PATH_IN_TEXT.sub(lambda match: self.path(match.group()), text)
        return self._host_in_text.sub("$HOST", text) if self._host_in_text else text

    def without_secrets(self, text):
        """Return free text without secrets and logins in URLs. What is told to the user alone keeps its paths."""
        text = PRIVATE_KEY.sub(r"\1 $SECRET \2", URL_LOGIN.sub("$SECRET@", self._without_secrets(text)))
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
        if len(value) >= SHORTEST_SECRET and not value.isdigit() and value not in self._secrets:
            self._secrets = sorted([*self._secrets, value], key=len, reverse=True)
        return "$SECRET"

    def _argument(self, argument):
        name, equals, value = argument.partition("=")
        if self._host in (argument, value):
            return f"{name}=$HOST" if equals else "$HOST"
        if equals and value.startswith("/") and "://" not in value:  # NAME=/a:/b
            return f"{self.text(name)}=" + ":".join(self.path(part) for part in value.split(":"))
        return self.path(argument) if argument.startswith("/") else self.text(argument)


def _host_in_text(name):
    """Return the pattern that finds a host's name (without its domain) in free text; None for one that names no
    host."""
    if not name or name.isdigit() or name.lower() == "localhost":
        return None
    return re.compile((WORD_AS_HOST if name.isalpha() else HOST_IN_TEXT).format(re.escape(name)), re.I)
