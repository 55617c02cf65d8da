/* The client: one connection, and GETs in flight over it. Nothing that the server's memory or messages say is believed
 * before it is checked: places against the memory's bounds, entries by version and checksum, the server by its beat. */
#pragma once
#include "clock.h"
#include "table.h"
#include "wire.h"
#include <ucp/api/ucp.h>

#define MAX_GETS 64
#define GIVE_UP_S 2.0    /* the longest time that a GET tries again, while the object changes */
#define MOST_PASSES 3    /* over the index, before an object is said not to be there */
#define ANSWER_S 5.0     /* the longest wait for an answer */

enum design { NOTHING, RAW_COPY, RAW_GET, CACHED, LOOKUP, MESSAGE };

enum outcome {
    PENDING, GOT, NOT_THERE, GAVE_UP, OVERSIZE_KEY, OUT_OF_BOUNDS, BAD_REPLY, BUFFER_TOO_SMALL, SERVER_DEAD,
    SERVER_RESTARTED, READ_FAILED, REFUSED, OUTCOMES
};
extern const char *const outcome_texts[];

struct counts {
    uint64_t index_reads, entry_reads, messages, changed, moved;
};

struct client;

struct get {
    /* what the caller sets */
    struct client *client;
    const char *key;
    size_t key_length;
    char *buffer; /* of whole lines, at a multiple of LINE */
    uint64_t buffer_lines;
    struct place *known; /* where the entry was last; CACHED reads it there first, and all keep it up to date */
    enum design design;
    bool unvalidated;
    /* what it gets: a value within the buffer */
    enum outcome outcome;
    const char *value;
    uint64_t value_length, version, ended;
    /* how far it is */
    enum phase { READ_BUCKET, SCAN_BUCKET, READ_ENTRY, CHECK_ENTRY, ASK, AWAIT } phase;
    uint64_t hash, digest, claimed_digest;
    double tried_since;
    unsigned probes, slot, attempts, doubts, passes;
    uint32_t ticket;
    bool digested, by_memory; /* its digest is known; it was read where it had been before */
    struct place place;
    struct bucket bucket __attribute__((aligned(64)));
};

struct client {
    int socket;
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_ep_h endpoint;
    ucp_rkey_h key;
    struct geometry geometry;
    const char *mapped; /* the server's memory in this process, or NULL */
    struct get *asked[MAX_GETS]; /* by ticket: who waits for a reply */
    uint32_t next_ticket;
    struct get *over[MAX_GETS]; /* ended, and not yet taken by the caller */
    unsigned over_count;
    struct counts counts;
    enum status put_status;
    bool put_over;
    double lease_s, changed_at;
    uint64_t beat, next_look, look_ticks;
    char protocol[512]; /* UCX's words on the last operation that it was asked about */
};

void open_client(struct client *c, const char *host, const char *port, double lease_s);
void close_client(struct client *c);
enum outcome look_at_server(struct client *c); /* GOT, or SERVER_DEAD, or SERVER_RESTARTED */
struct mark mark(struct client *c);
void ask_for_writes(struct client *c, struct writing writing);

void begin_get(struct get *g); /* when it is over, it is in `over` */
void wait_for_any(struct client *c);
enum outcome finish_get(struct get *g); /* begin, and wait until it is over */
enum outcome send_put(struct client *c, const char *key, size_t length, const char *value, size_t value_length,
                      enum request_kind kind, enum status *status);
void describe_read(struct client *c, size_t length); /* into `protocol` */
void describe_message(struct client *c);

/* Shared by the client's files. */
void open_replies(struct client *c);
void step(struct get *g);
void end_get(struct get *g, enum outcome outcome);
bool request_message(struct client *c, struct request request, const char *key, const void *value, size_t length);
bool wait_until(struct client *c, const bool *over);
