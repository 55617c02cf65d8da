"""Which cells of rdma/fabric make sense."""

from experiments.systems import ucx

KIB = 1024
LOOP, PERFTEST = "fabric", "ucx_perftest"
BANDWIDTH_SIZES = (4 * KIB, 256 * KIB)  # with more than one operation outstanding


def valid(cell):
    if cell.transport == "null":  # the loop around nothing has the same floor in every cell
        return (cell.operation, cell.size_bytes, cell.outstanding, cell.tool) == (
            "get",
            4 * KIB,
            1,
            LOOP,
        )
    operation = plain(cell.operation)
    if operation == "get" and cell.operation != ucx.read_level("get", cell.transport):
        return False
    if cell.tool == PERFTEST and (cell.size_bytes != 4 * KIB or cell.outstanding > 1):
        return False
    if cell.outstanding > 1 and cell.size_bytes not in BANDWIDTH_SIZES:
        return False
    if cell.transport in ucx.SOFT_ROCE and not _is_soft(cell):
        return False
    return ucx.supported(cell.transport, operation, cell.size_bytes, cell.outstanding)


def plain(operation):
    """Return the operation as the programs name it: whether UCX emulates it is UCX's choice."""
    return operation.removesuffix(ucx.EMULATED)


def _is_soft(cell):
    """Return whether the emulated machine measures this cell: a small one, by our own loop."""
    return cell.tool == LOOP and cell.size_bytes <= 4 * KIB and cell.outstanding in (1, 16)
