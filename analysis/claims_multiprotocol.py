"""Claims on files and objects over the same data.

`benchpaper claims --history` says when each was written. The paper claims a kind of anomaly only if
it occurs in most tries and a known mechanism causes it.
"""

from benchpaper import claim, gap

ALMOST_NONE, MOST = 0.01, 0.5


def kinds(results):
    """Return how many kinds of anomaly the probes look for."""
    return sum(metric["name"].startswith("tries_") for metric in results.described["metrics"])


@claim(
    "C30",
    experiment="multiprotocol/anomalies",
    matters_to="users of NFS-Ganesha over a folder that S3 writes",
)
def a_server_trusts_its_folder_for_a_minute(results):
    """With Ganesha's default of a minute for which it trusts attributes, the listing that libnfs
    gets lacks a name that was just created through S3 in most tries."""
    return results.estimate("listing_misses", system="ganesha libnfs", setting="default").above(
        MOST
    )


@claim("C31", experiment="multiprotocol/anomalies", kind="check")
def a_right_store_shows_no_anomaly(results):
    """On a store in memory whose operations each happen at one instant, no kind of anomaly is ever
    seen."""
    return results.estimate("kinds_seen", system="locked store", setting="default").below(MOST)


@claim("C32", experiment="multiprotocol/anomalies", kind="check")
def every_injected_kind_is_caught(results):
    """On a store that is wrong on purpose in every way that we look for, every kind of anomaly is
    seen."""
    return results.estimate("kinds_seen", system="broken store", setting="default").above(
        kinds(results) - MOST
    )


@claim(
    "C33",
    experiment="multiprotocol/anomalies",
    matters_to="programs that guard S3 writes with ETags while others write files",
)
def an_etag_does_not_protect_what_files_wrote(results):
    """On SeaweedFS, which honours preconditions among S3 clients, a conditional PUT with the ETag
    from before a file write succeeds in most tries, and the file's content is lost."""
    return results.estimate("lost_update", system="seaweedfs", setting="default").above(MOST)


@claim(
    "C34",
    experiment="multiprotocol/anomalies",
    matters_to="programs that lock or publish with If-None-Match",
)
def a_precondition_is_answered_and_ignored(results):
    """rclone's S3 server answers a PUT with If-None-Match: * over an existing object with success
    in most tries."""
    return results.estimate("ignored_if_none_match", system="rclone", setting="default").above(MOST)


@claim(
    "C35",
    experiment="multiprotocol/anomalies",
    matters_to="readers of a JuiceFS mount whose data S3 clients replace",
)
def the_mount_reads_what_was_overwritten(results):
    """With JuiceFS's default of one second of kernel metadata cache, the mount reads the old
    content right after an S3 overwrite in most tries."""
    return results.estimate("stale_file_read", system="juicefs", setting="default").above(MOST)


@claim("C36", experiment="multiprotocol/linearizability", kind="check")
def the_locked_store_is_linearizable(results):
    """The checker accepts every history of the locked store."""
    return results.estimate("violated_share", system="locked store", setting="default").below(
        ALMOST_NONE
    )


@claim("C37", experiment="multiprotocol/linearizability", kind="check")
def the_broken_store_is_not(results):
    """The checker rejects most histories of the store with injected delay."""
    return results.estimate("violated_share", system="broken store", setting="default").above(MOST)


@claim("C38", experiment="multiprotocol/visibility", kind="check")
def written_files_wait_for_the_write_back(results):
    """With rclone's default write-back of five seconds, at the median a file write is not visible
    through S3 for more than a quarter of a second."""
    return results.estimate("file_to_s3_ms", system="rclone", setting="default").above(250.0)


@claim(
    "C39",
    experiment="multiprotocol/tradeoff",
    matters_to="whoever thinks of switching that cache off",
)
def the_metadata_cache_pays(results):
    """On JuiceFS's mount, the default metadata cache makes stat at least twice as fast as no cache
    does."""
    default, strict = dict(setting="default"), dict(setting="strict")
    return results.ratio("metadata_per_s", of=default, to=strict, system="juicefs").above(2.0)


def share(results, kind, **levels):
    """Return the estimate of a metric, or a gap if the results are older than that metric."""
    if results.declares(kind):
        return results.estimate(kind, **levels)
    why = f"these results are older than {kind.replace('_', ' ')}"
    return gap(why, metric=results.described["metrics"][0]["name"])


@claim(
    "C97",
    experiment="multiprotocol/anomalies",
    matters_to="programs that write files which others guard with ETags",
    after_trial_runs=True,
)
def renaming_protects_where_writing_in_place_does_not(results):
    """On SeaweedFS, a conditional PUT with the ETag from before is refused in most tries after the
    file side has renamed a new file over the old one, unlike after a write in place."""
    return share(results, "saved_update_lost", system="seaweedfs", setting="default").below(MOST)


@claim(
    "C92",
    experiment="multiprotocol/anomalies",
    matters_to="users of rclone's file server whose data S3 clients replace",
    after_trial_runs=True,
)
def a_put_is_undone_by_the_write_back(results):
    """With rclone's default write-back, a PUT over a file that was just written is undone in most
    tries, although it was answered with success."""
    return share(results, "put_undone", system="rclone", setting="default").above(MOST)


@claim("C93", experiment="multiprotocol/anomalies", kind="check", after_trial_runs=True)
def without_write_back_no_put_is_undone(results):
    """With rclone's write-back switched off, a PUT over a file that was just written stays in most
    tries."""
    return share(results, "put_undone", system="rclone", setting="strict").below(MOST)


@claim(
    "C94",
    experiment="multiprotocol/anomalies",
    matters_to="whoever keeps private files in a folder that S3 clients write",
    after_trial_runs=True,
)
def a_put_opens_a_private_file(results):
    """On Ganesha over a folder that rclone serves, after a PUT over a file that only its owner may
    read, others may read it in most tries."""
    return share(results, "permissions_lost", system="ganesha", setting="default").above(MOST)


@claim(
    "C95",
    experiment="multiprotocol/linearizability",
    matters_to="whoever caches objects by their ETags",
    after_trial_runs=True,
)
def an_etag_names_two_contents(results):
    """In most random histories of SeaweedFS, two reads through S3 return different contents under
    one ETag."""
    return share(results, "i1_violated", system="seaweedfs", setting="default").above(MOST)


@claim("C96", experiment="multiprotocol/linearizability", kind="check", after_trial_runs=True)
def the_locked_store_keeps_what_it_acknowledged(results):
    """In the histories of the locked store, nothing acknowledged is lost."""
    return share(results, "i5_violated", system="locked store", setting="default").below(MOST)


def of_another(way, **levels):
    """Return the levels of what a kernel's client sees of another kernel's change."""
    who = dict(system="nfsd kernel", mount="ordinary", changed_by="another client")
    return {**who, "way": way, **levels}


@claim(
    "C140",
    experiment="multiprotocol/close_to_open",
    matters_to="programs on two machines that pass files through NFS",
)
def two_kernels_keep_close_to_open(results):
    """Between two kernels' clients of the kernel's NFS server, whoever opens a file after the other
    closed it reads the new content, within a second of looks."""
    return results.estimate("delay_s", **of_another("content")).below(1.0)


@claim(
    "C141",
    experiment="multiprotocol/close_to_open",
    matters_to="programs that poll a file's size or time over NFS",
)
def a_stat_is_stale_no_longer_than_acregmax(results):
    """With ordinary options, stat shows the old size for no longer than acregmax, a minute, after
    another kernel's client wrote the file."""
    return results.estimate("overdue", **of_another("size")).below(MOST)


@claim(
    "C142",
    experiment="multiprotocol/close_to_open",
    matters_to="programs that wait for a file to appear over NFS",
)
def an_absent_name_stays_absent_no_longer_than_acdirmax(results):
    """With ordinary options, a name that was absent stays so for no longer than acdirmax, a minute,
    after another kernel's client made it."""
    return results.estimate("overdue", **of_another("absent")).below(MOST)


@claim(
    "C143",
    experiment="multiprotocol/close_to_open",
    matters_to="whoever chooses between freshness and fewer requests by mount options",
)
def a_stale_stat_lasts_as_long_as_the_mount_allows(results):
    """With actimeo=1, stat shows the old size for less than two seconds: the second that the mount
    allows, and one for our looks."""
    return results.estimate("overdue", **of_another("size", mount="actimeo=1")).below(MOST)


@claim(
    "C144",
    experiment="multiprotocol/close_to_open",
    matters_to="users of a kernel's NFS server over a folder that S3 writes",
)
def an_open_sees_a_put_no_later_than_acdirmax(results):
    """With ordinary options, an open reads the old content for no longer than acdirmax, a minute,
    after a PUT replaced the file behind the kernel's server."""
    return results.estimate("overdue", **of_another("content", changed_by="s3")).below(MOST)
