"""Secrets in the short options and positional arguments of well-known programs.

`-p` is a password for mysql and a port for others, so such options count only where their program
stands in the same command.
"""

import re
from collections.abc import Iterator, Sequence

from benchpaper.core.secrets import names
from benchpaper.core.secrets.formats import Span

LOGIN, VALUE, ATTACHED = "user:password", "password", "password, never apart from its option"

_OPTIONS = [
    ("curl", {"-u": LOGIN, "-U": LOGIN, "-E": LOGIN, "-b": VALUE}),
    ("http https xh", {"-a": LOGIN}),
    ("ab", {"-A": LOGIN, "-P": LOGIN}),
    ("lftp", {"-u": LOGIN}),
    ("smbclient rpcclient", {"-U": LOGIN}),
    ("sshpass mongo mongosh mongodump mongorestore cqlsh rabbitmqadmin ncftp", {"-p": VALUE}),
    ("ssh-keygen", {"-N": VALUE, "-P": VALUE}),
    ("mysql mysqladmin mysqldump mysqlimport mysqlcheck mysqlsh mysqlslap", {"-p": ATTACHED}),
    ("mariadb mariadb-admin mariadb-dump 7z 7za 7zz rar unrar", {"-p": ATTACHED}),
    ("ldapsearch ldapmodify ldapadd ldapdelete ldapwhoami", {"-w": VALUE}),
    ("redis-cli redis-benchmark valkey-cli valkey-benchmark keydb-cli", {"-a": VALUE}),
    ("zip unzip sqlcmd bcp ipmitool", {"-P": VALUE}),
    ("snmpget snmpwalk snmpset", {"-c": VALUE, "-A": VALUE, "-X": VALUE}),
    ("openssl", {"-k": VALUE, "-K": VALUE, "-pass": VALUE, "-passin": VALUE, "-passout": VALUE}),
]
PROGRAMS = {program: options for programs, options in _OPTIONS for program in programs.split()}
LOGS_IN = frozenset(["docker", "podman", "nerdctl", "helm", "skopeo", "buildah", "oras"])
REGISTRY = {"-p": VALUE}  # of their command `login`
# (words of a command, how many arguments stand between them and at most two secrets)
POSITIONAL = [
    (("mc", "alias", "set"), 2),
    (("mcli", "alias", "set"), 2),
    (("mc", "config", "host", "add"), 2),
    (("htpasswd", "-b"), 2),
    (("htpasswd", "-bc"), 2),
    (("htpasswd", "-cb"), 2),
    (("mysqladmin", "password"), 0),
    (("rabbitmqctl", "add_user"), 1),
    (("rabbitmqctl", "change_password"), 1),
    (("rclone", "obscure"), 0),
]
MAX_POSITIONAL = 2
USERS = frozenset(["--user", "--proxy-user", "--userpwd", "--login", "-u"])
# These take `user:group`.
RUN_AS = LOGS_IN | {"chown", "install", "systemd-run", "runuser", "chroot", "setpriv", "su", "sudo"}
USER = re.compile(r"([^\s:%,/]*)[:%,]")
SOURCE = re.compile(r"(?:file|env|fd|stdin|keychain):?.*")  # where openssl finds a password

_NAMES = {*PROGRAMS, *RUN_AS, *(words[0] for words, _ in POSITIONAL)}
COMMAND_IN_TEXT = re.compile(
    rf"(?<![\w.-])(?:{'|'.join(map(re.escape, sorted(_NAMES, key=len, reverse=True)))}"
    r"|--?(?:user|proxy-user|u|userpwd))(?![\w.-])"
)
SEGMENT = re.compile(r"[^\n;|&]++")
WORD = re.compile(r"\"((?>(?:[^\"\\]|\\.)*))\"|'([^']*+)'|([^\s'\",\[\]]++)")
MAX_DEPTH = 3  # of quotes: sh -c "ssh h 'curl ...'"


def spans(text: str, depth: int = 0) -> Iterator[Span]:
    """Yield where secrets stand in the commands that a text shows."""
    if depth == MAX_DEPTH or not COMMAND_IN_TEXT.search(text):
        return
    for segment in SEGMENT.finditer(text):
        if command := COMMAND_IN_TEXT.search(text, *segment.span()):
            quoted = command.start() > 0 and text[command.start() - 1] in "'\""
            words = list(WORD.finditer(text, command.start() - quoted, segment.end()))
            yield from _of_words(words, depth)


def _of_words(words: list[re.Match[str]], depth: int) -> Iterator[Span]:
    groups = [match.lastindex or 0 for match in words]
    argv = [match[group] for match, group in zip(words, groups, strict=True)]
    starts = [match.start(group) for match, group in zip(words, groups, strict=True)]
    for number, (start, end) in secrets(argv):
        yield starts[number] + start, starts[number] + end
    for offset, argument in zip(starts, argv, strict=True):
        if " " in argument:
            yield from ((offset + start, offset + end) for start, end in spans(argument, depth + 1))


def secrets(argv: Sequence[str]) -> Iterator[tuple[int, Span]]:
    """Yield (number of the argument, where in it) for the secrets of a command."""
    words = [word.rpartition("/")[2] for word in argv]
    programs, options = set(words), dict[str, str]()
    for program in programs:
        options |= PROGRAMS.get(program, {})
        options |= REGISTRY if program in LOGS_IN and "login" in programs else {}
    apart = options if programs & RUN_AS else {**dict.fromkeys(USERS, LOGIN), **options}
    for number, argument in enumerate(argv):
        if apart.get(argument) in (LOGIN, VALUE):
            if number + 1 < len(argv):
                yield from _hidden(number + 1, argv[number + 1], 0, apart[argument])
        else:
            yield from _attached(number, argument, options, apart)
    for command, between in POSITIONAL:
        if command[0] in programs:
            start = words.index(command[0])
            first = start + len(command) + between
            if tuple(words[start : start + len(command)]) == command:
                for number in range(first, min(first + MAX_POSITIONAL, len(argv))):
                    yield number, (0, len(argv[number]))


def _attached(
    number: int, argument: str, options: dict[str, str], apart: dict[str, str]
) -> Iterator[tuple[int, Span]]:
    """Yield the secret of `--user=x:y` and `-px`; `-password=x` has a telling name."""
    name, equals, _ = argument.partition("=")
    short = argument[:2] if argument[1:2] != "-" and len(argument) > 2 else ""
    if equals and name in apart:
        yield from _hidden(number, argument, len(name) + 1, apart[name])
    elif short in options and not names.kind(argument):
        yield from _hidden(number, argument, 2, options[short])


def _hidden(number: int, text: str, start: int, what: str) -> Iterator[tuple[int, Span]]:
    if what == LOGIN:
        user = USER.match(text, start)
        if not user or text[user.end() :] == user[1] or names.NUMBER.fullmatch(text, user.end()):
            return
        start = user.end()
    elif text.startswith("pass:", start):
        start += len("pass:")
    harmless = names.EMPTY.fullmatch(text, start) or SOURCE.fullmatch(text, start)
    if not harmless and re.search(r"\w", text[start:]):
        yield number, (start, len(text))
