"""A kind of anomaly that only the kernel's client can show: a delegation that is not recalled."""

from types import SimpleNamespace

import pytest

from experiments.multiprotocol import running

pytestmark = pytest.mark.slow


def test_the_kernels_server_recalls_a_delegation_before_a_put(guests):
    server, client = guests.host(3), guests.host(2, "client")
    said, outcome = running.run(
        SimpleNamespace(server=server, client=client),
        SimpleNamespace(system="nfsd kernel", setting="default"),
        300,
        what="anomalies",
        tries=4,
        kind_s=30,
        seed=7,
        limit_s=120,
        kinds=["delegation_not_recalled", "reopened_stale", "lock_ignored"],
    )
    assert outcome == "ran", outcome
    kinds = {result["kind"]: result for result in said}
    judged = kinds["delegation_not_recalled"]
    assert judged["tries"] and not judged["seen"] and not judged["error"], judged
    # A PUT replaces the file by another one; the client opens the one that it has open.
    assert kinds["reopened_stale"]["seen"], kinds
    assert kinds["lock_ignored"]["seen"] and kinds["lock_ignored"]["witness"], kinds
