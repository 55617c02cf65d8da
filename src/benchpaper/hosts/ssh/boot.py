"""Starts the agent on a host that has /bin/sh and perhaps Python, but nothing of ours.

A shell looks for a Python. That Python reads the agent from its standard input, keeps it in the
host's cache, and runs it.
"""

import json
import shlex
import sys
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from benchpaper.hosts.ssh import deploy

# Try a Python before taking it: python3 may be a starter (pyenv's, say) without a Python behind it.
# A shell exits when `.` finds no file, hence the test before.
FIND_PYTHON = (
    'for p in "$@"; do '
    'if "$p" -I -c "" </dev/null >/dev/null 2>&1; then exec "$p" -I -u -c "$0"; fi; done; '
    "if [ -r /etc/os-release ]; then . /etc/os-release; fi; "
    'echo "benchpaper-agent {\\"no python\\": \\"${ID:-}\\"}"'
)
HOW_TO_INSTALL = {
    "debian": "apt-get install python3",
    "ubuntu": "apt-get install python3",
    "alpine": "apk add python3",
    "fedora": "dnf install python3.11",
    "rhel": "dnf install python3.11",
    "rocky": "dnf install python3.11",
    "almalinux": "dnf install python3.11",
    "centos": "dnf install python3.11",
}
BOOT = """
import io, json, os, shutil, stat, sys, tempfile, zipfile
os.umask(0o077)
def tell(message):
    print("benchpaper-agent " + json.dumps(message), flush=True)
    sys.exit()
if sys.version_info < (3, 11):
    tell({"old python": sys.version.split()[0]})
source = open(0, "rb", 0, closefd=False)
options, data = json.loads(source.readline()), b""
while len(data) < options["size"]:
    part = source.read(options["size"] - len(data))
    if not part:
        sys.exit()
    data += part
cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
agents = os.path.join(cache, "benchpaper", "agents")
folder = os.path.join(agents, options["digest"])
try:
    for own in (os.path.dirname(agents), agents):
        os.makedirs(own, exist_ok=True)
        status = os.lstat(own)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            tell({"error": f"it is not a folder of this user: {own}"})
        os.chmod(own, 0o700)
    if not os.path.isdir(folder):
        part = tempfile.mkdtemp(dir=agents)
        zipfile.ZipFile(io.BytesIO(data)).extractall(part)
        os.sync()  # the next start trusts whatever has its name
        try:
            os.rename(part, folder)
        except OSError:
            shutil.rmtree(part)
except OSError as error:
    tell({"error": f"{error.strerror}: {error.filename or agents}"})
sys.path.insert(0, folder)
from benchpaper.hosts.agent.main import main
main(options)
"""


def command(python: str | None = None) -> str:
    """Return the command line for the host's shell; with `python`, try no other interpreter."""
    pythons = [python] if python else [f"python3.{sys.version_info.minor}", "python3"]
    boot = f"import base64; exec(base64.b64decode({b64encode(BOOT.encode()).decode()!r}))"
    return shlex.join(["exec", "/bin/sh", "-c", FIND_PYTHON, boot, *pythons])


def agent(**options: Any) -> bytes:
    """Return the bytes to send to that command: the agent's options, and the agent."""
    data, digest = deploy.agent_zip()
    return json.dumps({"size": len(data), "digest": digest, **options}).encode() + b"\n" + data


def complaint(answer: Mapping[str, str]) -> str | None:
    """Return why no agent runs, with the next step; None if the answer is an agent's greeting."""
    if "no python" in answer:
        command = HOW_TO_INSTALL.get(answer["no python"])
        step = f'run "{command}" there' if command else "install Python 3.11 or newer"
        return f"it has no Python: {step}, or name one in the site file (python: /its/path)"
    if "old python" in answer:
        return (
            f"its Python is {answer['old python']}, and 3.11 is the least: "
            "name a newer one in the site file (python: /its/path)"
        )
    return f"the agent could not start there: {answer['error']}" if "error" in answer else None
