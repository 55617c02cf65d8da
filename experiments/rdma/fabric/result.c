#define _GNU_SOURCE
#include "result.h"
#include "clock.h"
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>

#define MAX_LANES 16

/* What the numbers mean: with one operation outstanding, and with several. `client` and `server` say what the side's
 * `operations` counts; with one-sided operations one side sees little. */
#define HALF "half round trip"
#define POST "post to local completion"
#define SEEN "remote: the other side has seen the data and has answered"
#define HERE "local: the data has arrived"
static const struct {
    const char *span, *completion, *client, *server;
} meanings[][2] = {
    [PUT] = {{HALF, SEEN, "each put of the server, by its number", "each put of the client, by its number"},
             {POST, "local; elapsed_s ends with a flush of the far side", "nothing", "the contents of the last put"}},
    [GET] = {{"full round trip", HERE, "each read, by its last word", "nothing"},
             {POST, HERE, "reads; verified: the contents of the last", "nothing"}},
    [MESSAGE] = {{HALF, SEEN, "each answer, and its length", "each message, and its length"},
                 {POST, "local; elapsed_s ends with the far side's count", "nothing", "each message, and its length"}},
    [NOTHING] = {{"one turn of the loop", "none", "", ""}, {"post to return", "none", "", ""}},
};

/* Was what one side can know about the contents right? */
struct report report(const struct transport *t, uint64_t done, double cpu_s)
{
    uint64_t size = t->plan.size, operations = 0, verified = 0;
    if (t->plan.operation == MESSAGE) {
        operations = t->received;
        verified = t->verified;
    } else if (t->plan.operation == GET && !t->serving) {
        operations = done;
        verified = t->verified;
    } else if (answered(&t->plan)) {
        operations = done;
        verified = holds(t, t->receive, done) ? done : 0;
    } else if (t->plan.operation == PUT && t->serving) {
        operations = 1;
        verified = holds(t, t->receive, *last_word(t, t->receive));
    }
    return (struct report){operations, operations * size, verified, cpu_s};
}

/* Write the samples next to the file and rename, so that it is whole or absent. */
void write_samples(const struct timing *timing, const char *path, double ns_per_tick)
{
    char partial[4096];
    if (snprintf(partial, sizeof partial, "%s.partial", path) >= (int)sizeof partial)
        fail("the path of the samples is too long");
    FILE *file = fopen(partial, "wb");
    if (!file)
        fail("cannot write %s: %s", partial, strerror(errno));
    for (uint64_t i = 0; i < timing->done; i++)
        (void)fwrite(&(double){(double)timing->samples[i] * ns_per_tick}, sizeof(double), 1, file);
    if (ferror(file) | fclose(file) || rename(partial, path))
        fail("cannot write %s: %s", path, strerror(errno));
}

void print_timing(const struct plan *plan, const struct timing *timing, double ns_per_tick, double cpu_s)
{
    bool many = plan->outstanding > 1;
    printf("{\"operation\":\"%s\",\"size_bytes\":%" PRIu64 ",\"outstanding\":%u,\"iterations\":%" PRIu64
           ",\"iterations_done\":%" PRIu64 ",\"stopped_early\":%s",
           operation_names[plan->operation], plan->size, plan->outstanding, plan->iterations, timing->done,
           timing->done < plan->iterations ? "true" : "false");
    printf(",\"elapsed_s\":%.9f,\"bytes_moved\":%" PRIu64 ",\"span\":\"%s\",\"completion\":\"%s\"",
           (double)(timing->ended - timing->began) * ns_per_tick * 1e-9,
           timing->done * plan->size * (answered(plan) ? 2 : 1), meanings[plan->operation][many].span,
           meanings[plan->operation][many].completion);
    printf(",\"ns_per_tick\":%.9f,\"timer_overhead_ns\":%.3f,\"cpu_client_s\":%.6f,\"cpu_pinned\":%d", ns_per_tick,
           (double)timer_overhead() * ns_per_tick, cpu_s, sched_getcpu());
}

static void print_string(const char *text)
{
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text >= ' ')
            putchar(*text);
    putchar('"');
}

static void print_lanes(ucp_ep_h endpoint)
{
    ucp_transport_entry_t entries[MAX_LANES];
    ucp_ep_attr_t attributes = {
        .field_mask = UCP_EP_ATTR_FIELD_TRANSPORTS,
        .transports = {.entries = entries, .num_entries = MAX_LANES, .entry_size = sizeof *entries},
    };
    check(ucp_ep_query(endpoint, &attributes), "asking for the lanes");
    for (unsigned i = 0; i < attributes.transports.num_entries; i++)
        printf("%s\"%s/%s\"", i ? "," : "", entries[i].transport_name, entries[i].device_name);
}

static void print_report(const char *side, const struct report *seen, const char *counts)
{
    printf(",\"%s\":{\"operations\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"verified\":%" PRIu64 ",\"counts\":\"%s\"}", side,
           seen->operations, seen->bytes, seen->verified, counts);
}

void print_evidence(const struct transport *t, const struct evidence *evidence)
{
    bool many = t->plan.outstanding > 1;
    printf(",\"cpu_server_s\":%.6f,\"protocol\":", evidence->server.cpu_s);
    print_string(evidence->protocol);
    printf(",\"lanes\":[");
    print_lanes(t->endpoint);
    printf("]");
    print_report("client", &evidence->client, meanings[t->plan.operation][many].client);
    print_report("server", &evidence->server, meanings[t->plan.operation][many].server);
    printf(",\"ucx_version\":\"%s\"", ucp_get_version_string());
}
