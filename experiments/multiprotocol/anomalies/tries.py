"""Tools for one try of a kind of anomaly: two views, a fresh name, and ways to act and look.

One side acts while the other looks, or until both agree.
"""

import threading
import time

from experiments.multiprotocol.restarts import asking

LARGE = 2 << 20
SETTLE_S = 0.15  # how long a deleted object, or what should stay, is watched
PATIENCE_S = 8.0  # longer than rclone's write-back, 5 s after a file's last use
SETTLED_S = 1.5  # longer than the kernel's cache of JuiceFS, 1 s
RENAMES = 5  # renames in one try, there and back; a listing meets a single one only by chance


class Try:
    """Views and a fresh name for one try.

    A second pair of views serves a thread that acts at the same time. The folder exists. `large` is
    the size of contents that take a while to write. `restart` has the file side's server restarted.
    `patience_s` is for how long a kind may wait until both sides agree.
    """

    def __init__(
        self, views, other, folder, number, large=LARGE, restart=None, patience_s=PATIENCE_S
    ):
        (self.file, self.s3), (self.file2, self.s32) = views, other
        self.patience_s = patience_s
        self._restart = restart or asking(None, print)
        self.top = folder.split("/")[0]  # the only name that the probe makes at the top
        self.folder, self.name, self.number, self.large = (
            folder,
            f"{folder}/n{number}",
            number,
            large,
        )

    def restart(self):
        """Have the server of the file side killed and started again, and connect to it anew."""
        self._restart()
        for file in (self.file, self.file2):
            file.restarted()

    def content(self, version, size=None):
        """Return contents that differ by version in every byte, and by try."""
        unit = b"%d.%d " % (self.number, version)
        return (unit * (size // len(unit) + 1))[:size] if size else unit


def meanwhile(act, look, most_s=3.0):
    """Run `act()` in a thread; return the results of `look()` until it ended."""
    seen, failed = [], []

    def run():
        try:
            act()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    end = time.monotonic() + most_s
    while thread.is_alive() and time.monotonic() < end:
        seen.append(look())
    thread.join(most_s)
    if failed:
        raise failed[0]
    return seen


def answered(look):
    """Return the result of `look()`, or None if it fails.

    A server may refuse to serve what changes meanwhile; that is no anomaly.
    """
    try:
        return look()
    except Exception:
        return None


def there_and_back(file, old, new):
    """Rename back and forth several times, ending at `new`."""
    for number in range(RENAMES):
        file.rename(*((new, old) if number % 2 else (old, new)))


def primed(t):
    """Put version 1 through S3, wait until the file side reads it too, and return its ETag."""
    tag = t.s3.put(t.name, t.content(1))
    end = time.monotonic() + 0.1
    while t.file.read(t.name) != t.content(1) and time.monotonic() < end:
        time.sleep(0.005)
    return tag


def settled(t, content):
    """Wait until both sides read `content`; return whether they do.

    If they do not, some kinds cannot be judged.
    """
    end = time.monotonic() + min(SETTLED_S, t.patience_s)
    while True:
        got = t.s3.get(t.name)
        if got and got[0] == content and t.file.read(t.name) == content:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.01)


def agreed(t):
    """Wait until both sides read the same content; return it, or None if they do not agree."""
    end = time.monotonic() + min(SETTLED_S, t.patience_s)
    while True:
        got, read = t.s3.get(t.name), t.file.read(t.name)
        if got and got[0] == read:
            return read
        if time.monotonic() > end:
            return None
        time.sleep(0.01)


def within(seconds, holds, wanted=True):
    """Look for so long whether `holds()` becomes what is wanted; return its last answer."""
    end = time.monotonic() + seconds
    while True:
        answer = bool(holds())
        if answer == wanted or time.monotonic() > end:
            return answer
        time.sleep(0.02)
