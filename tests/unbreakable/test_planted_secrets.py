"""Planted secrets appear in no output and in no file."""

import json

import pytest
from toy_runs import BRIEF, NOTEBOOK, SAVING, notebook, trial_table

from benchpaper import results

pytestmark = pytest.mark.slow

# ---- secrets ----

ENVIRONMENT, OPTION, VARIABLE, LOGIN, FILE = (
    f"s3cr3t-{where}-xxxxxxxx" for where in ("environment", "option", "variable", "login", "file")
)


TELLING = f"""
    site.client.run(["true", "--password", {OPTION!r}, "http://alice:{LOGIN}@127.0.0.1/"])
    site.client.run(["true"], env={{"DB_TOKEN": {VARIABLE!r}}})
    print(os.environ["BENCHPAPER_SECRET_KEY"])
    if cell.way == "b":
        script = "echo no login as $2 with $BENCHPAPER_SECRET_KEY >&2; exit 1"
        site.client.run(["sh", "-c", script, "sh", "--password", {OPTION!r}])
    if cell.way == "c":
        raise ValueError(os.environ["BENCHPAPER_SECRET_KEY"])
    yield dict(latency_us=1.0)
"""
BLABBING = """
import os
print("with", os.environ["BENCHPAPER_SECRET_KEY"])
"""


def secrets_below(root):
    """Return the files below a project that hold a planted secret, except its original places."""
    planted = [root / "experiments", root / "sites", root / "src"]
    written = [
        path
        for path in root.rglob("*")
        if path.is_file() and not any(map(path.is_relative_to, planted))
    ]
    assert len(written) > 20
    return [path for path in written if b"s3cr3t" in unpacked(path)]


def unpacked(path):
    """The bytes of a file; of a Parquet file, whose columns are compressed, its rows too."""
    if path.suffix != ".parquet":
        return path.read_bytes()
    table, described = results.read(path)
    return path.read_bytes() + f"{table.to_pylist()} {described}".encode()


def test_planted_secrets_appear_in_no_output_and_no_file(make_toy, run_benchpaper):
    """Trials leak them in commands and errors; the notebook prints, shows and raises them."""
    cell = SAVING + '\nos.environ["BENCHPAPER_SECRET_KEY"]'
    book = json.loads(notebook(cell, NOTEBOOK + BLABBING))
    raising = "raise ValueError(os.environ['BENCHPAPER_SECRET_KEY'])"
    book["cells"].append({**book["cells"][-1], "id": "raising", "source": raising})
    files = {"analysis/toy_one.ipynb": json.dumps(book), "analysis/claims.py": ""}
    project = make_toy(TELLING, levels=["a", "b", "c"], attempts=2, files=files)
    done = run_benchpaper(
        project, "run", "figures", "--scale", "smoke", BENCHPAPER_SECRET_KEY=ENVIRONMENT
    )
    assert done.returncode == 1 and "ValueError: $SECRET" in done.stdout, done.stdout + done.stderr
    assert "s3cr3t" not in done.stdout + done.stderr and not secrets_below(project.root)
    commands = str([trial["commands"] for trial in trial_table(project, "smoke")])
    for word in ("'--password', '$SECRET'", "DB_TOKEN=$SECRET", "http://$SECRET@127.0.0.1/"):
        assert word in commands
    logs = [
        path.read_text()
        for path in (project.results("local", "smoke") / "toy/one/failed").iterdir()
    ]
    assert len(logs) == 4 and all("$SECRET" in log for log in logs)
    kept = (project.build("local", "smoke") / "notebooks/toy_one.failed.ipynb").read_text()
    assert kept.count("$SECRET") >= 4  # printed, shown, raised, in the traceback


@pytest.mark.parametrize("host, rule", [
    (f"{{name: here, roles: [client, server], password: {FILE}}}", 'unknown key "password"'),
    (f"{{name: here, roles: [client, server], address: 'http://bob:{FILE}@10.0.0.1'}}",
        "is not an IP address"),
    (f"{{name: here, roles: [client, server], address: {{token: {FILE}}}}}",
        "address must be a str"),
])  # fmt: skip
def test_a_secret_in_a_site_file_is_in_no_error(make_toy, run_benchpaper, host, rule):
    project = make_toy(BRIEF, files={"sites/lab.yaml": f"hosts: [{host}]"})
    for command in (["doctor"], ["run", "results"]):
        done = run_benchpaper(project, *command, "--site", "lab")
        assert "s3cr3t" not in done.stdout + done.stderr
        assert done.returncode == 2 and rule in done.stderr, done.stderr


RAISING = "raise ValueError(os.environ['BENCHPAPER_SECRET_KEY'])"
TELL_TALES = {
    "import": (RAISING, ["list"], 2),
    "build": (f"@experiment.build\ndef build(folder):\n    {RAISING}", ["run", "results"], 1),
    "bug": ("experiment.needs(lambda cell: {}[os.environ['BENCHPAPER_SECRET_KEY']])", ["list"], 1),
}


@pytest.mark.parametrize("more, words, status", TELL_TALES.values(), ids=TELL_TALES)
def test_a_mistake_in_an_experiment_shows_no_secret(make_toy, run_benchpaper, more, words, status):
    project = make_toy(BRIEF, more=more)
    done = run_benchpaper(project, *words, BENCHPAPER_SECRET_KEY=ENVIRONMENT)
    assert done.returncode == status and "s3cr3t" not in done.stdout + done.stderr, (
        done.stdout + done.stderr
    )
    assert "$SECRET" in done.stdout + done.stderr
    assert not [
        path
        for path in project.root.rglob("*")
        if path.is_file() and b"s3cr3t" in path.read_bytes()
    ]
