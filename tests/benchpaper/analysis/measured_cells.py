"""Cells and medians of the measured project."""

PIPE_1 = dict(way="pipe", size_bytes=1)
SOCKET_1 = dict(way="socket", size_bytes=1)
