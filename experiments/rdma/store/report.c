#define _GNU_SOURCE
#include "report.h"
#include "fail.h"
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>

#define MOST_SAMPLES 20000000u

static const char *const series_names[SERIES] = {"memcpy", "get", "cached", "checksum"};

struct series new_series(uint64_t room)
{
    struct series s = {.room = room};
    if (room > MOST_SAMPLES)
        usage("--iterations %" PRIu64 ": at most %u with --samples", room, MOST_SAMPLES);
    s.samples = malloc((room + 1) * sizeof *s.samples);
    if (!s.samples)
        fail("no memory for %" PRIu64 " samples", room);
    memset(s.samples, 0xff, room * sizeof *s.samples); /* so that no page is touched first while timing */
    return s;
}

/* Write next to the file and rename, so that it is whole or absent. */
void write_samples(const struct series *s, const char *path, const char *suffix, double ns_per_tick)
{
    char whole[4096], partial[4200];
    if (snprintf(whole, sizeof whole, "%s%s", path, suffix) >= (int)sizeof whole)
        fail("the path of the samples is too long");
    (void)snprintf(partial, sizeof partial, "%s.partial", whole);
    FILE *file = fopen(partial, "wb");
    if (!file)
        fail("cannot write %s: %s", partial, strerror(errno));
    for (uint64_t i = 0; i < s->kept; i++)
        (void)fwrite(&(double){(double)s->samples[i] * ns_per_tick}, sizeof(double), 1, file);
    if (ferror(file) | fclose(file) || rename(partial, whole))
        fail("cannot write %s: %s", whole, strerror(errno));
}

static void write_all_samples(const struct options *o, const struct series *series, double ns_per_tick)
{
    char suffix[32];
    if (!*o->samples)
        return;
    if (o->path != PATH_BOUND) {
        write_samples(series, o->samples, "", ns_per_tick);
        return;
    }
    for (int i = 0; i < SERIES; i++) {
        (void)snprintf(suffix, sizeof suffix, ".%s", series_names[i]);
        write_samples(&series[i], o->samples, suffix, ns_per_tick);
    }
}

void print_string(const char *text, size_t length)
{
    putchar('"');
    for (size_t i = 0; i < length; i++)
        if (text[i] == '"' || text[i] == '\\')
            printf("\\%c", text[i]);
        else if ((unsigned char)text[i] >= ' ' && (unsigned char)text[i] < 0x7f)
            putchar(text[i]);
        else
            printf("\\u%04x", (unsigned char)text[i]);
    putchar('"');
}

static const char *way_of(const struct options *o, const struct client *c)
{
    if (o->path == PATH_MESSAGE || o->path == PATH_TOGETHER)
        return "messages";
    if (o->path == PATH_NULL)
        return "nothing";
    if (o->path == PATH_GET || !c->mapped)
        return "ucp_get_nbx";
    return "ucp_rkey_ptr";
}

void report(const struct options *o, const struct client *c, const struct series *series, const struct tally *tally,
            const struct session *before, const struct session *after, double ns_per_tick)
{
    const struct counts *n = &c->counts;
    const struct mark *first = &before->mark, *last = &after->mark;
    write_all_samples(o, series, ns_per_tick);
    printf("{\"path\":\"%s\",\"size_bytes\":%" PRIu64 ",\"outstanding\":%" PRIu64 ",\"batch\":%" PRIu64
           ",\"iterations_done\":%" PRIu64,
           path_names[o->path], o->size, o->outstanding, o->batch, series[0].done);
    printf(",\"elapsed_s\":%.9f,\"bytes\":%" PRIu64 ",\"right\":%" PRIu64 ",\"torn\":%" PRIu64 ",\"stale\":%" PRIu64,
           (double)(tally->ended - tally->began) * ns_per_tick * 1e-9, tally->bytes, tally->right, tally->torn,
           tally->stale);
    printf(",\"index_reads\":%" PRIu64 ",\"entry_reads\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"changed\":%" PRIu64
           ",\"moved\":%" PRIu64 ",\"most_without_beat\":%" PRIu64,
           n->index_reads, n->entry_reads, n->messages, n->changed, n->moved, n->most_without_beat);
    printf(",\"cpu_client_s\":%.6f,\"cpu_server_s\":%.6f,\"server_requests\":%" PRIu64 ",\"server_bytes\":%" PRIu64
           ",\"server_writes\":%" PRIu64 ",\"server_failed_writes\":%" PRIu64,
           tally->cpu_s, last->cpu_s - first->cpu_s, last->requests - first->requests, last->bytes - first->bytes,
           last->writes - first->writes, last->failed_writes - first->failed_writes);
    printf(",\"way\":\"%s\",\"protocol\":", way_of(o, c));
    print_string(c->protocol, strlen(c->protocol));
    printf(",\"device\":");
    print_counted(&before->counters, &after->counters);
    printf(",\"ns_per_tick\":%.9f,\"timer_overhead_ns\":%.3f,\"cpu_pinned\":%d,\"ucx_version\":\"%s\"}\n", ns_per_tick,
           (double)timer_overhead() * ns_per_tick, sched_getcpu(), ucp_get_version_string());
}
