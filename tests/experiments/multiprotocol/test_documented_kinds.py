"""The page on files and objects, and the notebook, against the kinds in the code."""

import json
import re

from checkout import ROOT

from experiments.multiprotocol import replay
from experiments.multiprotocol.anomalies.kinds import CONFORMANCE, INVARIANT, KINDS, LOSES
from experiments.multiprotocol.anomalies.severity import LEVELS
from experiments.multiprotocol.model import INVARIANTS

PAGE = (ROOT / "docs" / "files-and-objects.md").read_text()
NOTEBOOK = json.loads((ROOT / "analysis" / "multiprotocol_anomalies.ipynb").read_text())


def table():
    """Return the table of kinds that the page should have."""
    groups = [(text, name, False) for name, text in INVARIANTS.items()]
    groups += [("The S3 server alone", None, True)]
    yield from ("", "| kind | violates | loses | meaning |", "|---|---|---|---|")
    for _, invariant, alone in groups:
        for kind in sorted(KINDS):
            if (kind in CONFORMANCE) == alone and invariant in (None, INVARIANT[kind]):
                loses = "yes" if kind in LOSES else ""
                meaning = KINDS[kind].__doc__.replace("|", "\\|")
                row = [f"`{kind}`", INVARIANT[kind] + ", S3 alone" * alone, loses, meaning]
                yield f"| {' | '.join(row)} |"
    yield ""


def test_the_page_lists_each_kind():
    shown = re.search(r"<!-- kinds: begin -->\n(.*)<!-- kinds: end -->", PAGE, re.DOTALL)[1]
    expected = "\n".join(table()) + "\n"
    assert shown == expected, f"put this into docs/files-and-objects.md:\n{expected}"


def test_the_page_defines_each_invariant_and_each_level():
    assert all(f"**{name}, " in PAGE for name in INVARIANTS)
    named = re.findall(r"^\| (\d) \| ([a-z ]+) \|", PAGE, re.M)
    assert dict(named) == {str(number): name for number, name in enumerate(LEVELS) if number}


def test_each_command_of_the_page_names_what_exists():
    commands = re.findall(r"`replay ([a-z_ ]+)`|multiprotocol\.replay ([a-z_ ]+)", PAGE)
    assert len(commands) >= 10
    for words in commands:
        assert replay._arguments("".join(words).split()).kind


def test_the_notebook_knows_the_invariant_of_each_kind():
    code = "".join(line for cell in NOTEBOOK["cells"] for line in cell["source"])
    groups = dict(re.findall(r'^    "(I\d)": \{(.*?)\},$', code, re.MULTILINE | re.DOTALL))
    known = {kind: name for name, kinds in groups.items() for kind in re.findall(r'"(\w+)"', kinds)}
    assert known == INVARIANT
    levels = json.loads(re.search(r"^LEVELS = (\[.*?\])", code, re.MULTILINE)[1])
    assert ["none", *levels] == list(LEVELS)
