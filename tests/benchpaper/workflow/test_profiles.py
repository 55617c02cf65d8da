"""A profile that Snakemake could not run with is refused before anything runs."""

import importlib.util

import pytest

from benchpaper.core.errors import UserError
from benchpaper.workflow import command_line
from benchpaper.workflow.pipeline import Pipeline


def check(project, name, text=None):
    if text is not None:
        folder = project.root / "profiles" / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(text)
    command_line.check_profile(Pipeline(project, "local", "smoke", 1, name))


@pytest.mark.parametrize("name", ["default", "slurm"])
def test_the_profiles_that_come_with_the_package_are_sound(make_toy, name):
    check(make_toy("yield"), name)


def test_the_profile_for_pbs_names_the_plugin_that_it_needs(make_toy):
    if importlib.util.find_spec("snakemake_executor_plugin_cluster_generic"):
        check(make_toy("yield"), "pbs")
        return
    with pytest.raises(UserError, match=r"install snakemake-executor-plugin-cluster-generic into"):
        check(make_toy("yield"), "pbs")


@pytest.mark.parametrize("text", ["", "# nothing", "cores: 2", "executor: local"])
def test_a_profile_of_ones_own_may_say_little(make_toy, text):
    check(make_toy("yield"), "mine", text)


@pytest.mark.parametrize("text, message", [
    ("executor: kubernetes", 'profile "mine": the executor "kubernetes" is not installed; install '
     "snakemake-executor-plugin-kubernetes into this environment, or run with --profile default"),
    ("executor: cluster-generic", "install snakemake-executor-plugin-cluster-generic into"),
    ("- a list", 'profile "mine": config.yaml cannot be read ('),
    ("executor: [", 'profile "mine": config.yaml cannot be read ('),
])  # fmt: skip
def test_an_unsound_profile_is_refused_in_one_line(make_toy, text, message):
    with pytest.raises(UserError) as refused:
        check(make_toy("yield"), "mine", text)
    assert message in str(refused.value) and "\n" not in str(refused.value)
