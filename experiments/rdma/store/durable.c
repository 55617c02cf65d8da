#define _GNU_SOURCE
#include "durable.h"
#include "client.h"
#include "fail.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/uio.h>

#define LOG_MAGIC 0x676f6c73u

/* Before its key and its value in the log. */
struct record {
    uint32_t magic, kind, key_length, value_length;
    uint64_t digest;
};

struct durable {
    int log; /* -1: none */
    bool sync;
    struct client *replicas[MAX_REPLICAS];
    unsigned count;
    char *copy; /* a replica fetches large values from here while the server waits */
};

/* ---- the log ---- */

static uint64_t record_digest(const struct record *r, const char *key, const char *value)
{
    return mixed(hash_key(key, r->key_length) ^ r->kind) + hash_key(value, r->value_length);
}

static void append(const struct durable *d, struct record record, const char *key, const char *value)
{
    record.digest = record_digest(&record, key, value);
    struct iovec parts[] = {
        {&record, sizeof record}, {(void *)key, record.key_length}, {(void *)value, record.value_length}};
    ssize_t whole = (ssize_t)(sizeof record + record.key_length + record.value_length);
    /* Half a record at the end is cut off by the next server, but nothing may follow it. */
    if (writev(d->log, parts, 3) != whole)
        fail("the log: %s", strerror(errno));
    if (d->sync && fdatasync(d->log))
        fail("the log cannot be synced: %s", strerror(errno));
}

static void store_bytes(void *value, size_t length, uint64_t hash, uint64_t version, const void *source)
{
    (void)hash, (void)version;
    memcpy(value, source, length);
}

static bool read_record(FILE *log, struct record *record, char *key, char *value)
{
    return fread(record, sizeof *record, 1, log) == 1 && record->magic == LOG_MAGIC &&
           (record->kind == ASK_PUT || record->kind == ASK_DISCARD) && record->key_length <= MAX_KEY &&
           record->value_length <= MAX_LINES * LINE && fread(key, 1, record->key_length, log) == record->key_length &&
           fread(value, 1, record->value_length, log) == record->value_length &&
           record->digest == record_digest(record, key, value);
}

void replay(struct durable *d, struct table *table)
{
    struct record record;
    char key[MAX_KEY], *value = malloc((size_t)MAX_LINES * LINE);
    if (!value)
        fail("no memory for the log");
    int again = d && d->log >= 0 ? dup(d->log) : -1;
    FILE *log = again >= 0 ? fdopen(again, "rb") : NULL;
    long end = 0;
    if (d && d->log >= 0 && !log)
        fail("cannot read the log: %s", strerror(errno));
    while (log && read_record(log, &record, key, value)) {
        enum status status = record.kind == ASK_DISCARD
                                 ? discard(table, key, record.key_length)
                                 : put(table, key, record.key_length, record.value_length, store_bytes, value);
        if (status != STORED && record.kind == ASK_PUT)
            fail("the log does not fit into the store: %s", status_names[status]);
        end = ftell(log);
    }
    if (log && (ftruncate(d->log, end) || lseek(d->log, end, SEEK_SET) != end || fclose(log)))
        fail("the log: %s", strerror(errno));
    free(value);
}

/* ---- replicas ---- */

static struct client *connect_replica(const struct options *options, char *address)
{
    struct client *c = calloc(1, sizeof *c);
    struct options there = *options;
    char *colon = strrchr(address, ':');
    if (!c || !colon)
        usage("--replicas %s: expected ADDR:PORT[,ADDR:PORT...]", address);
    *colon = '\0';
    there.host = address;
    there.port = colon + 1;
    open_client(c, &there);
    return c;
}

struct durable *open_durable(const struct options *options)
{
    struct durable *d = calloc(1, sizeof *d);
    char *rest = strdup(options->replicas), *position = NULL;
    if (!d || !rest)
        fail("no memory");
    d->sync = options->sync;
    d->log = *options->log ? open(options->log, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (*options->log && d->log < 0)
        fail("cannot open the log %s: %s", options->log, strerror(errno));
    for (char *word = strtok_r(rest, ",", &position); word; word = strtok_r(NULL, ",", &position)) {
        if (d->count == MAX_REPLICAS)
            usage("--replicas: at most %u", MAX_REPLICAS);
        d->replicas[d->count++] = connect_replica(options, word);
    }
    d->copy = d->count ? malloc((size_t)MAX_LINES * LINE) : NULL;
    if (d->count && !d->copy)
        fail("no memory for the replicas");
    free(rest);
    if (d->count || d->log >= 0)
        return d;
    free(d);
    return NULL;
}

/* All at once, and then wait for each. */
static bool replicate(struct durable *d, enum request_kind kind, const char *key, size_t key_length, const void *value,
                      size_t length)
{
    bool kept = true;
    if (length)
        memcpy(d->copy, value, length);
    for (unsigned i = 0; i < d->count; i++) {
        struct request request = {kind, UINT32_MAX, (uint32_t)key_length, 0};
        d->replicas[i]->put_over = false;
        kept = request_message(d->replicas[i], request, key, d->copy, length) && kept;
    }
    for (unsigned i = 0; kept && i < d->count; i++) {
        struct client *c = d->replicas[i];
        kept = wait_until(c, &c->put_over) && (c->put_status == STORED || kind == ASK_DISCARD);
    }
    return kept;
}

bool keep_durably(struct durable *d, enum request_kind kind, const char *key, size_t key_length, const void *value,
                  size_t length)
{
    if (!d)
        return true;
    if (d->count && !replicate(d, kind, key, key_length, value, length))
        return false;
    if (d->log >= 0)
        append(d, (struct record){LOG_MAGIC, kind, (uint32_t)key_length, (uint32_t)length, 0}, key, value);
    return true;
}
