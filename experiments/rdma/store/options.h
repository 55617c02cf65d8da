/* The command line. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum path { PATH_MEMCPY, PATH_GET, PATH_CACHED, PATH_LOOKUP, PATH_MESSAGE, PATH_NULL, PATH_BOUND, PATHS };
enum fault { FAULT_NONE, FAULT_TRUNCATE, FAULT_GEOMETRY, FAULTS };
extern const char *const path_names[], *const fault_names[];

struct options {
    enum command { SERVE, MEASURE, SPIN, SHELL, COMMANDS } command;
    const char *host, *port, *samples;
    enum path path;
    enum fault fault;
    bool sleeping, unvalidated, write, resize;
    uint64_t size, outstanding, iterations, warmup, objects, preload, capacity, heap_mib, seed, targets;
    double max_seconds, lease_s;
    int cpu;
    char **rest; /* of the shell */
};

struct options parse_options(int argc, char **argv);
