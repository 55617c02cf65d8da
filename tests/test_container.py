"""Containerfile takes the same set-up as everywhere, as a user without root's rights.

tests/test_set_up_groups.py tests that set-up. Whether the image builds needs a registry.
"""

import re
import subprocess

import pytest
from checkout import ROOT

# [(instruction, its arguments)]; a backslash joins lines.
TEXT = re.sub(r"(?m)^#.*\n", "", (ROOT / "Containerfile").read_text())
STEPS = re.findall(r"^([A-Z]+) ((?:.*\\\n)*.*)$", TEXT, re.M)


def arguments(instruction):
    return [rest.replace("\\\n", "") for name, rest in STEPS if name == instruction]


def test_the_base_image_is_named_by_its_digest():
    [base] = [rest.removeprefix("BASE=") for rest in arguments("ARG")]
    assert re.fullmatch(r"debian:bookworm-\d{8}@sha256:[0-9a-f]{64}", base)
    assert arguments("FROM") == ["${BASE}"]


def test_the_last_user_is_not_root_and_owns_the_project():
    [user] = arguments("USER")
    [folder] = arguments("WORKDIR")
    steps = " ".join(arguments("RUN"))
    assert user != "root" and folder == "/benchpaper"
    assert f"useradd --create-home --shell /bin/bash {user}" in steps
    assert f"chown -R {user}: ." in steps


def test_the_set_up_is_that_of_reproduce_for_all_groups():
    """Apart from what a bare image lacks to run it: nothing else names a package."""
    first, set_up, jars = arguments("RUN")
    assert re.search(r"install -y --no-install-recommends (.*?) +&&", first)[1].split() == [
        "ca-certificates", "python3", "python3-venv"
    ]  # fmt: skip
    assert "./reproduce --for all " in set_up and "install" not in set_up
    [module] = re.findall(r"^\.venv/bin/python -m (\S+)$", jars)
    assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists()
    assert arguments("CMD") == ['["./reproduce", "--from", "reference"]']


@pytest.mark.parametrize("step", arguments("RUN"))
def test_each_step_is_a_shell_command(step):
    checked = subprocess.run(["sh", "-n", "-c", step], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_nothing_that_a_checkout_has_made_enters_the_image():
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    large = ignored & {".venv", ".benchpaper", ".snakemake", "results", "build"}
    assert len(large) == 5 and large <= set((ROOT / ".dockerignore").read_text().split())
