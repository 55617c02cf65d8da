"""Keep paths, names, and secrets of a machine out of everything that is written down.

Redaction works on fields whose kind is known (a command line, a path, a text with paths in it),
because replacing strings everywhere would hide words: `root` is a user's name and also a word. The
same goes for a host's name. A name with a digit or a hyphen (`node-17`) is not a word, and is
hidden everywhere. A name of letters alone (`debian`, `test`) is hidden only where a host stands: as
an argument, after `@` or `://`, or before a port of four or five digits. `localhost` names no
particular host.

A trial decides how long its texts are, and redaction runs in the controller, where no time-out
applies. So every pattern here takes linear time, and `Redactor.shortened` cuts texts that are too
long. `core.secrets` says what a secret looks like.
"""

import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchpaper.core import excerpt

# Folders that are the same on every machine reveal nothing about this one.
PUBLIC = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/dev", "/proc", "/sys", "/etc")
PUBLIC_BELOW = tuple(f"{folder}/" for folder in PUBLIC)
# Where a path may begin: not inside a word, a relative path, a URL, or after a shell's pattern
# (a/*/b), but after -I, file://, and sqlite3://.
BEGIN = (
    r"(?:(?<![\w.$~/\-])(?<!\w/\*)(?!(?<=:)//)|(?<=(?<![\w\-])-[A-Za-z])"
    r"|(?<=file://)|(?<=sqlite3://))"
)
NEXT_PATH = re.compile(BEGIN + "(?=/)")
_PART = r"[^\s:'\"|,;()<>\[\]{}=]++"
PATH_IN_TEXT = re.compile(
    rf"{BEGIN}(?:(?<=')/[^'\n]++(?=')|(?<=\")/[^\"\n]++(?=\")|/{_PART}(?>(?:(?<=\\) {_PART})*))"
)
BETWEEN_PATHS = " \t\n:;,|=&<>()[]{}'\""
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
        # Compiling the patterns takes a while, and many commands redact nothing.
        from benchpaper.core.secrets.learned import Learned

        self._secrets = Learned(secrets)
        self._secrets.learn_environment(os.environ)
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
        text = self._secrets.hide(str(path))
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
        kept = self._secrets.without_begun(excerpt.head(data, max_bytes))
        return f"{self.text(kept)} [cut at {max_bytes} of {len(data)} bytes]"

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
        from benchpaper.core.secrets import texts

        text = self._secrets.hide(text)
        return texts.without(text, texts.spans(text))

    def learn(self, argv: Sequence[object]) -> None:
        """Hide a command line's secrets in every later text and command: programs repeat them.

        Secrets are the values of options and variables with a secret's name, the passwords of
        logins, and what has the format of a token or a key.
        """
        from benchpaper.core.secrets import commands

        words = list(map(str, argv))
        for argument, hidden in zip(words, commands.spans(words), strict=True):
            for start, end in hidden:
                self._secrets.learn(argument[start:end])

    def command(self, argv: Sequence[object]) -> list[str]:
        """Return a command line, argument by argument, without its secrets, and learn them."""
        from benchpaper.core.secrets import commands, texts

        self.learn(argv)
        words = list(map(str, argv))
        return [
            self._argument(texts.without(argument, texts.merged(hidden)))
            for argument, hidden in zip(words, commands.spans(words), strict=True)
        ]

    def _argument(self, argument: str) -> str:
        name, equals, value = argument.partition("=")
        if self._host in (argument, value):
            return f"{name}=$HOST" if equals else "$HOST"
        if argument.startswith("/"):
            return self._without_host(self._paths(self.without_secrets(argument)))
        if equals and value.startswith("/"):
            return f"{self.text(name)}={self._argument(value)}"
        return self.text(argument)


def _host_in_text(name: str) -> re.Pattern[str] | None:
    """Return a pattern that finds a host's name (without domain) in free text.

    None for a name that identifies no host.
    """
    if not name or name.isdigit() or name.lower() == "localhost":
        return None
    pattern = WORD_AS_HOST if name.isalpha() else HOST_IN_TEXT
    return re.compile(pattern.format(re.escape(name)), re.I)
