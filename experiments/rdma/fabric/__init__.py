"""Fabric measurement; the store shares its clock (`clock.c`, `clock.h`)."""
