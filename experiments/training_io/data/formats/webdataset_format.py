"""WebDataset's tar files, written and read by the webdataset library, one shard per request."""

import io

from experiments.training_io.data.formats.shards import shards


def write(folder, samples, per_shard):
    from webdataset.writer import TarWriter

    number = 0
    for shard, group in enumerate(shards(samples, per_shard)):
        with TarWriter(str(folder / f"{shard:05d}.tar"), mtime=0) as tar:
            for sample in group:
                tar.write({"__key__": f"{number:07d}", "bin": sample})
                number += 1


def units(store):
    return [name for name in store.list() if name.endswith(".tar")]


def read(store, unit):
    from webdataset.tariterators import group_by_keys, tar_file_iterator

    files = (dict(entry, __url__=unit) for entry in tar_file_iterator(io.BytesIO(store.get(unit))))
    return [sample["bin"] for sample in group_by_keys(files)]
