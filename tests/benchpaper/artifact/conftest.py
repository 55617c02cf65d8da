"""benchpaper as its users have it: from a wheel, in an environment of its own."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest
from checkout import ROOT


@pytest.fixture(scope="session")
def wheel_bin(tmp_path_factory):
    """The folder of `benchpaper` and `python` in a fresh environment, outside any checkout.

    benchpaper comes from its wheel. What the lock installs comes from this environment, for speed.
    """
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
    options = ["-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder]
    _do([sys.executable, "-m", "pip", "wheel", *options, folder])
    _do([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
    packages = next((folder / "venv/lib").glob("python3*/site-packages"))
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib"))
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    shutil.rmtree(folder / "src")
    program = folder / "venv/bin/benchpaper"
    program.write_text(
        f"#!{folder}/venv/bin/python\nfrom benchpaper.cli.main import main\nmain()\n"
    )
    program.chmod(0o755)
    return program.parent


def _do(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
