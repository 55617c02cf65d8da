"""Fill folders with samples of 64 B, one file per sample.

    python -m experiments.training_io.data.many_files FOLDER COUNT...

makes FOLDER/objects-COUNT for each count. The number of a sample determines its name and content.
"""

import os
import sys
from pathlib import Path

from experiments.training_io.data import samples

SAMPLE_BYTES = 64


def name(number):
    return f"{number:07d}"


def make(folder, count):
    """Write samples 0 to `count` - 1 into a new folder."""
    folder.mkdir(parents=True)
    place = os.open(folder, os.O_RDONLY)
    try:
        for number in range(count):
            # `dir_fd` saves the kernel a million lookups of the folder's path.
            file = os.open(name(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=place)
            written = os.write(file, samples.content(number, SAMPLE_BYTES))
            os.close(file)
            if written != SAMPLE_BYTES:
                raise OSError(f"{written} of {SAMPLE_BYTES} B of sample {number} could be written")
    finally:
        os.close(place)


def main(folder, *counts):
    for count in map(int, counts):
        make(Path(folder) / f"objects-{count}", count)


if __name__ == "__main__":
    main(*sys.argv[1:])
