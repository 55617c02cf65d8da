"""Keeps paths, names and secrets of a machine out of everything that is written down.

Redaction works on fields whose kind is known (a command line, a path, a text with paths in it), not by replacing
strings everywhere: `root` is a user's name and also a word.
"""

import os
import re
import socket
import sys
import tempfile
from pathlib import Path

SECRET_NAME = re.compile(r"(secret|token|passw|credential|api[_-]?key|auth[_-]?key|access[_-]?key|private)", re.I)
# Folders that are the same on every machine say nothing about this one.
PUBLIC = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/dev", "/proc", "/sys", "/etc")
PATH_IN_TEXT = re.compile(r"(?<![\w.$/\-])/[^\s:'\"|,;()<>\[\]{}=]+")
URL_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")
SHORTEST_SECRET = 6


class Redactor:
    """Redacts for one project. `secrets` are further values that must never be seen (throw-away credentials)."""

    def __init__(self, root, secrets=()):
        folders = {str(Path(sys.prefix)): "$VENV", str(root): "$PROJECT", tempfile.gettempdir(): "$TMP"}
        folders.setdefault(str(Path.home()), "$HOME")
        # The longest first: the environment lies inside the project.
        self._folders = sorted(folders.items(), key=lambda item: -len(item[0]))
        found = {value for name, value in os.environ.items() if SECRET_NAME.search(name) and not Path(value).exists()}
        found |= set(secrets)
        self._secrets = sorted((s for s in found if len(s) >= SHORTEST_SECRET), key=len, reverse=True)
        self._host = socket.gethostname()

    def path(self, path):
        """Return an absolute path relative to the folder that it lies in; of an unknown folder only the last part."""
        text = str(path)
        for folder, name in self._folders:
            if text == folder or text.startswith(folder.rstrip("/") + "/"):
                return name + text[len(folder.rstrip("/")) :]
        if not text.startswith("/") or text.startswith(tuple(f + "/" for f in PUBLIC)) or text in PUBLIC:
            return text
        return f"$ELSEWHERE/{Path(text).name}"

    def text(self, text):
        """Return free text (an error, a log) without secrets, logins in URLs, and this machine's paths."""
        for secret in self._secrets:
            text = text.replace(secret, "$SECRET")
        text = URL_LOGIN.sub("$SECRET@", text)
        return PATH_IN_TEXT.sub(lambda match: self.path(match.group()), text)

    def command(self, argv):
        """Return a command line, argument by argument; the value of an option with a secret's name is hidden."""
        shown, hide_next = [], False
        for argument in map(str, argv):
            name, equals, _ = argument.partition("=")
            secret_option = bool(SECRET_NAME.search(name)) and (equals or name.startswith("-"))
            if hide_next:
                shown.append("$SECRET")
            elif secret_option and equals:
                shown.append(f"{name}=$SECRET")
            else:
                shown.append(self._argument(argument))
            hide_next = not hide_next and bool(secret_option) and not equals
        return shown

    def _argument(self, argument):
        if argument == self._host:
            return "$HOST"
        name, equals, value = argument.partition("=")
        if equals and value.startswith("/"):  # NAME=/a:/b
            return f"{name}=" + ":".join(self.path(part) for part in self.text(value).split(":"))
        return self.path(argument) if argument.startswith("/") else self.text(argument)
