"""Claims on the store with one-sided reads.

`benchpaper claims --history` says when each was written.
"""

from benchpaper import claim

PLAIN_4K = dict(size_bytes=4096, outstanding=1, readers=1, writer="none", objects=0)
SHARED_MEMORY = dict(fabric="posix", **PLAIN_4K)


@claim("C11", experiment="rdma/object_get", matters_to="designers of object stores for training")
def an_object_is_read_within_a_microsecond(results):
    """Within a host, a validated read of a 4 KiB object at a known address takes less than a
    microsecond at the median."""
    return results.estimate("latency_us", path="cached", **SHARED_MEMORY).below(1.0)


@claim(
    "C12",
    experiment="rdma/object_get",
    matters_to="whoever thinks that validation is too dear for one-sided reads",
)
def validation_costs_no_more_than_its_checksum(results):
    """Such a read takes no longer than a raw one-sided read of as many bytes, its checksum by
    itself, and a tenth of a microsecond."""
    return results.estimate("share_of_bound", path="bound", **SHARED_MEMORY).below(1.0)


@claim("C13", experiment="rdma/object_get", kind="check")
def a_lookup_reads_the_index_about_once(results):
    """Among ten million objects, a lookup reads fewer than 1.1 buckets of the index on average."""
    levels = {**SHARED_MEMORY, "size_bytes": 64, "objects": 10**7}
    return results.estimate("index_reads_per_get", path="lookup", **levels).below(1.1)


@claim(
    "C14", experiment="rdma/object_get", matters_to="whoever reads remote memory without validation"
)
def without_validation_objects_are_torn(results):
    """Without validation, a reader under a writer at full speed gets torn objects: more than one in
    a hundred thousand."""
    levels = {**SHARED_MEMORY, "writer": "full speed"}
    return results.estimate("torn_share", path="cached-unvalidated", **levels).above(1e-5)


@claim("C15", experiment="rdma/target_stall", kind="check")
def reading_goes_on_while_the_server_stands_still(results):
    """While the server is stopped, no one-sided read over shared memory waits for half as long as
    the stop takes."""
    return results.estimate("stall_share", path="cached", fabric="posix", server="stopped").below(
        0.5
    )


@claim("C16", experiment="rdma/target_stall", kind="check")
def messages_stand_still_with_the_server(results):
    """While the server is stopped, a read by messages waits for at least nine tenths of it."""
    return results.estimate("stall_share", path="message", fabric="posix", server="stopped").above(
        0.9
    )


@claim(
    "C17",
    experiment="rdma/object_get",
    matters_to="whoever chooses between one-sided reads and requests",
)
def asking_takes_longer_than_reading(results):
    """Over shared memory, asking the polling server for a 4 KiB object takes longer than reading it
    one-sidedly."""
    message, cached = dict(path="message"), dict(path="cached")
    return results.ratio("latency_us", of=message, to=cached, **SHARED_MEMORY).above(1.0)


@claim(
    "C18", experiment="rdma/object_get", matters_to="users of S3 on the host that holds the data"
)
def object_protocols_cost_two_orders_of_magnitude(results):
    """A 4 KiB GET over S3 from a server on the same host takes more than a hundred times as long as
    a one-sided read, with a fast client."""
    s3, cached = dict(path="rclone-obstore", fabric="tcp"), dict(path="cached", fabric="posix")
    return results.ratio("latency_us", of=s3, to=cached, **PLAIN_4K).above(100.0)


@claim(
    "C19",
    experiment="rdma/percentiles",
    matters_to="readers of latencies in papers and data sheets",
)
def one_system_has_many_latencies(results):
    """What tools report as the latency of one system, a GET by messages over tcp, differs more than
    threefold between half of the median and the 99.9th percentile."""
    return results.estimate("spread", path="message", fabric="tcp").above(3.0)
