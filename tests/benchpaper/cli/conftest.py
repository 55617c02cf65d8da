"""A server of quick commands, and a project for them."""

import shutil

import pytest
import quick_commands

from benchpaper.core.project import Project


@pytest.fixture(scope="module")
def call():
    with quick_commands.serving() as commands:
        yield commands


@pytest.fixture(scope="module")
def project(small, tmp_path_factory):
    """A copy of the small project in which commands may write."""
    root = tmp_path_factory.mktemp("commands") / "project"
    shutil.copytree(small.root, root, symlinks=True)
    return Project(root)
