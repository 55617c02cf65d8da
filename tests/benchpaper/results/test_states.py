"""States of trials are counted in one order, whatever the order of the trials."""

import itertools

import pytest

from benchpaper import results

STATES = {"measured": 2, "failed": 1, "not tried again": 1, "not testable here": 1}


@pytest.mark.parametrize("trials", sorted(set(itertools.permutations(STATES))))
def test_the_order_of_trials_does_not_change_how_their_states_are_counted(trials):
    counts = results.count_states([*trials, "measured"])
    assert list(counts.items()) == list(STATES.items())


def test_a_state_that_no_trial_ended_in_has_no_count():
    assert results.count_states(["imported"]) == {"imported": 1}
