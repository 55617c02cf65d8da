"""Secrets on hosts over SSH reach no output and no file."""

import os
import re

import pytest

from benchpaper import results

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root"),
]


# --- secrets ---------------------------------------------------------------------------------

SECRETS = {
    "BENCHPAPER_TEST_TOKEN": "t0ken-which-nobody-sees",
    "AWS_SECRET_ACCESS_KEY": "s3cret+which/nobody=sees",
}
OF_COMMANDS = [
    "hunter2hunter2",
    "pass-in-url",
    "k3y-in-the-environment",
    "t0ken-for-a-command",
    "c3rtainly-a-key",
    "p4ss-phrase-of-a-key",
]
LEAKY = """
environment = site.server.run(["env"]).stdout
assert "nobody" not in environment
# First under harmless names, in a list of arguments and in a shell's line; their real names follow.
site.server.run(
    ["true", "hunter2hunter2", "--mode=k3y-in-the-environment"], env={"SETTING": "c3rtainly-a-key"}
)
site.client.run(
    ["sh", "-c", "true p4ss-phrase-of-a-key"],
    env={"SETTING": "t0ken-for-a-command", "KEY": "c3rtainly-a-key"},
)
site.server.run([
    "true", "--password", "hunter2hunter2", "postgres://me:pass-in-url@127.0.0.1/x", "pass-in-url"
])
site.server.start(
    ["sh", "-c", "echo hunter2hunter2 $SECRET_KEY; cat KEY_FILE; exec sleep 60"],
    env={"SECRET_KEY": "k3y-in-the-environment"},
).read_line()
site.client.run(["true"], env={"API_TOKEN": "t0ken-for-a-command"})
site.client.run(["sh", "-c", "true; PASSPHRASE='p4ss-phrase-of-a-key' true"])
print("c3rtainly-a-key and t0ken-for-a-command")
if cell.way == "b":
    line = (
        "cat KEY_FILE; echo $DB_PASS cannot log in with p4ss-phrase-of-a-key "
        "at http://me:pass-in-url@host/ >&2; exit 3"
    )
    site.server.run(["sh", "-c", line], env={"DB_PASS": "hunter2hunter2"})
if cell.way == "c":
    raise RuntimeError(
        "no login: hunter2hunter2, k3y-in-the-environment, pass-in-url, c3rtainly-a-key"
        + Path("KEY_FILE").read_text()
    )
yield dict(latency_us=1.0)
"""


def texts_below(*roots):
    """Return {path: text} of all files, with Parquet decoded, except the leaking code itself."""
    texts = {}
    for path in (
        path
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    ):
        if "experiments" not in path.parts:
            texts[path] = path.read_bytes().decode(errors="replace")
        if path.suffix == ".parquet":
            texts[f"{path} (read)"] = str(results.read(path)[0].to_pylist())
    return texts


def test_secrets_are_nowhere(make, lab, run_benchpaper):
    key_file = lab.lab.folder / "user_key"
    run = make(LEAKY.replace("KEY_FILE", str(key_file)))
    done = run_benchpaper(
        run.project, "run", "results", "--site", "lab", "--scale", "smoke", **SECRETS
    )
    doctor = run_benchpaper(run.project, "doctor", "--site", "lab", **SECRETS)
    assert re.search("toy/one: .*2 trials failed", done.stdout), done.stdout + done.stderr
    texts = texts_below(run.project.root, lab.folder / "temporary", lab.folder / "cache")
    logs = [text for path, text in texts.items() if "/failed/" in str(path)]
    assert len(logs) == 2 and all(
        "PRIVATE KEY" in text and "$SECRET" in text for text in logs
    )  # the places were looked at
    assert any("(read)" in str(path) and "$SECRET" in text for path, text in texts.items())
    texts |= {
        "printed by run": done.stdout + done.stderr,
        "printed by doctor": doctor.stdout + doctor.stderr,
    }
    wanted = [*SECRETS.values(), *OF_COMMANDS, *key_file.read_text().splitlines()[1:-1]]
    assert not {
        (secret, str(path)) for secret in wanted for path, text in texts.items() if secret in text
    }
