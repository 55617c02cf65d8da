"""The user's copy of the KV-cache conversation trace published with Mooncake (FAST '25).

This project does not include the trace. $BENCHPAPER_KV_TRACE names the user's file, which is
mooncake_conversation_trace.jsonl in the repository kvcache-ai/Mooncake. The file must have the
known digest; otherwise the cells that read it are not testable.
"""

import hashlib
import json
import os
from functools import cache
from pathlib import Path

import numpy as np

from benchpaper import capability

VARIABLE = "BENCHPAPER_KV_TRACE"
SHA256 = "b8cbb061a85206d729d91cdc2981f43c9e0d99209dce588d3af5f7934408b9df"


def path():
    """Return the user's path to the trace, or None."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else None


@cache
def _digest(path, _changed, _size):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@capability(
    "kv_trace",
    "the conversation trace published with Mooncake",
    f"set {VARIABLE} to the path of mooncake_conversation_trace.jsonl "
    "from the repository kvcache-ai/Mooncake",
)
def check():
    """Return (whether the user's file has the trace's digest, the reason)."""
    given = path()
    if given is None:
        return False, f"{VARIABLE} is not set"
    try:
        state = given.stat()
        digest = _digest(str(given), state.st_mtime_ns, state.st_size)
    except OSError as error:
        return False, f"{VARIABLE}: {error.strerror}"
    if digest != SHA256:
        return (
            False,
            f"the file of {VARIABLE} has SHA-256 {digest[:16]}..., the trace has {SHA256[:16]}...",
        )
    return True, "the trace, by its digest"


def blocks(path):
    """Return the ids (int64, starting at 1) of all blocks, in the order of the requests."""
    with open(path) as lines:
        lists = [json.loads(line)["hash_ids"] for line in lines]
    ids = np.concatenate([np.asarray(ids_of_request, dtype=np.int64) for ids_of_request in lists])
    return np.unique(ids, return_inverse=True)[1].astype(np.int64) + 1
