"""Signatures of archives by SSH keys: a digest shows that an archive is whole, a signature whose.

OpenSSH makes and checks them (`ssh-keygen -Y`), so passphrases, agents, and hardware keys work as
for a login. A signature lies next to its archive, as ARCHIVE.sig.
"""

import re
import subprocess
import tempfile
from pathlib import Path

from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.errors import UserError

NAMESPACE = "benchpaper-bundle"  # a signature made for git or a file of another kind does not count
SUFFIX = ".sig"
MAX_BYTES = 1 << 20  # of a signature, and of a file of keys
TIMEOUT_S = 60
PUBLIC_KEY = re.compile(r"(?:sk-)?(?:ssh|ecdsa)-[\w@.-]+ [A-Za-z0-9+/=]+")
GOOD = re.compile(r'Good "[^"]*" signature for (?P<who>.+) with (?P<key>\S+ key SHA256:\S+)')


def sign(archive: Path, key: Path) -> Path:
    """Sign an archive with a private SSH key, or a public one whose private half an agent holds.

    Returns the path of the signature. ssh-keygen asks for a passphrase if the key has one. Raises
    `UserError` if it cannot sign.
    """
    if not key.is_file():
        raise UserError(f'key "{key}" is no file; name an SSH key, such as ~/.ssh/id_ed25519')
    path = archive.with_name(f"{archive.name}{SUFFIX}")
    with open(archive, "rb") as file:
        done = _ssh_keygen(["sign", "-f", str(key)], file.fileno(), None)
    if done.returncode:
        raise UserError(f'key "{key}" did not sign: {_complaint(done)}')
    atomic_write(path, done.stdout)
    return path


def check(archive: Path, keys: Path) -> str:
    """Check that one of `keys` signed an archive; return a line that names the signer.

    `keys` is a file of public keys, one a line (as authorized_keys), or of allowed signers
    (ssh-keygen(1), ALLOWED SIGNERS). Raises `NotVerified`.
    """
    signature = archive.with_name(f"{archive.name}{SUFFIX}")
    for path, what in ((signature, "signature"), (keys, "file of keys")):
        if not path.is_file():
            raise NotVerified(f"the {what} {path} does not exist")
        if path.stat().st_size > MAX_BYTES:
            raise NotVerified(f"the {what} {path} has more than {MAX_BYTES:,} bytes")
    with tempfile.TemporaryDirectory(prefix="benchpaper-signers-") as folder:
        allowed = Path(folder) / "allowed"
        allowed.write_text(_allowed(keys))
        files = ["-f", str(allowed), "-s", str(signature.resolve())]
        principals = _ssh_keygen(["find-principals", *files], subprocess.DEVNULL, TIMEOUT_S)
        if principals.returncode or not principals.stdout.strip():
            raise NotVerified(f"no key of {keys} made {signature.name}: {_complaint(principals)}")
        who = principals.stdout.decode(errors="replace").splitlines()[0].split(",")[0]
        with open(archive, "rb") as file:
            done = _ssh_keygen(["verify", *files, "-I", who], file.fileno(), TIMEOUT_S)
    good = GOOD.search(done.stdout.decode(errors="replace"))
    if done.returncode or not good:
        raise NotVerified(f"{signature.name} is no signature of this archive: {_complaint(done)}")
    by = "" if who.startswith(ANYBODY) else f"{who}, "
    return f"signed by {by}{good['key']}"


ANYBODY = "key-"  # begins the names that lines without one get


def _allowed(keys: Path) -> str:
    """Return the lines of a file of keys as allowed signers; each bare key gets a name."""
    lines = []
    for number, line in enumerate(keys.read_text(errors="replace").splitlines(), 1):
        bare = PUBLIC_KEY.match(line.strip())
        lines.append(f'{ANYBODY}{number} namespaces="{NAMESPACE}" {line}' if bare else line)
    return "\n".join([*lines, ""])


def _ssh_keygen(
    words: list[str], stdin: int, timeout: float | None
) -> "subprocess.CompletedProcess[bytes]":
    """Run `ssh-keygen -Y` in our namespace on `stdin`; it asks for passphrases on the terminal."""
    action, *options = words
    space = [] if action == "find-principals" else ["-n", NAMESPACE]
    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", action, *space, *options],
            stdin=stdin,
            capture_output=True,
            timeout=timeout,
        )
    except FileNotFoundError:
        raise UserError(
            "signatures need ssh-keygen, which is not installed (package openssh-client)"
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(f"ssh-keygen -Y {action} did not end within {timeout} s") from None


def _complaint(done: "subprocess.CompletedProcess[bytes]") -> str:
    """Return the line in which ssh-keygen says why it failed."""
    text = (done.stderr + b"\n" + done.stdout).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if re.search(r"\w", line)]
    wanted = [
        line for line in lines if re.search(r"(?i)permission|invalid|fail|no such|not ", line)
    ]
    return (wanted or lines or ["ssh-keygen said nothing"])[0]
