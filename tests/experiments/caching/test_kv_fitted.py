"""The generator of KV-cache requests: what it promises, and that `fit` finds its numbers again."""

import json
from dataclasses import astuple

import pytest

from experiments.caching import kv_fitted
from experiments.caching.kv_curves import experiment as kv_curves


def test_fitting_the_generated_prompts_finds_the_numbers_again():
    """Not exactly: whole blocks and the longest prompt cut the tails of the distributions."""
    again = kv_fitted.fit(kv_fitted.prompts(kv_fitted.FITTED, 12_000, 5))
    for name in ("lag_mean", "lag_sd", "first_mean", "first_sd", "more_mean", "more_sd"):
        assert getattr(again, name) == pytest.approx(getattr(kv_fitted.FITTED, name), rel=0.15), (
            name
        )
    chance = kv_fitted.FITTED.alpha / (kv_fitted.FITTED.alpha + kv_fitted.FITTED.beta)
    assert again.alpha / (again.alpha + again.beta) == pytest.approx(chance, abs=0.05)
    assert again.longest == kv_fitted.FITTED.longest


def test_prompts_share_one_block_and_repeat_only_beginnings():
    made = kv_fitted.prompts(kv_fitted.FITTED, 800, 3)
    assert (
        made
        == kv_fitted.prompts(kv_fitted.FITTED, 800, 3)
        != kv_fitted.prompts(kv_fitted.FITTED, 800, 4)
    )
    seen = set()
    for prompt in made:
        assert prompt[0] == 1 and len(set(prompt)) == len(prompt) <= kv_fitted.FITTED.longest
        known = [block in seen for block in prompt]
        assert known == sorted(known, reverse=True)
        seen.update(prompt)


def test_no_turns_means_nothing_to_fit():
    with pytest.raises(ValueError, match="fewer than three turns of a conversation"):
        kv_fitted.fit([[1, 2], [1, 3], [1, 4]])


def test_a_trace_in_mooncakes_format_is_fitted_and_compared(tmp_path, capsys, monkeypatch):
    path = tmp_path / "trace.jsonl"
    made = kv_fitted.prompts(kv_fitted.FITTED, 600, 1)
    path.write_text("".join(json.dumps({"hash_ids": prompt}) + "\n" for prompt in made))
    monkeypatch.setattr(kv_fitted, "SHARES", (0.1,))
    assert kv_fitted.compare(path, 600) == 0.0  # the very same requests
    assert "at most 0.0 percentage points apart" in capsys.readouterr().out


def test_a_row_and_its_check(tmp_path):
    plan = dict(share=0.1, prompts=400, seed=1, folder=str(tmp_path))
    result = kv_fitted.simulate(plan)
    row = kv_curves.observation(result)
    assert row["hits_belady"] > row["hits_lru"] > 0
    assert row["simulated"] == f"{result['requests']} after {result['warm']}"
    wrong = {**result, "all_hits": {**result["all_hits"], "arc": 10**6}}
    with pytest.raises(ValueError, match="arc hits 1000000 times, more often than MIN"):
        kv_curves.observation(wrong)
    assert len(astuple(kv_fitted.FITTED)) == 11
