/* The client: one connection, and GETs in flight over it. Nothing that the server's memory or messages say is believed
 * before it is checked: places against the memory's bounds, entries by version and checksum, the server by its beat. */
#pragma once
#include "clock.h"
#include "options.h"
#include "table.h"
#include "wire.h"
#include <ucp/api/ucp.h>

#define MAX_GETS 256
#define MAX_ASKED (MAX_GETS * (sizeof(struct wanted) + MAX_KEY)) /* bytes of a message that asks for many */
#define GIVE_UP_S 2.0    /* the longest time that a GET tries again, while the object changes */
#define MOST_PASSES 3    /* over the index, before an object is said not to be there */
#define ANSWER_S (5.0 * patience) /* the longest wait for an answer */

enum design { NOTHING, RAW_COPY, RAW_GET, CACHED, LOOKUP, MESSAGE };

enum outcome {
    PENDING,
    GOT,
    NOT_THERE,
    GAVE_UP,
    OVERSIZE_KEY,
    OUT_OF_BOUNDS,
    BAD_REPLY,
    BUFFER_TOO_SMALL,
    SERVER_DEAD,
    SERVER_RESTARTED,
    READ_FAILED,
    REFUSED,
    OUTCOMES
};
extern const char *const outcome_texts[];

struct counts {
    uint64_t index_reads, entry_reads, messages, changed, moved;
    uint64_t read_at_beat, most_without_beat; /* entries read when the server last beat; the most read since a beat */
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
    ucs_status_t failed; /* why UCX gave up the connection, where it tells; else UCS_OK */
    enum status put_status;
    bool put_over;
    bool many; /* GETs are begun many at a time: an adapter is told of them together */
    bool gathering; /* what is asked for waits in `gathered`, for one message */
    char *gathered;
    size_t gathered_length;
    double lease_s, changed_at;
    uint64_t beat, next_look, look_ticks;
    char protocol[512]; /* UCX's words on the last operation that it was asked about */
};

void open_client(struct client *c, const struct options *options);
const char *outcome_text(const struct client *c, enum outcome outcome); /* with UCX's reason, if there is one */
void close_client(struct client *c);
enum outcome look_at_server(struct client *c); /* GOT, or SERVER_DEAD, or SERVER_RESTARTED */
struct mark mark(struct client *c);
void ask_for_writes(struct client *c, struct writing writing);

void begin_get(struct get *g); /* when it is over, it is in `over` */
void wait_for(struct client *c, unsigned count); /* until so many are over */
void begin_together(struct client *c);           /* what is asked for from now on is gathered */
bool ask_together(struct client *c);             /* send what was gathered; false: it cannot be sent */
enum outcome finish_get(struct get *g); /* begin, and wait until it is over */
enum outcome send_put(struct client *c, const char *key, size_t length, const char *value, size_t value_length,
                      enum request_kind kind, enum status *status);
void describe_read(struct client *c, size_t length); /* into `protocol` */
void describe_message(struct client *c);

/* Shared by the client's files. */
void open_replies(struct client *c);
void step(struct get *g);
void end_get(struct get *g, enum outcome outcome);
void gather(struct client *c, const struct get *g);
bool request_message(struct client *c, struct request request, const char *key, const void *value, size_t length);
bool wait_until(struct client *c, const bool *over);
