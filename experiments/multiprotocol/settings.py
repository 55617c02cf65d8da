"""The systems' options at three cache settings.

strict switches caching off, or down as far as the system allows. default is what its makers ship.
relaxed trusts remembered data for longer, as one does for speed. A setting exists only where the
system has a knob for it.
"""

from typing import Any

SETTINGS = ("strict", "default", "relaxed")
FEWER = ("strict", "default")
ONLY_DEFAULT = ("default",)


def _juicefs(seconds: int) -> list[str]:
    names = ("--attr-cache", "--entry-cache", "--dir-entry-cache", "--open-cache")
    return [word for name in names for word in (name, f"{seconds}s")]


RCLONE_S3 = {
    # With 0s, the S3 server of rclone 1.75.2 takes seconds to overwrite an object, or hangs.
    "strict": ["--dir-cache-time", "1ms"],
    "default": [],
    "relaxed": ["--vfs-cache-mode", "full", "--dir-cache-time", "1h"],
}
RCLONE_NFS = {
    "strict": ["--vfs-write-back", "0s", "--dir-cache-time", "1ms"],
    "default": [],
    "relaxed": ["--vfs-write-back", "10s", "--dir-cache-time", "1h"],
}
RCLONE_MOUNT: dict[str, dict[str, Any]] = {
    "strict": dict(options=["--dir-cache-time", "1ms", "--attr-timeout", "0s"]),
    "default": {},
    "relaxed": dict(cache_mode="full", options=["--dir-cache-time", "1h"]),
}
S3FS = {"strict": ["-o", "max_stat_cache_size=0"], "default": []}
JUICEFS = {"strict": _juicefs(0), "default": [], "relaxed": _juicefs(10)}
SEAWEEDFS = {
    "strict": ["-cacheMetaTtlSec", "0", "-cacheCapacityMB", "0"],
    "default": [],
    "relaxed": ["-cacheMetaTtlSec", "600", "-writebackCache"],
}
GANESHA: dict[str, dict[str, Any]] = {
    "strict": dict(attribute_seconds=0, cache="Dir_Chunk = 0;"),
    "default": dict(attribute_seconds=60),
    "relaxed": dict(attribute_seconds=600),
}
OF = {
    "rclone": SETTINGS,
    "juicefs": SETTINGS,
    "seaweedfs": SETTINGS,
    "ganesha": SETTINGS,
    "rgw": FEWER,
    "rclone mount": SETTINGS,
    "s3fs": FEWER,
    # Two gateways side by side are as their makers ship them.
    "juicefs gateways": ONLY_DEFAULT,
    "seaweedfs filers": ONLY_DEFAULT,
    "rclone gateways": ONLY_DEFAULT,
}
WRITE_BACK_S = {
    ("rclone", "default"): 5,
    ("rclone", "relaxed"): 10,
    ("rclone mount", "relaxed"): 5,
    ("seaweedfs", "relaxed"): 5,
}


def write_back_s(server: str, setting: str) -> float:
    """Return after how many seconds a file write may still undo what S3 clients wrote meanwhile."""
    return float(WRITE_BACK_S.get((server, setting), 0))
