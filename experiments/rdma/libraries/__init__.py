"""One-sided reads through libfabric: the program `fi_reads`, and what runs it."""
