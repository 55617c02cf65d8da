"""Fill folders with samples of 64 B, one file per sample.

    python -m experiments.training_io.data.many_files FOLDER SAMPLES COUNT...

makes FOLDER/objects-COUNT for each count. The number of a sample determines its name and content.
Beyond the first SAMPLES, names are further hard links to them, in turn: ten million inodes would
take gigabytes and a listing reads names alone. What reads or asks after each file would differ.
"""

import os
import sys
from pathlib import Path

from experiments.training_io.data import samples

SAMPLE_BYTES = 64


def name(number):
    return f"{number:07d}"


def make(folder, count, distinct=None):
    """Write samples 0 to `count` - 1 into a new folder, under names of their own.

    With `distinct`, name n beyond it is a link to sample n modulo `distinct`. ext4 lets a file have
    65,000 links.
    """
    distinct = distinct or count
    folder.mkdir(parents=True)
    place = os.open(folder, os.O_RDONLY)
    try:
        for number in range(min(distinct, count)):
            # `dir_fd` saves the kernel a million lookups of the folder's path.
            file = os.open(name(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=place)
            written = os.write(file, samples.content(number, SAMPLE_BYTES))
            os.close(file)
            if written != SAMPLE_BYTES:
                raise OSError(f"{written} of {SAMPLE_BYTES} B of sample {number} could be written")
        for number in range(distinct, count):
            os.link(name(number % distinct), name(number), src_dir_fd=place, dst_dir_fd=place)
    finally:
        os.close(place)


def main(folder, distinct, *counts):
    for count in map(int, counts):
        make(Path(folder) / f"objects-{count}", count, int(distinct))


if __name__ == "__main__":
    main(*sys.argv[1:])
