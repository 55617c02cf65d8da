"""Checkpoints as training frameworks lay them out: the files of a step, with their bytes.

    torch           one zip file of stored members, each tensor's bytes at a multiple of 64 B
    safetensors     one file: the length of a JSON header, the header, the tensors
    sharded         four such files and an index, under the same names at every step
    sharded-by-step the same, but shards have the step in their names; the index is written last
                    and tells which step counts

The bytes of tensors are random, and different at each step. The formats are written here from their
descriptions; no framework is needed to read them.
"""

import io
import json
import random
import struct
import zipfile

LAYOUTS = ("torch", "safetensors", "sharded", "sharded-by-step")
SHARDS, TENSORS = 4, 8  # tensors in a checkpoint
ALIGNED = 64
INDEX = "model.safetensors.index.json"


def files(layout: str, step: int, size: int) -> dict[str, bytes]:
    """Return {name: bytes} of a checkpoint whose tensors have about `size` bytes, index last."""
    tensors = _tensors(step, size)
    if layout == "torch":
        return {"checkpoint.pt": _torch(tensors)}
    if layout == "safetensors":
        return {"model.safetensors": _safetensors(tensors)}
    prefix = f"model-{step:06d}" if layout == "sharded-by-step" else "model"
    names = [
        f"{prefix}-{number:05d}-of-{SHARDS:05d}.safetensors" for number in range(1, SHARDS + 1)
    ]
    parts = [dict(list(tensors.items())[number::SHARDS]) for number in range(SHARDS)]
    shards = {name: _safetensors(part) for name, part in zip(names, parts, strict=True)}
    where = {tensor: name for name, part in zip(names, parts, strict=True) for tensor in part}
    index = {"metadata": {"total_size": size}, "weight_map": where}
    return {**shards, INDEX: json.dumps(index, indent=2).encode()}


def _tensors(step: int, size: int) -> dict[str, bytes]:
    each = size // TENSORS
    return {
        f"layers.{number}.weight": random.Random(f"{step} {number}").randbytes(each)
        for number in range(TENSORS)
    }


def _torch(tensors: dict[str, bytes]) -> bytes:
    """Return a zip file as torch.save writes one: a record of names, then a member per tensor."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("checkpoint/data.pkl", json.dumps(list(tensors)))
        for number, data in enumerate(tensors.values()):
            member = zipfile.ZipInfo(f"checkpoint/data/{number}")
            head = packed.tell() + 30 + len(member.filename) + 4
            padding = -head % ALIGNED
            member.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
            archive.writestr(member, data)
        archive.writestr("checkpoint/version", "3\n")
    return packed.getvalue()


def _safetensors(tensors: dict[str, bytes]) -> bytes:
    header, begin = {}, 0
    for name, data in tensors.items():
        end = begin + len(data)
        header[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(tensors.values())
