/* The side that reads. */
#define _GNU_SOURCE
#include "clock.h"
#include "endpoint.h"
#include "fail.h"
#include "plan.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <stdlib.h>

#define STALL_S 20.0 /* the longest time that a read may take */
#define FROZEN_S 0.2 /* the same, while the holder is frozen */
#define TRIES 16u    /* reads then */
#define WARMUP 100u

struct reader {
    struct endpoint endpoint;
    fi_addr_t holder;
    uint64_t base, key, random;
    struct fid_mr *region;
    void *buffer;  /* where reads end: in this host, or in the GPU */
    void *gpu;     /* where a pinned buffer is copied to */
    void *compared; /* in this host */
    struct fi_context2 context;
};

static void explain(struct endpoint *e)
{
    struct fi_cq_err_entry error = {0};
    check_fi(fi_cq_readerr(e->completions, &error, 0), "asking why a read failed");
    fail("a read failed: %s", fi_strerror(error.err));
}

/* Called in each turn of a wait; true once it has taken `patience` seconds. */
static bool is_late(uint64_t turn, double *until, double patience)
{
    if (turn % 1024 != 1023)
        return false;
    if (turn == 1023)
        *until = seconds() + patience;
    return seconds() > *until;
}

/* Wait for the read under way; false: it has not come within so many seconds. */
static bool is_over(struct endpoint *e, double patience)
{
    struct fi_cq_entry entry;
    double until = 0;
    for (uint64_t turn = 0; !is_late(turn, &until, patience); turn++) {
        ssize_t status = fi_cq_read(e->completions, &entry, 1);
        if (status == 1)
            return true;
        if (status == -FI_EAVAIL)
            explain(e);
        if (status != -FI_EAGAIN)
            check_fi(status, "waiting for a read");
    }
    return false;
}

static bool read_object(struct reader *r, uint64_t number, double patience)
{
    struct endpoint *e = &r->endpoint;
    uint64_t there = r->base + number * plan.size;
    double until = 0;
    for (uint64_t turn = 0; !is_late(turn, &until, patience); turn++) {
        ssize_t status =
            fi_read(e->ep, r->buffer, plan.size, fi_mr_desc(r->region), r->holder, there, r->key, &r->context);
        if (status != -FI_EAGAIN) {
            check_fi(status, "reading");
            return is_over(e, patience);
        }
        if (fi_cq_read(e->completions, NULL, 0) == -FI_EAVAIL) /* it connects, and makes room, meanwhile */
            explain(e);
    }
    return false;
}

static bool get(struct reader *r, uint64_t number, double patience)
{
    if (!read_object(r, number, patience))
        return false;
    if (plan.place == PINNED)
        copy_to_gpu(r->gpu, r->buffer, plan.size);
    return true;
}

static bool holds(const uint64_t *value, uint64_t number)
{
    uint64_t wrong = 0;
    for (size_t i = 0; i < plan.size / 8; i++)
        wrong |= value[i] ^ word_of(number, i);
    return !wrong;
}

static bool is_right(struct reader *r, uint64_t number)
{
    if (plan.place != IN_HOST)
        copy_from_gpu(r->compared, plan.place == PINNED ? r->gpu : r->buffer, plan.size);
    return holds(r->compared, number);
}

static uint64_t draw(struct reader *r)
{
    r->random += 0x9e3779b97f4a7c15u;
    return (mixed(r->random) & UINT32_MAX) * plan.objects >> 32;
}

static void prepare_buffers(struct reader *r)
{
    r->compared = pages(plan.size);
    if (plan.place != IN_HOST)
        open_gpu();
    r->buffer = plan.place == IN_GPU ? gpu_memory(plan.size) : plan.place == PINNED ? pages(plan.size) : r->compared;
    if (plan.place == PINNED) {
        pin_memory(r->buffer, (plan.size + 4095) & ~(size_t)4095);
        r->gpu = gpu_memory(plan.size);
    }
}

static void connect_reader(struct reader *r, const char *name)
{
    unsigned char bytes[MAX_NAME] = {0};
    for (size_t i = 0; name[2 * i] && name[2 * i + 1] && i < sizeof bytes; i++) {
        char digits[] = {name[2 * i], name[2 * i + 1], 0};
        bytes[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    open_endpoint(&r->endpoint, plan.provider, plan.address, plan.place == IN_GPU);
    if (fi_av_insert(r->endpoint.addresses, bytes, 1, &r->holder, 0, NULL) != 1)
        fail("libfabric does not take the holder's address");
    r->region = register_memory(&r->endpoint, r->buffer, plan.size, FI_READ, plan.place);
}

struct seen {
    uint64_t reads, right, counted;
    double elapsed, cpu;
};

static struct seen measure_reads(struct reader *r, uint64_t *samples)
{
    struct seen seen = {0};
    for (unsigned i = 0; i < WARMUP; i++)
        if (!get(r, draw(r), STALL_S))
            fail("the holder did not answer within %g s", STALL_S);
    double began = seconds(), cpu = cpu_seconds();
    uint64_t before = fi_cntr_read(r->endpoint.counter);
    while (seen.reads < plan.reads && seconds() - began < plan.limit) {
        uint64_t number = draw(r), start = ticks();
        if (!get(r, number, STALL_S))
            fail("the holder did not answer within %g s", STALL_S);
        samples[seen.reads++] = ticks() - start;
        seen.right += is_right(r, number);
        memset(r->compared, 0, plan.place == IN_HOST ? plan.size : 0); /* what the next read leaves out shows */
    }
    seen.elapsed = seconds() - began;
    seen.cpu = cpu_seconds() - cpu;
    seen.counted = fi_cntr_read(r->endpoint.counter) - before;
    return seen;
}

/* Reads that come while the holder is frozen need nothing of it. */
static uint64_t read_while_frozen(struct reader *r)
{
    sigset_t go;
    int signal;
    uint64_t came = 0;
    sigemptyset(&go);
    sigaddset(&go, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &go, NULL))
        fail("cannot hold back a signal: %s", strerror(errno));
    printf("{\"event\":\"measured\"}\n");
    if (fflush(stdout) || sigwait(&go, &signal))
        fail("cannot wait for a signal");
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t number = draw(r);
        if (!get(r, number, FROZEN_S) || !is_right(r, number))
            break;
        came++;
    }
    return came;
}

static void write_samples(const uint64_t *samples, uint64_t count, double ns)
{
    FILE *file = fopen(plan.samples, "wb");
    if (!file)
        fail("cannot write %s: %s", plan.samples, strerror(errno));
    for (uint64_t i = 0; i < count; i++)
        (void)fwrite(&(double){(double)samples[i] * ns}, sizeof(double), 1, file);
    if (ferror(file) | fclose(file))
        fail("cannot write %s: %s", plan.samples, strerror(errno));
}

void measure(const char *name, uint64_t base, uint64_t key)
{
    static struct reader r;
    pin();
    struct instant start = start_clock();
    uint64_t *samples = pages((plan.reads + 1) * sizeof *samples);
    r = (struct reader){.base = base, .key = key, .random = plan.seed};
    prepare_buffers(&r);
    connect_reader(&r, name);
    struct seen seen = measure_reads(&r, samples);
    write_samples(samples, seen.reads, ns_per_tick(start));
    free(samples);
    uint64_t alone = read_while_frozen(&r);
    printf("{\"provider\":\"%s\",\"version\":\"%u.%u\",\"reads\":%" PRIu64 ",\"right\":%" PRIu64 ",\"counted\":%" PRIu64
           ",\"elapsed_s\":%.9f,\"cpu_s\":%.6f,\"tries_while_frozen\":%u,\"came_while_frozen\":%" PRIu64 "}\n",
           r.endpoint.info->fabric_attr->prov_name, FI_MAJOR(fi_version()), FI_MINOR(fi_version()), seen.reads,
           seen.right, seen.counted, seen.elapsed, seen.cpu, TRIES, alone);
    if (fflush(stdout))
        fail("standard output: %s", strerror(errno));
    if (alone < TRIES) /* by now the holder goes on: no read may be under way at the end */
        (void)is_over(&r.endpoint, STALL_S);
}
