"""What the formats have in common: shards of samples, and files that violate their format."""


class WrongFile(RuntimeError):
    """A file violates its format."""


def shards(samples, per_shard):
    """Yield lists of up to `per_shard` samples."""
    group = []
    for sample in samples:
        group.append(sample)
        if len(group) == per_shard:
            yield group
            group = []
    if group:
        yield group
