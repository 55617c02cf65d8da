/* The command line. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum path { PATH_MEMCPY, PATH_GET, PATH_CACHED, PATH_LOOKUP, PATH_MESSAGE, PATH_NULL, PATH_BOUND, PATH_TOGETHER, PATHS };
enum fault { FAULT_NONE, FAULT_TRUNCATE, FAULT_GEOMETRY, FAULT_DEREGISTER, FAULTS };
extern const char *const path_names[], *const fault_names[];

struct options {
    enum command { SERVE, MEASURE, SPIN, SHELL, PUT, COMMANDS } command;
    const char *host, *port, *samples, *counters, *log, *replicas;
    enum path path;
    enum fault fault;
    bool sleeping, unvalidated, write, resize, handle_errors, sync;
    uint64_t size, outstanding, batch, iterations, warmup, objects, preload, capacity, heap_mib, seed, targets;
    double max_seconds, lease_s, patience;
    int cpu;
    char **rest; /* of the shell */
};

struct options parse_options(int argc, char **argv);
