"""Claims on how a training job starts, and starts again: first batch, resuming, a lost host.

`benchpaper claims --history` says when each was written.
"""

import numpy as np
import pandas as pd

from benchpaper import claim, gap


@claim("C132", experiment="training_io/resume", matters_to="whoever writes loaders that can resume")
def filling_a_buffer_again_costs_more_than_reading_again(results):
    """Over S3, a loader that fills its shuffle buffer again with what was in it, by a request for
    each sample, stands where it stood later than one that reads half of the epoch again in whole
    shards."""
    of, to = dict(method="skip"), dict(method="replay")
    return results.ratio("resume_ms", of=of, to=to, backend="s3-rclone", shuffle="buffer").above(
        1.0
    )


@claim("C133", experiment="training_io/resume", matters_to="whoever chooses how a loader shuffles")
def a_full_shuffle_resumes_at_once(results):
    """Over S3, a full shuffle that starts in mid-epoch has its next batch at least ten times as
    early as if it read the epoch from its beginning."""
    of, to = dict(method="replay"), dict(method="skip")
    return results.ratio("resume_ms", of=of, to=to, backend="s3-rclone", shuffle="full").above(10.0)


@claim("C134", experiment="training_io/resume", kind="check")
def a_buffer_shuffles_worse(results):
    """A buffer of an eighth of the epoch puts at least twice as many pairs of a batch from one
    shard together as a full shuffle does."""
    of, to = dict(shuffle="buffer"), dict(shuffle="full")
    return results.ratio(
        "same_shard_share", of=of, to=to, backend="s3-rclone", method="skip"
    ).above(2.0)


@claim("C135", experiment="training_io/node_loss", kind="check")
def a_replaced_host_reads_nothing_twice(results):
    """A new host that takes the place of a lost one at the interrupted step delivers no sample
    again."""
    return results.estimate("twice", backend="s3-rclone", failure="killed", policy="replace").below(
        0.5
    )


@claim(
    "C136",
    experiment="training_io/node_loss",
    matters_to="whoever sets the time after which a silent host is given up",
    after_trial_runs=True,
)
def noticing_takes_longer_than_replacing(results):
    """With a limit of one second, a silent host keeps a loader over S3 from standing where it stood
    at least twice as long as one whose connection closes."""
    of, to = dict(failure="silent"), dict(failure="killed")
    return results.ratio("stands_ms", of=of, to=to, backend="s3-rclone", policy="replace").above(
        2.0
    )


@claim("C138", experiment="training_io/first_batch", matters_to="whoever extrapolates a listing")
def a_power_law_predicts_the_next_decade(results):
    """The power law of a listing that is fitted to ten thousand to a million names on ext4 predicts
    ten million to within a quarter."""
    return extrapolated(results, "ext4", 10_000_000).equal(margin=0.25)


@claim("C139", experiment="training_io/first_batch", matters_to="whoever extrapolates a listing")
def a_power_law_predicts_the_next_decade_over_s3(results):
    """The power law of a listing that is fitted to a thousand to a hundred thousand objects of
    SeaweedFS predicts a million to within a quarter."""
    return extrapolated(results, "s3-seaweedfs", 1_000_000).equal(margin=0.25)


def extrapolated(results, backend, largest):
    """Return what the law of all smaller sizes gives for `largest`, over what was measured."""
    cells = dict(backend=backend, layout="objects")
    if not results.declares(backend=backend, samples=largest):
        return gap("the results are older than this size", metric="listing_ms")
    at_most = results.estimate("listing_ms", samples=largest, **cells)
    if at_most.value is None:
        return at_most
    rows = list(results.cells(**cells).itertuples(index=False))
    measured = [
        results.block_df("listing_ms", row.cell)[["block", "value"]].assign(samples=row.samples)
        for row in rows
    ]
    ratios = []
    for _, block in pd.concat(measured).groupby("block"):
        points = dict(zip(block["samples"], block["value"], strict=True))
        if len(points) == len(rows):
            actual = points.pop(largest)
            slope, constant = np.polyfit(np.log(list(points)), np.log(list(points.values())), 1)
            ratios.append(np.exp(constant + slope * np.log(largest)) / actual)
    return results.estimated(ratios, "1", "listing_ms", [row.cell for row in rows])
