"""Claims on storage for training.

`benchpaper claims --history` says when each was written. C41's bound comes from a closed form. Most
others are round numbers, chosen after trial runs of the programs.
"""

from benchpaper import claim, gap, prediction

BASE = dict(workload="resnet50", format="npy", readers=2, loader="threads")
OVER_NFS, BY_GETS = dict(backend="nfs41", client="nfs"), dict(backend="s3-rclone", client="s3")
RENAMED = dict(layout="torch", protocol="rename", pace="short")
OVER_S3 = dict(backend="s3-rclone", workload="resnet50", readers=2, loader="threads")


@claim("C41", experiment="training_io/accelerator", kind="check")
def the_stall_is_that_of_the_closed_form(results):
    """On storage whose latency and bandwidth were set, the mean stall of a step agrees with its
    closed form to within 5 %."""
    return results.estimate("stall_over_closed_form", backend="known", **BASE).equal(margin=0.05)


@claim(
    "C42",
    experiment="training_io/accelerator",
    matters_to="whoever chooses a format for training over S3",
    after_trial_runs=True,
)
def records_in_shards_wait_less_than_files(results):
    """Over S3, an accelerator waits a smaller share of its time when samples are records of shards
    (TFRecord) than when each is an object (NumPy)."""
    return results.ratio(
        "stall_share", of=dict(format="tfrecord"), to=dict(format="npy"), **OVER_S3
    ).below(1.0)


@claim(
    "C43",
    experiment="training_io/iops_rank",
    matters_to="whoever buys storage for training by its IOPS",
    after_trial_runs=True,
)
def random_read_iops_do_not_rank_backends(results):
    """4 KiB random-read IOPS put storage backends into another order than training does: Kendall's
    tau is below 0.8, so that more than one pair in ten is the wrong way round."""
    return results.rank_agreement("iops_4k", "stall_mean_ms").below(0.8)


@claim(
    "C44",
    experiment="training_io/iops_rank",
    matters_to="whoever buys storage for training by its IOPS",
    after_trial_runs=True,
)
def more_iops_and_longer_stalls(results):
    """NFS 4.1 from user space delivers more 4 KiB random reads a second than S3 by rclone delivers
    ranged GETs."""
    return results.ratio("iops_4k", of=OVER_NFS, to=BY_GETS).above(1.0)


@claim(
    "C45",
    experiment="training_io/iops_rank",
    matters_to="whoever buys storage for training by its IOPS",
    after_trial_runs=True,
)
def yet_the_stall_is_longer(results):
    """Yet training waits longer for that NFS than for that S3."""
    return results.ratio("stall_mean_ms", of=OVER_NFS, to=BY_GETS).above(1.0)


@claim("C46", experiment="training_io/first_batch", kind="check", after_trial_runs=True)
def listing_decides_the_first_batch(results):
    """Over S3, the first batch of ten thousand samples comes at least twice as late from one object
    a sample as through an index."""
    of, to = dict(layout="objects"), dict(layout="index")
    return results.ratio("first_batch_ms", of=of, to=to, backend="s3-rclone", samples=10_000).above(
        2.0
    )


@claim("C47", experiment="training_io/checkpoint", kind="check", after_trial_runs=True)
def a_renamed_checkpoint_is_never_lost(results):
    """No crash of the saving process, before any of its operations, leaves a checkpoint that was to
    be renamed without a state that loads."""
    return results.estimate("crash_lost_share", method="rename-fsync", size_mib=16, shards=4).below(
        0.01
    )


@claim("C48", experiment="training_io/checkpoint", kind="check", after_trial_runs=True)
def overwriting_loses_the_checkpoint(results):
    """A crash while a checkpoint of four shards is overwritten in place leaves no state that loads
    in more than half of the cases."""
    return results.estimate(
        "crash_lost_share", method="overwrite-fsync", size_mib=16, shards=4
    ).above(0.5)


@claim(
    "C49",
    experiment="training_io/tail",
    matters_to="whoever sizes a service by a closed-loop benchmark",
    after_trial_runs=True,
)
def waiting_for_answers_hides_the_tail(results):
    """At 95 % of what a closed loop attains against S3 by rclone, the 99th percentile of latency is
    at least 1.5 times as long from when a request was due as from when it was sent."""
    return results.estimate("hidden_at_p99", server="rclone", load=0.95).above(1.5)


@claim(
    "C60",
    experiment="training_io/power_loss",
    matters_to="whoever saves checkpoints by renaming, without fsync",
    after_trial_runs=True,
)
def a_new_name_is_safe_before_its_data(results):
    """On XFS, a checkpoint that is renamed over the old one without fsync is neither the old nor
    the new one if the power goes during more than a tenth of what the disk writes, counted in
    bytes, from the begin of the save until all is written out."""
    return results.estimate("lost_share", file_system="xfs", sync="none", **RENAMED).above(0.1)


@claim(
    "C61",
    experiment="training_io/power_loss",
    matters_to="whoever saves checkpoints by renaming",
    after_trial_runs=True,
)
def fsync_before_and_after_the_renaming_loses_nothing(results):
    """On XFS, no power cut loses a checkpoint whose file was synced before its renaming, and its
    folder after."""
    return results.estimate("lost_share", file_system="xfs", sync="both", **RENAMED).below(0.01)


def off_by(results, number, workload, direct=False):
    """Return by which factor a number misses the slowdown of shaped stores that were held out."""
    on = dict(face="s3")
    return prediction.held_out(
        results, number, "slowdown", on=on, direct=direct, workload=workload
    ).error


@claim(
    "C66",
    experiment="training_io/predictors",
    matters_to="whoever buys storage for training on tokens",
    after_trial_runs=True,
)
def random_reads_predict_token_reads(results):
    """For a job that reads sequences of tokens at random, 4 KiB random reads at depth 32 predict
    the time of a step on a store that was held out to within a factor of 1.5, in the median over
    stores."""
    return off_by(results, "iops_4k_qd32", "tokens").below(1.5)


@claim(
    "C67",
    experiment="training_io/predictors",
    matters_to="whoever buys storage for large samples by its IOPS",
    after_trial_runs=True,
)
def random_reads_do_not_predict_large_samples(results):
    """For a job that reads samples of megabytes, each a file, 4 KiB random reads at depth 1 miss
    the time of a step on a store that was held out by more than a factor of 1.15."""
    return off_by(results, "iops_4k_qd1", "unet3d").above(1.15)


@claim(
    "C68",
    experiment="training_io/predictors",
    matters_to="whoever tests storage before buying it",
    after_trial_runs=True,
)
def the_job_s_own_reads_predict_it(results):
    """The rate at which that job's readers fetch its own samples without computing predicts the
    time of a step to within a factor of 1.15, without any fitting."""
    return off_by(results, "replayed", "unet3d", direct=True).below(1.15)


@claim(
    "C69",
    experiment="training_io/predictors",
    matters_to="whoever sizes storage by a data sheet",
    after_trial_runs=True,
)
def two_parameters_predict_it_roughly(results):
    """A model of a latency and a bandwidth predicts the time of a step of that job to within a
    factor of 1.3, without any fitting."""
    return off_by(results, "modelled", "unet3d", direct=True).below(1.3)


@claim("C78", experiment="training_io/peer", kind="check")
def two_harnesses_see_the_same_stall(results):
    """On ext4, DLIO sees the same slowdown of a job with one sample a file as our loop, to within
    10 %."""
    of, to = dict(harness="dlio"), dict(harness="ours")
    return results.ratio("slowdown", of=of, to=to, storage="ext4", workload="retinanet").equal(
        margin=0.10
    )


@claim("C130", experiment="training_io/peer", kind="check")
def two_harnesses_see_the_same_stall_of_slow_storage(results):
    """On slow storage over FUSE, DLIO sees the same slowdown of that job as our loop, to within
    10 %."""
    of, to = dict(harness="dlio"), dict(harness="ours")
    return results.ratio("slowdown", of=of, to=to, storage="set-07", workload="retinanet").equal(
        margin=0.10
    )


@claim("C131", experiment="training_io/iops_rank", kind="check")
def our_client_reads_as_fio_does(results):
    """Where both can read, on ext4, our client and fio agree on 4 KiB random reads by one reader to
    within 5 %."""
    share = "client_over_fio"
    if not results.declares(share):
        return gap("the results are older than this metric", metric="iops_4k").equal(margin=0.05)
    return results.estimate(share, backend="ext4", client="fio").equal(margin=0.05)


@claim("C137", experiment="training_io/checkpoint", matters_to="whoever sizes checkpoint storage")
def a_large_checkpoint_attains_most_of_its_bound(results):
    """A state of 1 GiB in four shards that are synced, and then renamed, is durable at no less than
    0.8 times the rate of one file that is written in order and synced once."""
    at = dict(method="rename-fsync", size_mib=1024, shards=4)
    if not results.declares("of_bound", size_mib=1024):
        return gap("the results are older than this metric", metric="durable_ms").above(0.8)
    return results.estimate("of_bound", **at).above(0.8)
