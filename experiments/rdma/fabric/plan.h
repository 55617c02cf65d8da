/* The plan: what to measure, from the command line of the client, and from there to the server. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum operation { PUT, GET, MESSAGE, NOTHING };
extern const char *const operation_names[];

/* It is sent as it is: both sides are x86-64. */
struct plan {
    uint32_t operation, outstanding;
    uint64_t size, iterations, warmup;
    double max_seconds;
};

struct options {
    enum command { SERVE, MEASURE, MEASURE_NOTHING, COMMANDS } command;
    struct plan plan;
    const char *host, *port, *samples;
    int cpu;
};

/* Does the other side answer each operation with one of its own? */
static inline bool answered(const struct plan *plan)
{
    return plan->outstanding == 1 && (plan->operation == PUT || plan->operation == MESSAGE);
}

struct options parse_options(int argc, char **argv);
bool plan_in_bounds(const struct plan *plan); /* of a plan that came from the other side */
