"""Is each key's history linearizable? `python -m experiments.multiprotocol.checker --help`."""
