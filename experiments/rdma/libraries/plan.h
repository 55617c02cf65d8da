/* What a run is asked to do, and the objects that both sides know. */
#pragma once
#include "gpu.h"
#include <stdbool.h>
#include <stdint.h>

struct plan {
    const char *provider, *address; /* the local address; "" for shared memory */
    size_t size, objects;
    int cpu;
    enum place place;
    uint64_t reads, seed;
    double limit;
    const char *samples;
};

extern struct plan plan;

void hold(void);
void measure(const char *name, uint64_t base, uint64_t key); /* of the holder */

void pin(void);            /* to the plan's CPU */
void *pages(size_t bytes); /* zeroed */

static inline uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A word of an object's value: no two objects have one in common, but by chance. */
static inline uint64_t word_of(uint64_t number, size_t i)
{
    return mixed((number + 1) * 0x9e3779b97f4a7c15u + i);
}
