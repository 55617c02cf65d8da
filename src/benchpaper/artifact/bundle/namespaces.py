"""Two ways to start a program in namespaces of its own, with few folders and no privileges.

`bubblewrap` is a program made for that. `util_linux` does the same with tools of every Linux.
Both return the words before a command. `readable` and `writable` are {path inside: path outside};
`folder` is where the command starts, inside.

As root, they make no user namespace, because root's files would still be root's in it. They become
another user instead, after mounting what that user alone could not reach.
"""

import os
from collections.abc import Mapping
from pathlib import Path

NOBODY = 65534  # user and group inside; as root, outside too
TO_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"),
)
# Arguments: the folder to start in; KIND SOURCE PATH for each mount; "--"; the command.
# The new root is a file system in memory. It covers /sys, where no source of a mount lies.
SCRIPT = r"""
folder=$1; shift
root=/sys
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs $root
mkdir $root/proc $root/dev $root/tmp
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs $root/tmp
for name in null zero full random urandom; do
    : > $root/dev/$name
    mount --bind /dev/$name $root/dev/$name
done
ln -s /proc/self/fd $root/dev/fd
mkdir -m 1777 $root/dev/shm
mount -t tmpfs -o mode=1777,nosuid,nodev,noexec tmpfs $root/dev/shm
while [ "$1" != -- ]; do
    kind=$1 source=$2 path=$root$3; shift 3
    mkdir -p "${path%/*}"
    if [ $kind = link ]; then
        ln -s "$source" "$path"
        continue
    fi
    if [ -d "$source" ]; then mkdir -p "$path"; else : > "$path"; fi
    mount --bind "$source" "$path"
    [ $kind = write ] || mount -o remount,bind,ro,nosuid,nodev "$path"
done
shift
mount -t proc -o nosuid,nodev,noexec proc $root/proc
cd $root
pivot_root . .
umount -l .
mount -o remount,bind,ro,nosuid,nodev /
cd "$folder"
unset OLDPWD
exec "$@"
"""


def bubblewrap(
    readable: Mapping[str, Path], writable: Mapping[str, Path], folder: str
) -> list[str]:
    words = ["bwrap", "--die-with-parent", "--new-session", "--chdir", folder]
    words += [f"--unshare-{kind}" for kind in ("pid", "net", "ipc", "uts", "cgroup-try")]
    if os.geteuid():
        words += ["--unshare-user", "--disable-userns", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    else:
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            words += ["--cap-add", capability]
    words += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"]
    mounts = _mounts(readable, writable)
    for folder in sorted({str(parent) for _, _, path in mounts for parent in Path(path).parents}):
        words += ["--dir", folder]  # readable for all, unlike those that bubblewrap adds itself
    for kind, source, path in mounts:
        words += [{"link": "--symlink", "read": "--ro-bind", "write": "--bind"}[kind], source, path]
    return [*words, "--remount-ro", "/", "--", *(() if os.geteuid() else TO_NOBODY)]


def util_linux(
    readable: Mapping[str, Path], writable: Mapping[str, Path], folder: str
) -> list[str]:
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--ipc", "--uts"]
    user = ["--user", "--map-root-user"] if os.geteuid() else []
    mounts = [word for mount in _mounts(readable, writable) for word in mount]
    # Inside the namespace of the mounts, one more makes root of the first an ordinary user.
    nobody = ["unshare", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
    lowered = [*nobody, "setpriv", "--no-new-privs", "--"] if os.geteuid() else TO_NOBODY
    return [*words, *user, "/bin/sh", "-ec", SCRIPT, "sandbox", folder, *mounts, "--", *lowered]


def _mounts(
    readable: Mapping[str, Path], writable: Mapping[str, Path]
) -> list[tuple[str, str, str]]:
    """Return (kind, source, path inside); a link of the system, such as /bin, stays a link."""
    links = {path for path, source in readable.items() if source.is_symlink()}
    return [
        *(("link", os.readlink(path), path) for path in readable if path in links),
        *(("read", str(source), path) for path, source in readable.items() if path not in links),
        *(("write", str(source), path) for path, source in writable.items()),
    ]
