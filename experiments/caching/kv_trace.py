"""The KV-cache trace that the user gives: the conversation trace published with Mooncake (FAST '25), by its digest.

It is not part of this project. $BENCHPAPER_KV_TRACE names the file (mooncake_conversation_trace.jsonl of the repository
kvcache-ai/Mooncake); a cell that reads it is not testable where the variable, the file or its content is another.
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
    f"set {VARIABLE} to the path of mooncake_conversation_trace.jsonl from the repository kvcache-ai/Mooncake",
)
def check():
    """Return (whether the user's file is the trace that is meant, why not)."""
    given = path()
    if given is None:
        return False, f"{VARIABLE} is not set"
    try:
        state = given.stat()
        found = _digest(str(given), state.st_mtime_ns, state.st_size)
    except OSError as error:
        return False, f"{VARIABLE}: {error.strerror}"
    if found != SHA256:
        return (
            False,
            f"the file of {VARIABLE} has SHA-256 {found[:16]}..., the trace has {SHA256[:16]}...",
        )
    return True, "the trace, by its digest"


def blocks(path):
    """Return the ids (int64, from 1 on) of all blocks in the order in which requests want them."""
    with open(path) as lines:
        lists = [json.loads(line)["hash_ids"] for line in lines]
    ids = np.concatenate([np.asarray(one, dtype=np.int64) for one in lists])
    return np.unique(ids, return_inverse=True)[1].astype(np.int64) + 1
