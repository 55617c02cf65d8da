"""What results know: a notebook asks older ones before it asks for a newer metric or level."""

import pytest
from checkout import ROOT

from benchpaper import load
from benchpaper.core.errors import UserError


@pytest.mark.parametrize("metric, levels, known", [
    ("latency_us", {}, True), ("", dict(transport="posix"), True),
    ("latency_us", dict(transport="posix", operation="get"), True),
    ("no_such_metric", {}, False), ("", dict(transport="carrier pigeon"), False),
    ("latency_us", dict(transport="carrier pigeon"), False), ("", {}, True),
])  # fmt: skip
def test_results_say_what_they_declare(metric, levels, known):
    results = load("rdma/fabric", ROOT / "artifacts" / "reference" / "local")
    assert results.declares(metric, **levels) is known


def test_an_unknown_factor_is_a_mistake():
    results = load("rdma/fabric", ROOT / "artifacts" / "reference" / "local")
    with pytest.raises(UserError, match='factor "link" not found'):
        results.declares(link="posix")
