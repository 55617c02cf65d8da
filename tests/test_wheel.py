"""The wheel holds every file of the package, including templates, styles and pages."""

import shutil
import subprocess
import sys
import zipfile

from checkout import ROOT

from benchpaper.artifact import bundle
from benchpaper.core.project import Project


def test_the_wheel_holds_all_files_of_the_package_and_no_others(tmp_path):
    names = [name for name in bundle.sources(Project(ROOT)) if name.startswith("src/")]
    copy = tmp_path / "project"
    for name in ["pyproject.toml", "README.md", "LICENSE", *names]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    done = subprocess.run([*pip, "-w", tmp_path, copy], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == {name.removeprefix("src/") for name in names}
