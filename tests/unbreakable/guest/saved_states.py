"""Runs in a guest: saves each kind of state as a run does, and reads it after every power cut.

`saved_states.py FOLDER durable N` cuts the power after every Nth write, and writes
FOLDER/outcome.json. With `careless` instead of `durable`, nothing is flushed, so that a test can
see that damage would be noticed.
"""

import hashlib
import json
import os
import sys
import time
import traceback
from collections import defaultdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3] / "src")]
import log_writes  # noqa: E402

NAME = "toy/known"
EXPERIMENT = """
from benchpaper import Experiment, Factor, Metric, Scale

experiment = Experiment(
    title="Known", question="What follows from values that are known?",
    factors=[Factor("way", ["a", "b"])],
    metrics=[Metric("latency_us", unit="µs", better="lower")],
    scales={name: Scale(blocks=2) for name in ("smoke", "quick", "full")},
)

@experiment.trial
def trial(cell, site):
    yield dict(latency_us=1.0)
"""
CLAIM = f'''
from benchpaper import claim

@claim("C1", experiment="{NAME}")
def fast(results):
    """It is fast."""
    return results.estimate("latency_us", way="a").below(2.0)
'''
# ext4 alone would flush a file that is renamed over another; other file systems do not.
OPTIONS = "noauto_da_alloc"


def trial(block, way, latency=1.0, **more):
    """Return the record of a finished trial."""
    from benchpaper.results.records import TrialRecord

    return TrialRecord.from_json({
        "block": block, "position": "ab".index(way), "cell": f"way={way}", "twin": False,
        "way": way, "experiment": NAME, "site": "local", "scale": "full", "seed": 1,
        "state": "measured", "reason": "", "attempts": [], "started": 1_700_000_000.0 + block,
        "seconds": 1.0, "overhead_s": 0.0, "paused_s": 0.0, "suspended_s": 0.0, "steal_s": 0.0,
        "load_1m": 0.5, "commands": [], "code_digest": "c" * 64, "plan_digest": "p" * 64,
        "git_commit": "abc", "git_clean": True, "tools": {"cc": "12"},
        "hosts": {"client.cpu": "x", "client.cpus": "2", "client.kernel": "6", "client.os": "D",
                  "client.memory_gib": "8"},
        "capabilities": [], "observations": [{"latency_us": latency}], **more,
    })  # fmt: skip


class Saving:
    """Saves states in a project; each method is promised to be safe when it returns."""

    def __init__(self, root):
        from benchpaper.core.project import Project
        from benchpaper.design import catalog

        self.project = Project(root)
        self.folder = self.project.results("local", "full") / NAME
        self.build = self.project.build("local", "full")
        self.journal = self.folder / "journal" / "000-key.jsonl"
        self.described = catalog.load(self.project, NAME).describe()

    def append(self, way):
        from benchpaper.results import journal

        with journal.Journal(self.journal) as done:
            done.append(trial(0, way, output="x" * 3000))
        journal.note(self.journal, {"way": way})

    def forget(self, way):
        from benchpaper.results import journal

        with journal.Journal(self.journal) as done:
            done.forget([f"way={way}"])

    def blocks(self, latency):
        from benchpaper import results

        for block in range(2):
            records = [trial(block, way, latency) for way in "ab"]
            results.write_block(self.folder, block, records, self.described)

    def collect(self):
        from benchpaper import results

        results.collect(self.folder, 2)

    def exhibits(self):
        from benchpaper import Exhibits, load
        from benchpaper.core import checksums

        measured, folder = load(NAME, self.folder.parents[1]), self.build / "exhibits/toy_known"
        saved = Exhibits(measured, folder)
        summary = measured.summary("latency_us")
        saved.number("latency", summary.estimates[0])
        saved.table("latencies", summary.measured[["way"]], [summary])
        checksums.note(self.build, "analyse-toy_known", folder.iterdir())

    def judge(self):
        from benchpaper.analysis import claims

        claims.save(self.project, "local", "full")

    def gather(self):
        from benchpaper.paper import gather

        gather.gather(self.project, "local", "full", [NAME])

    def pack(self):
        from benchpaper.artifact.bundle import archive
        from benchpaper.core import checksums

        path = self.build / "bundle.zip"
        archive.write(path, {"a": bytes(50_000), "b": b"b"}, (2026, 1, 1, 0, 0, 0))
        checksums.note(self.build, "pack", [path])

    def fix(self, blocks):
        from benchpaper.workflow import pilot

        pilot._save(self.folder, {"blocks": blocks, "cells_digest": "d" * 64})

    def adopt(self):
        from click.testing import CliRunner

        from benchpaper.cli.results import adopt

        done = CliRunner().invoke(adopt, [NAME, "--why", "measured again"])
        if done.exit_code:
            raise RuntimeError(done.output) from done.exception

    def refresh(self):
        from benchpaper.workflow import damage

        damage.refresh_caches(self.project, True)


STEPS = (
    *(("append", way) for way in "abab"), ("forget", "a"), ("append", "a"),
    ("blocks", 1.0), ("collect",), ("fix", 2), ("exhibits",), ("judge",), ("gather",), ("pack",),
    ("adopt",), ("refresh",), ("blocks", 3.0), ("collect",), ("fix", 3), ("exhibits",), ("judge",),
    ("gather",), ("adopt",), ("forget", "b"), ("append", "b"),
)  # fmt: skip


def prepare(root):
    """Write the project's own files."""
    texts = {
        "Snakefile": "", "experiments/toy/known/experiment.py": EXPERIMENT,
        "analysis/claims.py": CLAIM, "analysis/toy_known.ipynb": "{}",
    }  # fmt: skip
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


class Promises:
    """What each file may hold at each time: whole contents that were put in its place."""

    def __init__(self):
        self.after = [{}]  # per step: {path: digest} when it had returned
        self.journals = [set()]  # per step: the trials in the journal
        self._between = [defaultdict(set)]  # per step: digests that had their names meanwhile

    def watch(self, root):
        """Note each file that takes another's place from now on."""
        replace = os.replace

        def noting(source, target):
            self._between[-1][str(Path(target).relative_to(root))].add(digest(Path(source)))
            replace(source, target)

        os.replace = noting

    def returned(self, saving):
        """Note what the last step has promised."""
        self.after.append(contents(saving.project.root))
        self.journals.append(cells(saving.journal))
        self._between.append(defaultdict(set))

    def allowed(self, step, path):
        """Return the digests that a file may have after a number of steps, and in the next one."""
        following = self.after[min(step + 1, len(self.after) - 1)]
        return {self.after[step].get(path), following.get(path), *self._between[step][path]}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(root):
    """Return {path: digest} of the files that have their names, apart from the journal."""
    return {
        str(path.relative_to(root)): digest(path)
        for path in root.rglob("*")
        if path.is_file() and not path.name.endswith((".part", ".jsonl"))
    }


def cells(path):
    from benchpaper.results import journal

    return {entry.cell for entry in journal.entries(path)}


def broken_promises(root, step, promises):
    """Return in words what is damaged, although it has its name."""
    now, wrong = contents(root), []
    paths = {*now, *promises.after[step]}
    for path in sorted(paths):
        if now.get(path) not in promises.allowed(step, path):
            size = (root / path).stat().st_size if path in now else "no"
            wrong.append(f"{path} has {size} bytes that no step wrote")
    return wrong + list(_of_journal(root, step, promises))


def _of_journal(root, step, promises):
    from benchpaper.results import journal

    path = root / "results/local/full" / NAME / "journal/000-key.jsonl"
    following = promises.journals[min(step + 1, len(promises.journals) - 1)]
    if lost := (promises.journals[step] & following) - cells(path):
        yield f"the journal has lost {sorted(lost)}"
    with journal.Journal(path) as done:  # as the next run would open it
        if done.damaged:
            yield f"the journal is damaged in lines {done.damaged}"
        done.append(trial(9, "a"))


def try_all(durable, every):
    """Save everything, cut the power after each write, and return what was seen."""
    if not durable:
        os.fsync = lambda descriptor: None
    promises, wrong, points, begin = Promises(), [], 0, time.monotonic()

    def work(root):
        os.environ["BENCHPAPER_PROJECT"] = str(root)
        saving = Saving(root)
        promises.after[0] = contents(root)
        promises.watch(root)
        for step, (name, *arguments) in enumerate(STEPS, 1):
            getattr(saving, name)(*arguments)
            promises.returned(saving)
            log_writes.mark(str(step))

    before = log_writes.record(prepare, work, OPTIONS)
    recorded, begin = time.monotonic() - begin, time.monotonic()
    for last, root in log_writes.crash_points(before, OPTIONS, every):
        points += 1
        step = int(last)
        seen = broken_promises(root, step, promises)
        wrong += [f"point {points}, after step {step}: {text}" for text in seen]
    return {
        "points": points, "steps": len(STEPS), "wrong": wrong, "recorded_s": round(recorded, 1),
        "replayed_s": round(time.monotonic() - begin, 1),
    }  # fmt: skip


def main(folder, how, every):
    log_writes.start()
    sys.dont_write_bytecode = True  # as in the steps of a run
    out = Path("/run/out")
    out.mkdir()
    log_writes.mount("none", out, "hostfs", folder)
    try:
        outcome = try_all(how == "durable", int(every))
    except BaseException:
        outcome = {"error": traceback.format_exc()}
    (out / "outcome.json").write_text(json.dumps(outcome))
    os.sync()
    log_writes.halt()


if __name__ == "__main__":
    main(*sys.argv[1:4])  # the kernel adds words of its own
