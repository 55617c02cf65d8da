/* fi_reads: one-sided reads through libfabric, of objects that another process holds.
 *
 *   fi_reads hold PROVIDER ADDRESS SIZE OBJECTS CPU
 *   fi_reads measure PROVIDER ADDRESS SIZE OBJECTS CPU NAME BASE KEY READS SECONDS host|gpu-pinned|gpu-direct SEED SAMPLES
 *
 * ADDRESS is the local one ("" for shared memory). `hold` prints {"event":"ready"} with its pid, NAME, BASE, and KEY, and
 * holds the objects until it is terminated. `measure` reads objects drawn at random, one at a time, and compares every
 * byte outside of the time. It stops after READS or SECONDS, prints {"event":"measured"}, and waits for SIGUSR1: whoever
 * sends it has frozen the holder. It then tries a few reads more, and says whether they came: only reads that need
 * nothing of the holder do. One JSON object ends it. Samples (float64, nanoseconds, in order) go to SAMPLES.
 *
 * gpu-pinned: a sample is the read and a copy into the GPU, from memory that the GPU can fetch from. gpu-direct: the
 * adapter writes into the GPU's memory. */
#define _GNU_SOURCE
#include "fail.h"
#include "plan.h"
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define MOST_READS 10000000u

struct plan plan;

void pin(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(plan.cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        fail("cannot pin to CPU %d: %s", plan.cpu, strerror(errno));
}

void *pages(size_t bytes)
{
    bytes = (bytes + 4095) & ~(size_t)4095;
    void *memory = aligned_alloc(4096, bytes);
    if (!memory)
        fail("no memory for %zu bytes", bytes);
    memset(memory, 0, bytes);
    return memory;
}

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || value < least || value > most)
        usage("\"%s\" is no number from %" PRIu64 " to %" PRIu64, text, least, most);
    return value;
}

static enum place place_of(const char *text)
{
    static const char *const names[] = {"host", "gpu-pinned", "gpu-direct"};
    for (unsigned i = 0; i < 3; i++)
        if (!strcmp(text, names[i]))
            return (enum place)i;
    usage("\"%s\" is none of host, gpu-pinned, gpu-direct", text);
}

int main(int argc, char **argv)
{
    bool holding = argc == 7 && !strcmp(argv[1], "hold");
    if (!holding && !(argc == 15 && !strcmp(argv[1], "measure")))
        usage("fi_reads hold PROVIDER ADDRESS SIZE OBJECTS CPU, or measure with these and NAME BASE KEY READS "
              "SECONDS PLACE SEED SAMPLES");
    plan = (struct plan){.provider = argv[2], .address = argv[3]};
    plan.size = number(argv[4], 8, 1u << 30) & ~7ull;
    plan.objects = number(argv[5], 1, 1u << 24);
    plan.cpu = (int)number(argv[6], 0, CPU_SETSIZE - 1);
    if (holding) {
        hold();
        return 0;
    }
    plan.reads = number(argv[10], 1, MOST_READS);
    plan.limit = (double)number(argv[11], 1, 3600);
    plan.place = place_of(argv[12]);
    plan.seed = number(argv[13], 0, UINT64_MAX);
    plan.samples = argv[14];
    measure(argv[7], number(argv[8], 0, UINT64_MAX), number(argv[9], 0, UINT64_MAX));
    return 0;
}
