"""When a claim was written, and when its data were measured, as git alone says it."""

import json
import os
import subprocess
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from benchpaper.analysis import history
from benchpaper.analysis.history.stated import stated
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.results import reference_log

CLAIM = '''
LEAST = {least}

@claim("C1", experiment="toy/one"{more})
def first(results):
    """{sentence}"""
    return results.estimate("latency_us", way="a").above({bound})
'''
TRIALS = "artifacts/reference/{site}/toy/one/trials.parquet"


class Repository:
    """A project with a claim and a reference, whose commits are an hour apart."""

    def __init__(self, root):
        self.root, self.project, self.hour = root, Project(root), 0
        (root / "analysis").mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *words):
        date = f"2026-01-01T{self.hour:02}:00:00+0000"
        who = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        who |= {
            f"GIT_{role}_{part}": "x@y.example"
            for role in ("AUTHOR", "COMMITTER")
            for part in ("NAME", "EMAIL")
        }
        who |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(
            ["git", "-C", self.root, *words],
            env={**os.environ, **who},
            capture_output=True,
            text=True,
        )
        assert not done.returncode, done.stderr
        return done.stdout.strip()

    def commit(self):
        self.hour += 1
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def write(self, sentence="It is slow.", bound="LEAST", least="5", more="", file="claims.py"):
        text = CLAIM.format(sentence=sentence, bound=bound, least=least, more=more)
        (self.root / "analysis" / file).write_text(text)

    def measure(self, commit, minute=30, site="local", **more):
        """Add a reference that was measured in the present hour, from the code of a commit."""
        path = self.root / TRIALS.format(site=site)
        path.parent.mkdir(parents=True, exist_ok=True)
        started = datetime(2026, 1, 1, self.hour, minute, tzinfo=UTC)
        rows = {"started": [started], "git_commit": [commit], "scale": ["full"], **more}
        parquet.write_table(pa.table(rows), path)
        return self.commit()

    def of(self):
        return history.of(self.project).claims["C1"]


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


def test_a_bound_in_the_history_of_the_measured_commit_is_older_than_its_data(repository):
    repository.write()
    first = repository.commit()
    repository.measure(first)
    claim = repository.of()
    assert (claim.word, claim.by_dates) == (history.BEFORE, False)
    assert claim.first.commit == claim.bound.commit == first and claim.bound.changes == 0


def test_a_bound_that_was_committed_with_its_data_is_not(repository):
    repository.write(bound="4")
    code = repository.commit()
    repository.write()
    repository.measure(code)  # the new bound and its data come in one commit
    claim = repository.of()
    assert claim.word == history.AFTER and claim.bound.changes == 1


def test_a_bound_that_earlier_results_could_have_shaped_says_so(repository):
    repository.write(bound="4")
    repository.measure(repository.commit())
    repository.write()
    repository.measure(repository.commit())
    past = history.of(repository.project)
    assert past.claims["C1"].word == history.EARLIER
    assert [each.started[:16] for each in past.measured["toy/one"]] == [
        "2026-01-01T01:30",
        "2026-01-01T03:30",
    ]


def test_an_author_may_admit_trial_runs_that_git_does_not_know_of(repository):
    repository.write(more=", after_trial_runs=True")
    repository.measure(repository.commit())
    assert repository.of().word == history.TRIAL_RUNS


def test_another_spelling_of_a_bound_is_no_change_and_another_constant_is(repository):
    repository.write()
    repository.commit()
    repository.write(bound="5.0", least="9")
    repository.commit()
    assert repository.of().bound.changes == 0
    repository.write(bound="LEAST", least="9")
    repository.commit()
    assert repository.of().bound.changes == 1
    repository.write("It is very slow.", least="9")
    repository.commit()
    claim = repository.of()
    assert (claim.sentence.changes, claim.bound.changes, claim.compared.changes) == (1, 1, 0)


def test_a_claim_keeps_its_history_in_another_file_and_through_a_merge(repository):
    repository.write()
    first = repository.commit()
    repository.git("checkout", "-q", "-b", "side")
    (repository.root / "analysis" / "claims.py").unlink()
    repository.write(file="claims_toy.py")
    repository.commit()
    repository.git("checkout", "-q", "main")
    (repository.root / "other").write_text("x")
    repository.commit()
    repository.git("merge", "-q", "--no-ff", "-m", "x", "side")
    repository.measure(repository.git("rev-parse", "HEAD"))
    claim = repository.of()
    assert claim.first.commit == claim.bound.commit == first and claim.word == history.BEFORE


def test_what_is_not_committed_has_no_history_yet(repository):
    repository.write()
    repository.measure(repository.commit())
    repository.write(bound="6")
    assert repository.of().word == history.UNCOMMITTED


def test_without_the_measured_commit_dates_decide_and_it_says_so(repository):
    repository.write()
    repository.commit()
    repository.measure("f" * 40)
    claim = repository.of()
    assert (claim.word, claim.by_dates) == (history.BEFORE, True)
    repository.write(bound="6")
    repository.commit()
    claim = repository.of()
    assert (claim.word, claim.by_dates) == (history.AFTER, True)


def test_the_same_trials_in_a_file_of_another_schema_are_no_new_measurement(repository):
    repository.write()
    code = repository.commit()
    repository.measure(code, minute=10)
    started = [datetime(2026, 1, 1, 1, 10, tzinfo=UTC)]
    repository.measure(code, started=started, more=[1])  # written again, with a column more
    assert len(history.of(repository.project).measured["toy/one"]) == 1
    repository.measure(code, site="cloud", started=[datetime(2026, 1, 1, 1, 20, tzinfo=UTC)])
    assert [each.site for each in history.of(repository.project).measured["toy/one"]] == [
        "local",
        "cloud",
    ]


def test_damaged_and_imported_references_count_as_none(repository):
    repository.write()
    code = repository.commit()
    path = repository.root / TRIALS.format(site="local")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1 nonsense")
    repository.commit()
    assert repository.of().word == history.NO_DATA
    repository.measure(code, started=pa.array([None], pa.timestamp("us", "UTC")))
    assert repository.of().word == history.NO_DATA


def test_a_measurement_tells_why_it_was_made_as_the_log_of_the_reference_says(repository):
    repository.write()
    code = repository.commit()
    repository.measure(code, minute=10)
    key, started = history.key(repository.project), "2026-01-01T02:20:00+00:00"
    reference_log.add(
        repository.project,
        reference_log.Adopted("local", "toy/one", started, "-", "a faster disk"),
    )
    repository.measure(code, minute=20)
    measured = history.of(repository.project).measured["toy/one"]
    assert [each.why for each in measured] == ["", "a faster disk"]
    assert history.key(repository.project) != key


def test_a_shallow_clone_and_a_folder_without_git_say_why_in_one_line(repository, tmp_path_factory):
    repository.write()
    repository.measure(repository.commit())
    clone = tmp_path_factory.mktemp("clone") / "shallow"
    repository.git("clone", "-q", "--depth", "1", repository.root.as_uri(), str(clone))
    past = history.of(Project(clone))
    assert not past.claims and "this clone is shallow; git fetch --unshallow" in past.why
    (clone / ".git").rename(clone / "no-git")
    past = history.of(Project(clone))
    assert past.why == "the history of the claims is unknown: this is no git checkout"
    assert "\n" not in past.why


def test_a_bundle_carries_the_history_and_a_broken_one_is_refused(repository):
    repository.write()
    repository.measure(repository.commit())
    past = history.of(repository.project)
    text = json.dumps(past.to_json())
    (repository.root / ".git").rename(repository.root / "no-git")
    (repository.root / history.FILE).write_text(text)
    assert history.of(repository.project) == past
    for broken in (text.replace("before its first", "long before its"), "[]", "{", text[:-9]):
        (repository.root / history.FILE).write_text(broken)
        with pytest.raises(UserError, match=r"^claims-history.json cannot be read"):
            history.of(repository.project)


@pytest.mark.parametrize(
    "source, expected",
    [
        ("A, B = 1, 2\n{}return r.x.within(A, B)", "within high 2.0, low 1.0"),
        ("{}return r.x.equal(0.1)", "equal margin 0.1"),
        ("{}return r.x.equal(target=3, margin=.1)", "equal margin 0.1, target 3.0"),
        ("A = 1\nB = A + 1\n{}return r.x.below(B)", "below bound 1.0 + 1.0"),
        ("A = A\n{}return r.x.below(A)", "below bound A"),
        ("{}return r.x", ""),
    ],
)
def test_the_bound_is_read_from_the_code_without_running_it(source, expected):
    head = '@claim("C1", experiment="toy/one")\ndef f(r):\n    """S."""\n    '
    assert stated(source.format(head))["C1"].bound == expected
    assert stated("def (") == {}
