/* The result: what each side saw, the file of samples and the JSON. */
#pragma once
#include "transport.h"

/* What a loop of the client recorded, in ticks. While an operation is in flight its sample is the moment of its post. */
struct timing {
    uint64_t *samples, done, began, ended, limit;
};

/* What one side saw and spent during a phase. */
struct report {
    uint64_t operations, bytes, verified;
    double cpu_s;
};

struct evidence {
    struct report client, server;
    char protocol[512]; /* UCX's own words on how it does the operation */
};

struct report report(const struct transport *t, uint64_t done, double cpu_s);
void write_samples(const struct timing *timing, const char *path, double ns_per_tick);

/* The JSON object in two parts: of any measurement, and of one with another side. */
void print_timing(const struct plan *plan, const struct timing *timing, double ns_per_tick, double cpu_s);
void print_evidence(const struct transport *t, const struct evidence *evidence);
