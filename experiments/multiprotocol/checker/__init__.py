"""Linearizability checker; run `python -m experiments.multiprotocol.checker --help`."""
