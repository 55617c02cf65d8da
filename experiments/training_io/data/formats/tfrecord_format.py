"""TFRecord files, read one shard per request.

A record has its length (8 B), the masked CRC-32C of the length, the data, and the masked CRC-32C of
the data, all little-endian. tensorflow/core/lib/io/record_writer.h and hash/crc32c.h define it.
"""

import struct

import google_crc32c

from experiments.training_io.data.formats.shards import WrongFile, shards

LENGTH, CRC = struct.Struct("<Q"), struct.Struct("<I")
MASK_DELTA = 0xA282EAD8


def masked_crc(data):
    """Return the CRC-32C of `data`, rotated right by 15 bits, plus a constant.

    TensorFlow masks checksums because a CRC of data that contains CRCs would be weak.
    """
    crc = google_crc32c.value(bytes(data))
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def frame(data):
    """Return the bytes of one record in a file."""
    length = LENGTH.pack(len(data))
    return b"".join([length, CRC.pack(masked_crc(length)), data, CRC.pack(masked_crc(data))])


def records(data):
    """Yield the records in a file's bytes. Raises `WrongFile` at a cut or a wrong checksum."""
    view, place = memoryview(data), 0
    while place < len(view):
        if place + 12 > len(view):
            raise WrongFile(f"a TFRecord file ends within a record's head, at byte {len(view)}")
        (length,) = LENGTH.unpack_from(view, place)
        if CRC.unpack_from(view, place + 8)[0] != masked_crc(view[place : place + 8]):
            raise WrongFile(
                f"the length at byte {place} of a TFRecord file does not match its checksum"
            )
        end = place + 12 + length
        if end + 4 > len(view):
            raise WrongFile(f"a TFRecord file ends within the record at byte {place}")
        record = view[place + 12 : end]
        if CRC.unpack_from(view, end)[0] != masked_crc(record):
            raise WrongFile(
                f"the record at byte {place} of a TFRecord file does not match its checksum"
            )
        yield record
        place = end + 4


def write(folder, samples, per_shard):
    for number, group in enumerate(shards(samples, per_shard)):
        (folder / f"{number:05d}.tfrecord").write_bytes(b"".join(map(frame, group)))


def units(store):
    return [name for name in store.list() if name.endswith(".tfrecord")]


def read(store, unit):
    return list(records(store.get(unit)))
