"""Fourteen mistakes of a new author: each ends in one line with the place, the rule, the remedy."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchpaper.analysis import claims
from benchpaper.core.capabilities import find_capability
from benchpaper.core.errors import UserError
from benchpaper.design.replication import Block
from benchpaper.measure import lateness
from benchpaper.paper import claims_tex, gather, latex
from benchpaper.workflow import plans
from benchpaper.workflow.pipeline import Pipeline

EXPERIMENT = r"experiments/toy/one/experiment\.py:\d+: "
A_YIELD = r"write `yield dict\(latency_us=\.\.\.\)`"
VALUES = {("a", 1): [10.0] * 6, ("b", 1): [11.0] * 6}


@dataclass
class Bench:
    """What a mistake needs: fixtures by name, made on first use."""

    request: pytest.FixtureRequest

    def __getattr__(self, name):
        return self.request.getfixturevalue(name)

    def trial(self, body, **options):
        """Return how a block ends whose trial has this body: the error, or the trial's reason."""
        try:
            block = self.block_of(self.make_toy(body, **options))
            block.measure()
        except UserError as error:
            return str(error)
        (record,) = self.journal(block)
        return record.reason

    def journal(self, block):
        from benchpaper.results import journal

        return journal.entries(block.journal_path)

    def claim(self, condition, sentence="A sentence.", described=None):
        """Return the row of a claim on known results, or its error."""
        self.known.claims(
            f'@claim("C7", experiment="toy/known")\n'
            f'def claimed(results):\n    """{sentence}"""\n    return {condition}\n'
        )
        self.known.write("quick", VALUES, described=described)
        try:
            return claims.save(self.known.project, "local", "quick")
        except UserError as error:
            return str(error)

    def pipeline(self, project):
        run = Pipeline(project, "local", "smoke", 1)
        vars(run)["probed"] = self.probed_once
        return run


def refused(call, *words):
    with pytest.raises(UserError) as caught:
        call(*words)
    return str(caught.value)


def forgotten_yield(bench):
    return bench.trial("dict(latency_us=1.0)", attempts=2)


def return_for_yield(bench):
    return bench.trial("return dict(latency_us=1.0)", attempts=2)


def words_for_json(bench):
    more = "import json"
    return bench.trial("json.loads(site.client.run(['echo', 'no such device']).stdout)\nyield",
                       more=more)  # fmt: skip


def too_much_stdout(bench):
    return bench.trial("site.client.run(['head', '-c', '300000000', '/dev/zero'])\nyield")


def too_much_of_a_server(bench):
    return bench.trial("""
        with site.client.start(["head", "-c", "300000000", "/dev/zero"]) as server:
            server.wait()
            server.stdout_text()
        yield
    """)  # fmt: skip


def typo_in_counts(bench):
    return bench.trial(
        "site.counts.messagess\nyield",
        more="experiment.scales['smoke'].counts['messages'] = 7",
    )


def metric_in_ratio(bench):
    return bench.claim('results.ratio("latency", dict(way="b"), dict(way="a"), size=1).below(2)')


def tau_in_a_claim(bench):
    if not find_capability("latex").check()[0]:
        pytest.skip("needs LaTeX")
    bench.claim('results.estimate("latency_us", way="a", size=1).below(99)', "The τ of both.")
    project = bench.known.project
    build = project.build("local", "quick")
    (build / claims_tex.TABLE).write_text(gather.claims_table(build))
    (build / "exhibits.tex").write_text(gather.gathered(build, []))
    (project.paper / "main.tex").write_text(
        "\\documentclass{article}\n\\usepackage{benchpaper}\n\\input{exhibits.tex}\n"
        "\\begin{document}\\claim{C7}\\end{document}\n"
    )
    return refused(latex.typeset, project, "local", "quick")


def empty_gather(bench):
    project = bench.make_toy("yield dict(latency_us=1.0)")
    return refused(gather.gather, project, "local", "quick", ["toy/one"])


def empty_project(bench):
    return refused(bench.pipeline(bench.make_project({})).choose, "")


def _changed_levels(bench, *levels):
    """Measure the levels a and b, then plan these `levels`."""
    project = bench.make_toy("yield dict(latency_us=1.0)", levels=["a", "b"])
    bench.block_of(project).measure()
    path = project.experiments / "toy/one/experiment.py"
    path.write_text(path.read_text().replace("['a', 'b']", repr(list(levels))))
    for name in [name for name in sys.modules if name.split(".")[0] == "experiments"]:
        del sys.modules[name]
    return plans.describe_again(bench.pipeline(project).again("toy/one"))


def level_renamed(bench):
    return _changed_levels(bench, "a", "renamed")


def level_renamed_under_a_claim(bench):
    return bench.claim('results.estimate("latency_us", way="aa", size=1).below(2)')


def level_added(bench):
    return _changed_levels(bench, "a", "b", "another")


def slow_trial(bench):
    """The trial waits until somebody says that it is slow."""
    bench.monkeypatch.setattr(lateness, "LATE_LEAST_S", 0.2)
    said = Path(bench.tmp_path / "said")
    project = bench.make_toy(f"""
        while not os.path.exists({str(said)!r}):
            time.sleep(0.01)
        yield dict(latency_us=1.0)
    """, timeout_s=60.0)  # fmt: skip
    messages = []

    def report(event, **facts):
        if event == "late":
            messages.append(facts["message"])
            said.touch()

    bench.block_of(project, report=report).measure()
    (message,) = messages
    return message


def noise_floor_without_twin(bench):
    known = bench.known
    over_seeds = vars(Block(over="seed", levels=range(9)))  # whose differences are no noise
    described = {**known.described, "twin": None, "block": over_seeds}
    return known.write("quick", VALUES, described=described).noise_floor("latency_us").missing


def unknown_capability(bench):
    more = "experiment.needs(lambda cell: ['rmda'])"
    return bench.trial("yield dict(latency_us=1.0)", more=more)


# Each: the place, the rule, the remedy.
MISTAKES = {
    forgotten_yield: (EXPERIMENT, "a trial yields .*, but this one returns nothing", A_YIELD),
    return_for_yield: (EXPERIMENT, "a trial yields .*, but this one returns a dict", A_YIELD),
    words_for_json: (EXPERIMENT, "this is no JSON .*: no such device", "print JSON alone"),
    too_much_stdout: ("^head on client ", "printed more than the 48 MiB", r"by host\.get\(\)"),
    too_much_of_a_server: ("^head on client ", "printed more than the 48 MiB", "print less"),
    typo_in_counts: (EXPERIMENT, r'site\.counts has no "messagess"', 'did you mean "messages"'),
    metric_in_ratio: (r"claim C7 \(toy/known\)", 'metric "latency" not found', "did you mean"),
    tau_in_a_claim: ("^claim C7 ", r"holds τ \(U\+03C4\)", r"\\DeclareUnicodeCharacter\{03C4\}"),
    empty_gather: ("build/local-quick/exhibits/", "nothing to gather", "benchpaper run figures"),
    empty_project: ("experiments/", "holds no experiment.py", "benchpaper new FAMILY/NAME"),
    level_renamed: (r"experiments/toy/one/experiment\.py changed", "level renamed of way added; "
                    "level b of way removed", "are measured again"),
    level_renamed_under_a_claim: (r"claim C7 \(toy/known\)", 'level of way "aa" not found',
                                  "there are: a, b, c, null"),
    level_added: (r"experiments/toy/one/experiment\.py changed", "level another of way added",
                  "1 blocks .* are measured again"),
    slow_trial: (r"in experiments/toy/one/experiment\.py$", r"but 0\.01 s were planned",
                 "declare a larger trial_seconds"),
    noise_floor_without_twin: ("toy/known", "declares no twin", r"declare twin=dict\(\.\.\.\)"),
    unknown_capability: ("^toy/one: ", 'capability "rmda" not found', 'did you mean "rdma"'),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_mistake_ends_in_one_line_with_its_place_the_rule_and_the_remedy(mistake, request):
    text = mistake(Bench(request))
    assert isinstance(text, str) and "\n" not in text and len(text) < 600
    for part in MISTAKES[mistake]:
        assert re.search(part, text), f"{part!r} is not in {text!r}"
