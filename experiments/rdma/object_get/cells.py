"""Which cells of rdma/object_get make sense."""

from experiments.rdma import get_paths as others
from experiments.systems import ucx

KIB = 1024
ADAPTERS = ("rc", "dc")
# Reads that UCX carries out by messages have levels of their own, because they are not one-sided.
READS = ("ucp_get", "cached", "lookup")
EMULATED = tuple(f"{path}{ucx.EMULATED}" for path in READS)


def valid(cell):
    if cell.objects:
        plain = (cell.outstanding, cell.readers, cell.writer) == (1, 1, "none")
        return plain and (cell.path, cell.fabric, cell.size_bytes) == ("lookup", "posix", 64)
    if cell.path in others.SYSTEMS:
        return others.measured(cell.path, cell.fabric, cell.size_bytes, cell.outstanding) and (
            (cell.readers, cell.writer, cell.objects) == (1, "none", 0)
        )
    if cell.fabric == "unix":
        return False
    if cell.path in (*READS, *EMULATED) and not _is_named_right(cell):
        return False
    if cell.fabric in ucx.SOFT_ROCE:
        return counted(cell)
    if cell.writer != "none":
        return contended(cell)
    if cell.readers > 1:
        here = (cell.fabric, cell.size_bytes, cell.outstanding) == ("posix", 4 * KIB, 1)
        # A second reader takes the server's CPU, so the server must not poll.
        return here and cell.path in ("cached", "lookup")
    if cell.outstanding > 1:
        return pipelined(cell)
    return alone(cell)


def _is_named_right(cell):
    """True if the name of a reading path says whether UCX emulates it over this fabric.

    Over posix only `ucp_get` goes through UCX; the others load from mapped memory.
    """
    plain = cell.path.removesuffix(ucx.EMULATED)
    mapped = cell.fabric == "posix" and plain != "ucp_get"
    return cell.path == (plain if mapped else ucx.read_level(plain, cell.fabric))


def counted(cell):
    """True if an emulated machine counts what a cell does: of 4 KiB and one reader."""
    if (cell.size_bytes, cell.readers) != (4 * KIB, 1):
        return False
    if cell.fabric == ucx.LOSSY:
        return cell.path in ("cached", "message") and (cell.outstanding, cell.writer) == (1, "none")
    if cell.writer != "none":
        return cell.path in ("cached", "cached-unvalidated") and cell.outstanding == 1
    return cell.path in (*READS, "message") and cell.outstanding in (1, 16)


def alone(cell):
    """True if a cell of one reader with one GET in flight makes sense."""
    if (
        cell.path in ("null", "bound", "cached-unvalidated", "message-sleeping")
        and cell.size_bytes != 4 * KIB
    ):
        return False
    if cell.path in ("null", "memcpy", "bound"):
        return cell.fabric == "posix"
    if cell.path == "cached-unvalidated":
        return False
    if cell.path in ("message", "message-sleeping") and cell.fabric == "cma":
        return False  # UCX carries short messages over another transport
    # All sizes only where start-up does not dominate.
    return cell.fabric == "posix" or cell.size_bytes in (4 * KIB, 4096 * KIB)


def contended(cell):
    """True if a cell with a writer makes sense."""
    if (cell.size_bytes, cell.outstanding, cell.readers) != (4 * KIB, 1, 1):
        return False
    paths = {
        "posix": ("cached", "cached-unvalidated", "lookup", "message"),
        "cma": ("cached", "cached-unvalidated"),
    }
    return cell.path in paths.get(cell.fabric, ())


def pipelined(cell):
    """True if a cell with several GETs in flight makes sense.

    A load from mapped memory, or a copy by the kernel, is finished when it returns.
    """
    if cell.size_bytes != 4 * KIB:
        return False
    if cell.fabric == "posix":
        return cell.path == "message"
    plain = cell.path.removesuffix(ucx.EMULATED)
    return cell.fabric in ("tcp", *ADAPTERS) and plain in ("ucp_get", "cached", "message")
