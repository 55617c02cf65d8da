/* The clock: ticks of the CPU's time-stamp counter, and how long one is. */
#pragma once
#include <stdint.h>
#include <x86intrin.h>

/* One moment, read from the time-stamp counter and from the kernel's clock. */
struct instant {
    uint64_t ticks;
    double seconds;
};

/* The fence keeps the reading from moving ahead of the load that saw the data arrive. */
static inline uint64_t ticks(void)
{
    _mm_lfence();
    return __rdtsc();
}

struct instant start_clock(void);
double ns_per_tick(struct instant start);
uint64_t timer_overhead(void); /* ticks between two readings with nothing in between */
double seconds(void);
double cpu_seconds(void); /* that this process has used */
