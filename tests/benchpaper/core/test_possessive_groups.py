"""No pattern repeats a group possessively: Python before 3.11.5 matches such patterns wrongly.

Debian 12 has Python 3.11.2, where one of them matched nothing, for ever. An atomic group does the
same and is right everywhere: `(?>(...)*)` for a `(...)` that is followed by `*+`.
"""

import importlib
import pkgutil
import re
from re import _constants, _parser

import pytest
from checkout import ROOT

import benchpaper

GROUP_REPEATED = re.compile(r"(?<!\\\\)\)(?:[?*+]|\{+[\d,]+\}+)\+")


def patterns():
    """Yield ("module.NAME", pattern) of every compiled pattern that a module holds."""
    for module in pkgutil.walk_packages(benchpaper.__path__, "benchpaper."):
        if module.name.endswith("__main__") or ".templates." in module.name:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                yield f"{module.name}.{name}", value


def possessive_groups(pattern):
    """Return how many groups a pattern repeats possessively; single characters are right."""

    def count(parsed):
        found_here = 0
        for operation, arguments in parsed:
            if operation is _constants.POSSESSIVE_REPEAT:
                body = arguments[2]
                simple = len(body) == 1 and body[0][0] not in (
                    _constants.SUBPATTERN, _constants.BRANCH, _constants.ATOMIC_GROUP
                )  # fmt: skip
                found_here += not simple
            for part in arguments if isinstance(arguments, (list, tuple)) else [arguments]:
                for inner in part if isinstance(part, list) else [part]:
                    if isinstance(inner, _parser.SubPattern):
                        found_here += count(inner)
        return found_here

    return count(_parser.parse(pattern.pattern, pattern.flags))


def test_no_pattern_of_a_module_has_one():
    every = dict(patterns())
    assert len(every) > 100
    assert [name for name, pattern in every.items() if possessive_groups(pattern)] == []


@pytest.mark.parametrize("folder", ["src", "experiments"])
def test_no_source_writes_one(folder):
    """Functions make patterns, too."""
    texts = {path: path.read_text() for path in (ROOT / folder).rglob("*.py")}
    assert [str(path) for path, text in texts.items() if GROUP_REPEATED.search(text)] == []


@pytest.mark.parametrize("text, count", [
    ("(a|bc)*+", 1), ("(?:a[bc]){2,}+", 1), ("x(?P<n>yz)?+", 1), ("(?=(ab)++)", 1),
    ("[ab]*+c++", 0), ("(?>(a|bc)*)", 0), (r"\)+", 0),
])  # fmt: skip
def test_the_check_can_fail(text, count):
    assert possessive_groups(re.compile(text)) == count
    assert bool(GROUP_REPEATED.search(text)) == bool(count)
