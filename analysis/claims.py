"""Claims on transports between processes.

`benchpaper claims --history` says when each was written.
"""

from benchpaper import claim

LATENCY_4K = dict(tool="fabric", outstanding=1, size_bytes=4096)


def emulated_get(results):
    """Return the level of reads that UCX emulates; older results call them `get`, like all."""
    level = "get-emulated"
    return level if results.declares(operation=level) else "get"


@claim(
    "C1", experiment="rdma/fabric", matters_to="designers of stores that readers share memory with"
)
def reads_within_a_host_take_less_than_a_microsecond(results):
    """Within a host, UCX's get of 4 KiB over shared memory, which UCX carries out by messages,
    takes less than a microsecond at the median."""
    get = emulated_get(results)
    return results.estimate("latency_us", transport="posix", operation=get, **LATENCY_4K).below(1.0)


@claim("C2", experiment="rdma/fabric", matters_to="whoever puts client and server on one host")
def the_network_stack_costs_a_factor_of_ten(results):
    """Between two processes of one host, a 4 KiB message over tcp takes more than ten times as long
    as over shared memory."""
    tcp, posix = dict(transport="tcp"), dict(transport="posix")
    return results.ratio("latency_us", of=tcp, to=posix, operation="message", **LATENCY_4K).above(
        10.0
    )


@claim(
    "C3",
    experiment="rdma/fabric",
    matters_to="whoever cannot share memory, and reads another process through the kernel",
)
def the_kernels_copy_is_slower_than_shared_memory(results):
    """A one-sided read of 4 KiB through the kernel's copy (cma) takes longer than UCX's emulation
    of one over shared memory."""
    cma = dict(transport="cma", operation="get")
    posix = dict(transport="posix", operation=emulated_get(results))
    return results.ratio("latency_us", of=cma, to=posix, **LATENCY_4K).above(1.0)


@claim("C4", experiment="rdma/fabric", matters_to="whoever chooses between the two interfaces")
def both_kinds_of_shared_memory_are_the_same(results):
    """POSIX and System V shared memory do not differ in the latency of a 4 KiB message by more than
    a quarter."""
    sysv, posix = dict(transport="sysv"), dict(transport="posix")
    return results.ratio("latency_us", of=sysv, to=posix, operation="message", **LATENCY_4K).equal(
        margin=0.25
    )


@claim("C5", experiment="rdma/fabric", matters_to="designers of stores over RDMA")
def reads_through_an_adapter_take_less_than_five_microseconds(results):
    """Through an RDMA adapter, a one-sided read of 4 KiB takes less than five microseconds at the
    median."""
    return results.estimate("latency_us", transport="rc", operation="get", **LATENCY_4K).below(5.0)


@claim("C6", experiment="rdma/fabric", kind="check")
def an_independent_tool_agrees(results):
    """For a 4 KiB message over tcp, our loop and ucx_perftest agree to within a tenth at the
    median."""
    ours, theirs = dict(tool="fabric"), dict(tool="ucx_perftest")
    levels = dict(transport="tcp", operation="message", size_bytes=4096, outstanding=1)
    return results.ratio("median_us", of=ours, to=theirs, **levels).equal(margin=0.10)


@claim(
    "C7", experiment="rdma/fabric", matters_to="whoever promises a latency over loopback sockets"
)
def tcp_has_a_tail(results):
    """The 99th percentile of a 4 KiB message over tcp stays below ten microseconds."""
    return results.estimate(
        "latency_us", q=0.99, transport="tcp", operation="message", **LATENCY_4K
    ).below(10.0)
