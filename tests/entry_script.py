"""A small project with the entry script; stand-in programs on PATH simulate other machines."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile

from checkout import ROOT

TOOLS = (
    "awk bash cat date dirname env flock grep mkdir paste readlink sed sh sha256sum sort tail "
    "tee true wc"
)

# A build backend in the project itself: installing needs neither network nor setuptools.
BACKEND = """
import zipfile

def build_editable(directory, settings=None, metadata=None):
    name = "benchpaper-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        wheel.writestr("benchpaper.py", "import sys\\ndef main(): print(*sys.argv[1:], sep='|')\\n")
        for file, text in {
            "METADATA": "Metadata-Version: 2.1\\nName: benchpaper\\nVersion: 1\\n",
            "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: any\\n",
            "entry_points.txt": "[console_scripts]\\nbenchpaper = benchpaper:main\\n",
            "RECORD": "",
        }.items():
            wheel.writestr(f"benchpaper-1.dist-info/{file}", text)
    return name
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "benchpaper"
version = "1"
"""
# What stands in for pytest prints its arguments, and fails when asked to.
PYTEST = (
    "import sys\nprint('pytest', *sys.argv[1:], sep='|')\nsys.exit(3 if '--fail' in sys.argv "
    "else 0)\n"
)

CURL, TEX = "[python]\ncurl  # fetches\n", "[paper]  # 300 MB: PDFs\ntexlive  # the paper\n"


class Project:
    """A project with a space in its path, on an up-to-date Debian with only curl installed."""

    def __init__(self, folder):
        self.root = folder / "the project"
        self.bin = folder / "bin"
        self.wheels = folder / "wheels"
        self.calls = folder / "calls"
        for made in (self.root / ".ci", self.bin, self.wheels):
            made.mkdir(parents=True)
        shutil.copy(ROOT / "reproduce", self.root)
        shutil.copy(ROOT / ".ci" / "run", self.root / ".ci")
        self.write("backend.py", BACKEND)
        self.write("pyproject.toml", PYPROJECT)
        self.write("packages.apt", CURL)
        self.write("requirements.lock", f"pytest==9 --hash=sha256:{self.make_wheel()}\n")
        (folder / "os-release").write_text('ID=debian\nVERSION_ID="12"\n')
        for tool in TOOLS.split():
            (self.bin / tool).symlink_to(shutil.which(tool))
        (self.bin / "python3").symlink_to(sys.executable)
        self.program("uname", "echo Linux x86_64")
        self.program("dpkg-query", "printf 'installed:curl '")
        self.program("id", "echo 1000")
        self.program("sudo", "exit 1")
        self.program("apt-get", "exit 100")
        self.environment = {
            "PATH": str(self.bin),
            "HOME": str(folder),
            "REPRODUCE_OS_RELEASE": str(folder / "os-release"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
        }

    def make_wheel(self, name="pytest"):
        path = self.wheels / f"{name}-9-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{name}/__main__.py", PYTEST)
            wheel.writestr(
                f"{name}-9.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 9\n"
            )
            wheel.writestr(
                f"{name}-9.dist-info/WHEEL",
                "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            wheel.writestr(f"{name}-9.dist-info/RECORD", "")
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def write(self, name, text):
        (self.root / name).write_text(text)

    def program(self, name, script):
        """Put a program on PATH that notes its call and then does as `script` says."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.calls}"\n{script}\n')
        path.chmod(0o755)

    def take_python(self):
        """Leave a Python that cannot make environments, as Debian has it without python3-venv."""
        self.program("python3", "exit 1")

    def run(self, *arguments, script="reproduce"):
        self.calls.write_text("")
        return subprocess.run(
            [self.root / script, *arguments],
            env=self.environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=600,
        )

    def called(self, name):
        return [line for line in self.calls.read_text().splitlines() if line.startswith(name)]


SIZES = """
echo 'Need to get 12.3 MB of archives.'
echo 'After this operation, 45 MB of additional disk space will be used.'
"""


def assert_one_line(done, *words):
    assert done.returncode != 0
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("reproduce: ")
    for word in words:
        assert word in line
