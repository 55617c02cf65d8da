/* layouts: what it costs to tell a whole record from a torn one, and whether it works.
 *
 *   layouts LAYOUT SIZE in-order|shuffled none|full-speed READS SECONDS READER_CPU WRITER_CPU SAMPLES
 *
 * A thread writes records while another reads them, line by line, each line whole, as a network adapter does: in the
 * order of addresses or in any. What the layout then says of these lines is compared with the value itself, whose words
 * follow from its first. It stops after READS reads or SECONDS. Samples (float64, nanoseconds: the check and the copy of
 * the value, once the lines have arrived) go to the file SAMPLES; one JSON object goes to standard output. */
#define _GNU_SOURCE
#include "clock.h"
#include "fail.h"
#include "layouts.h"
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS 8ull /* so few that reader and writer meet */
#define MOST_SIZE (1u << 20)
#define MOST_READS 10000000u
#define STEP 2u /* between versions: an odd one is being written */

struct plan {
    const struct layout *layout;
    size_t size, lines;
    bool shuffled, write;
    uint64_t reads;
    double limit;
    int reader_cpu, writer_cpu;
    const char *samples;
};

static struct plan plan;
static char *records[RECORDS];
static bool stop;
static uint64_t writes;

static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t next_random(uint64_t *state)
{
    return mixed(*state += 0x9e3779b97f4a7c15u);
}

static void fill(uint64_t *value, uint64_t version)
{
    uint64_t step = mixed(version) | 1;
    for (size_t i = 0; i < plan.size / 8; i++)
        value[i] = version + i * step;
}

static bool whole(const uint64_t *value)
{
    uint64_t step = mixed(value[0]) | 1, wrong = 0;
    for (size_t i = 0; i < plan.size / 8; i++)
        wrong |= value[i] ^ (value[0] + i * step);
    return !wrong;
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        fail("cannot pin to CPU %d: %s", cpu, strerror(errno));
}

static void *zeroed(size_t bytes)
{
    void *memory = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
    if (!memory)
        fail("no memory for %zu bytes", bytes);
    return memset(memory, 0, (bytes + 4095) & ~(size_t)4095);
}

static void *write_records(void *unused)
{
    uint64_t *value = zeroed(plan.size), random = 1, version = RECORDS * STEP;
    pin(plan.writer_cpu);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        fill(value, version += STEP);
        plan.layout->write(records[next_random(&random) % RECORDS], value, plan.size, version);
        writes++;
    }
    free(value);
    return unused;
}

/* Two copies that agree: in between, nothing was written, since no value comes twice. */
static void fetch_line(char *into, const char *from)
{
    char again[LINE];
    do {
        memcpy(into, from, LINE);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        memcpy(again, from, LINE);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (memcmp(into, again, LINE) != 0);
}

static size_t common_divisor(size_t a, size_t b)
{
    while (b) {
        size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* In an order of many: from anywhere, by a step that meets each line once. */
static void fetch(char *into, const char *record, uint64_t *random)
{
    size_t at = 0, step = 1;
    if (plan.shuffled) {
        at = next_random(random) % plan.lines;
        do
            step = 1 + next_random(random) % plan.lines;
        while (common_divisor(step, plan.lines) != 1);
    }
    for (size_t i = 0; i < plan.lines; i++) {
        fetch_line(into + at * LINE, record + at * LINE);
        at = (at + step) % plan.lines;
    }
}

struct outcome {
    uint64_t reads, right, torn_accepted, torn_refused, whole_refused;
};

static struct outcome read_records(uint64_t *samples)
{
    struct outcome seen = {0};
    char *lines = zeroed(plan.lines * LINE);
    uint64_t *value = zeroed(plan.size), random = 2;
    double until = seconds() + plan.limit;
    pin(plan.reader_cpu);
    while (seen.reads < plan.reads && (seen.reads % 64 || seconds() < until)) {
        fetch(lines, records[next_random(&random) % RECORDS], &random);
        uint64_t before = ticks();
        bool accepted = plan.layout->take(value, lines, plan.size);
        samples[seen.reads++] = ticks() - before;
        bool is_whole = whole(value);
        seen.right += accepted && is_whole;
        seen.torn_accepted += accepted && !is_whole;
        seen.torn_refused += !accepted && !is_whole;
        seen.whole_refused += !accepted && is_whole;
    }
    free(value);
    free(lines);
    return seen;
}

static double number(const char *text, const char *what, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= least && value <= most))
        usage("%s %s: expected a number from %g to %g", what, text, least, most);
    return value;
}

static bool one_of(const char *text, const char *no, const char *yes)
{
    if (strcmp(text, no) != 0 && strcmp(text, yes) != 0)
        usage("%s: expected %s or %s", text, no, yes);
    return !strcmp(text, yes);
}

static void parse(char **words)
{
    plan.layout = find_layout(words[0]);
    if (!plan.layout)
        usage("%s: there is no such layout", words[0]);
    plan.size = (size_t)number(words[1], "size", 64, MOST_SIZE);
    if (plan.size % 8)
        usage("size %s: expected a multiple of 8", words[1]);
    plan.lines = plan.layout->lines(plan.size);
    plan.shuffled = one_of(words[2], "in-order", "shuffled");
    plan.write = one_of(words[3], "none", "full-speed");
    plan.reads = (uint64_t)number(words[4], "reads", 1, MOST_READS);
    plan.limit = number(words[5], "seconds", 0.01, 3600);
    plan.reader_cpu = (int)number(words[6], "CPU", 0, 1023);
    plan.writer_cpu = (int)number(words[7], "CPU", 0, 1023);
    plan.samples = words[8];
}

static void save(const uint64_t *samples, uint64_t count, double ns)
{
    FILE *file = fopen(plan.samples, "wb");
    if (!file)
        fail("cannot write %s: %s", plan.samples, strerror(errno));
    for (uint64_t i = 0; i < count; i++)
        (void)fwrite(&(double){(double)samples[i] * ns}, sizeof(double), 1, file);
    if (ferror(file) | fclose(file))
        fail("cannot write %s: %s", plan.samples, strerror(errno));
}

int main(int argc, char **argv)
{
    pthread_t writer;
    if (argc != 10)
        usage("expected LAYOUT SIZE ORDER WRITER READS SECONDS READER_CPU WRITER_CPU SAMPLES");
    parse(argv + 1);
    struct instant start = start_clock();
    uint64_t *samples = zeroed(plan.reads * sizeof *samples), *value = zeroed(plan.size);
    for (unsigned i = 0; i < RECORDS; i++) {
        records[i] = zeroed(plan.lines * LINE);
        fill(value, (i + 1ull) * STEP);
        plan.layout->write(records[i], value, plan.size, (i + 1ull) * STEP);
    }
    if (plan.write && pthread_create(&writer, NULL, write_records, NULL))
        fail("cannot start the writer");
    struct outcome seen = read_records(samples);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    if (plan.write)
        pthread_join(writer, NULL);
    save(samples, seen.reads, ns_per_tick(start));
    printf("{\"reads\":%" PRIu64 ",\"right\":%" PRIu64 ",\"torn_accepted\":%" PRIu64 ",\"torn_refused\":%" PRIu64
           ",\"whole_refused\":%" PRIu64 ",\"writes\":%" PRIu64 ",\"bytes\":%zu}\n",
           seen.reads, seen.right, seen.torn_accepted, seen.torn_refused, seen.whole_refused, writes, plan.lines * LINE);
    for (unsigned i = 0; i < RECORDS; i++)
        free(records[i]);
    free(value);
    free(samples);
    return fflush(stdout) ? 1 : 0;
}
