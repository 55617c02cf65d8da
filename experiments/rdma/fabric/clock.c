#define _GNU_SOURCE
#include "clock.h"
#include "fail.h"
#include <cpuid.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Of several tries keep the one with the least time between the readings. */
static struct instant both_clocks(void)
{
    struct instant best = {0, 0};
    uint64_t closest = UINT64_MAX;
    for (int i = 0; i < 16; i++) {
        uint64_t before = ticks();
        double now = seconds();
        uint64_t between = ticks() - before;
        if (between < closest) {
            closest = between;
            best = (struct instant){before + between / 2, now};
        }
    }
    return best;
}

struct instant start_clock(void)
{
    unsigned eax, ebx, ecx, edx = 0;
    if (!__get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) || !(edx & (1u << 8)))
        fail("this CPU's time-stamp counter is not invariant, so its ticks are no time; use another host");
    return both_clocks();
}

double ns_per_tick(struct instant start)
{
    struct instant now;
    do
        now = both_clocks();
    while (now.seconds - start.seconds < 0.02);
    return (now.seconds - start.seconds) * 1e9 / (double)(now.ticks - start.ticks);
}

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

uint64_t timer_overhead(void)
{
    enum { COUNT = 4001 };
    static uint64_t spans[COUNT];
    for (int i = 0; i < COUNT; i++) {
        uint64_t before = ticks();
        spans[i] = ticks() - before;
    }
    qsort(spans, COUNT, sizeof *spans, by_value);
    return spans[COUNT / 2];
}

double cpu_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}
