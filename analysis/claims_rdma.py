"""Claims on the store with one-sided reads.

`benchpaper claims --history` says when each was written.
"""

from benchpaper import claim, gap

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
    """Such a read takes no longer than copying as many bytes from shared memory, their checksum by
    itself, and a twentieth of a microsecond."""
    share = "share_of_native_bound"
    if not results.declares(share):
        old = gap("the results are older than this bound", metric="share_of_bound")
        return old.below(1.0)
    return results.estimate(share, path="bound", **SHARED_MEMORY).below(1.0)


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


@claim(
    "C70",
    experiment="rdma/latency_budget",
    matters_to="whoever pays for lower latency to train faster",
    after_trial_runs=True,
)
def a_training_loop_hides_the_latency_of_object_storage(results):
    """At the rate of ResNet-50, a real loop with four GETs in flight over S3 takes less than 5 %
    longer for a step than over memory, so a store that answers in a microsecond gains no more."""
    s3, memory = dict(way="s3-rclone"), dict(way="null")
    levels = dict(workload="resnet50", latency_us=0.0, depth=4)
    return results.ratio("step_ms", of=s3, to=memory, **levels).below(1.05)


@claim(
    "C71",
    experiment="rdma/latency_budget",
    matters_to="whoever plans storage by simulation",
    after_trial_runs=True,
)
def the_simulation_tells_what_a_real_loop_loses(results):
    """Over S3 with one GET in flight, the share of its time that such a loop loses is within 5
    percentage points of what the simulation makes of its GETs."""
    levels = dict(workload="resnet50", way="s3-rclone", latency_us=0.0, depth=1)
    return results.estimate("off_by", **levels).below(0.05)


@claim(
    "C72",
    experiment="rdma/latency_budget",
    matters_to="whoever pays for lower latency to train faster",
    after_trial_runs=True,
)
def half_a_millisecond_is_hidden(results):
    """Over a store whose GETs take half a millisecond, such a loop with four GETs in flight waits
    for less than 3 % of its time."""
    levels = dict(workload="resnet50", way="known", latency_us=500.0, depth=4)
    return results.estimate("stall_share", **levels).below(0.03)


@claim(
    "C73",
    experiment="rdma/record_layout",
    matters_to="designers of records that readers validate",
    after_trial_runs=True,
)
def two_versions_do_not_find_torn_records(results):
    """A version before and one after a record of 4 KiB, whose lines are read in any order, miss
    more than one in a hundred torn reads."""
    levels = dict(size_bytes=4096, order="shuffled", writer="full speed")
    return results.estimate("missed_share", layout="two-versions", **levels).above(0.01)


@claim(
    "C74",
    experiment="rdma/record_layout",
    matters_to="designers of records that readers validate",
    after_trial_runs=True,
)
def sums_are_cheaper_than_versions_in_lines(results):
    """To check and copy 4 KiB takes no longer with our store's sums than with a version in each
    line."""
    sums, lines = dict(layout="sums"), dict(layout="per-line")
    levels = dict(size_bytes=4096, order="in-order", writer="none")
    return results.ratio("check_us", of=sums, to=lines, **levels).below(1.0)


@claim(
    "C75",
    experiment="rdma/durable_put",
    matters_to="whoever chooses how to keep what a PUT acknowledged",
    after_trial_runs=True,
)
def a_second_memory_is_cheaper_than_a_disk(results):
    """A PUT of 4 KiB that is acknowledged once two more processes hold it takes less than a tenth
    of the time of one that is synced to a log."""
    replicas, log = dict(kept="two replicas"), dict(kept="synced log")
    levels = dict(fabric="posix", size_bytes=4096)
    return results.ratio("latency_us", of=replicas, to=log, **levels).below(0.1)


@claim(
    "C76",
    experiment="rdma/multi_get",
    matters_to="whoever reads many small objects at once",
    after_trial_runs=True,
)
def asking_for_many_is_cheaper_for_each(results):
    """Over shared memory, a key costs less than half as much in a batch of 16 messages as in a
    message by itself."""
    sixteen, one = dict(keys=16), dict(keys=1)
    levels = dict(path="message", fabric="posix", readers=1)
    return results.ratio("us_per_key", of=sixteen, to=one, **levels).below(0.5)


@claim(
    "C77",
    experiment="rdma/multi_get",
    matters_to="whoever chooses between one-sided reads and batches of requests",
    after_trial_runs=True,
)
def a_batch_of_messages_does_not_reach_a_read(results):
    """Even so, such a key takes longer than one that is read at a known address, in a batch of as
    many."""
    message, cached = dict(path="message"), dict(path="cached")
    levels = dict(fabric="posix", keys=16, readers=1)
    return results.ratio("us_per_key", of=message, to=cached, **levels).above(1.0)


@claim(
    "C124",
    experiment="rdma/multi_get",
    matters_to="whoever lets several workers of a host read from one store",
)
def a_second_reader_gets_as_much_again(results):
    """Two one-sided readers that begin together, in batches of 16, get more than one and a half
    times as many objects per second as one, because the server takes no core."""
    if not results.declares("reader_cores"):
        old = gap("the results are older than the placement of readers", metric="gets_per_s")
        return old.above(1.5)
    levels = dict(path="cached", fabric="posix", keys=16)
    return results.ratio("gets_per_s", of=dict(readers=2), to=dict(readers=1), **levels).above(1.5)


@claim(
    "C125",
    experiment="rdma/libraries",
    matters_to="whoever chooses a library for one-sided reads within a host",
)
def another_library_reads_as_fast(results):
    """Where the kernel copies between processes, libfabric reads 4 KiB in less than twice the time
    that UCX takes."""
    fi, ucp = dict(read="fi_read"), dict(read="ucp_get")
    levels = dict(fabric="cma", size_bytes=4096, into="host")
    return results.ratio("latency_us", of=fi, to=ucp, **levels).below(2.0)


@claim(
    "C126",
    experiment="rdma/object_get",
    matters_to="users of transfer libraries over tcp",
    after_trial_runs=True,
)
def a_message_is_faster_than_nixl(results):
    """Over tcp, asking our polling server for a 4 KiB object takes no longer than reading it
    through NIXL, whose library carries out the read by messages."""
    ours, theirs = dict(path="message"), dict(path="nixl-emulated")
    return results.ratio("latency_us", of=ours, to=theirs, fabric="tcp", **PLAIN_4K).below(1.0)


@claim(
    "C127",
    experiment="rdma/object_get",
    matters_to="users of stores of key-value caches over tcp",
    after_trial_runs=True,
)
def a_message_is_faster_than_mooncake(results):
    """Over tcp, asking our polling server for a 4 KiB object takes no longer than a GET from
    Mooncake's store."""
    ours, theirs = dict(path="message"), dict(path="mooncake")
    return results.ratio("latency_us", of=ours, to=theirs, fabric="tcp", **PLAIN_4K).below(1.0)
