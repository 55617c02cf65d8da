/* The transport under test: UCX, connected to the other side, with a buffer that each exposes to the other.
 * What measured loops call is inline. */
#pragma once
#include "channel.h"
#include "fail.h"
#include "plan.h"
#include <ucp/api/ucp.h>

#define TURNS_PER_LOOK 4096 /* turns of an idle wait between looks at the peer: rare enough to cost nothing */
#define PROBE_SEQUENCE (UINT64_MAX - 1)
#define MESSAGE_ID 0

struct transport {
    struct plan plan;
    struct channel channel;
    bool serving, frame_waiting; /* a server is told by a frame that a phase is over */
    double wait_limit, wait_began;

    ucp_context_h context;
    ucp_worker_h worker;
    ucp_ep_h endpoint;
    ucp_mem_h memory;
    ucp_rkey_h key;
    uint8_t *receive, *send; /* the exposed buffer, and the private one; plan.size bytes each */
    uint64_t remote;         /* address of the peer's `receive` */

    bool check_contents;
    uint64_t received;  /* messages of this phase */
    uint64_t verified;  /* operations of this phase whose data was seen to be right */
    uint64_t announced; /* the other side's count: what it sent (server), what it received (client) */
};

void open_transport(struct transport *t);
void close_transport(struct transport *t);
void await_frame(struct transport *t);
void look_at_peer(struct transport *t, uint64_t turns);
bool holds(const struct transport *t, const uint8_t *buffer, uint64_t sequence);

static inline void check(ucs_status_t status, const char *what)
{
    if (status != UCS_OK)
        fail("%s: %s", what, ucs_status_string(status));
}

/* ---- waiting ---- */

/* One turn of a wait: let UCX work. `turns` starts at 0 for each wait. */
static inline void turn(struct transport *t, uint64_t *turns)
{
    ucp_worker_progress(t->worker);
    if (++*turns % TURNS_PER_LOOK == 0)
        look_at_peer(t, *turns);
}

/* Wait for a request to complete and free it. */
static inline void finish(struct transport *t, ucs_status_ptr_t request, const char *what)
{
    ucs_status_t status = UCS_PTR_STATUS(request);
    if (UCS_PTR_IS_PTR(request)) {
        for (uint64_t turns = 0; (status = ucp_request_check_status(request)) == UCS_INPROGRESS;)
            turn(t, &turns);
        ucp_request_free(request);
    }
    check(status, what);
}

static inline void flush(struct transport *t)
{
    ucp_request_param_t plain = {0};
    finish(t, ucp_worker_flush_nbx(t->worker, &plain), "flush");
}

/* ---- one operation ---- */

static inline uint64_t *last_word(const struct transport *t, uint8_t *buffer)
{
    return (uint64_t *)(void *)(buffer + t->plan.size - 8);
}

static inline ucs_status_ptr_t post(struct transport *t, const ucp_request_param_t *param)
{
    switch (t->plan.operation) {
    case PUT:
        return ucp_put_nbx(t->endpoint, t->send, t->plan.size, t->remote, t->key, param);
    case GET:
        return ucp_get_nbx(t->endpoint, t->receive, t->plan.size, t->remote, t->key, param);
    case MESSAGE:
        return ucp_am_send_nbx(t->endpoint, MESSAGE_ID, NULL, 0, t->send, t->plan.size, param);
    default:
        return NULL;
    }
}

/* Send to the other side: put number `sequence`, or a message. */
static inline ucs_status_ptr_t post_numbered(struct transport *t, uint64_t sequence)
{
    static const ucp_request_param_t plain = {0};
    if (t->plan.operation == PUT)
        *last_word(t, t->send) = sequence;
    return post(t, &plain);
}

/* Has number `sequence` of the other side arrived? */
static inline bool arrived(struct transport *t, uint64_t sequence)
{
    if (t->plan.operation == MESSAGE)
        return t->received >= sequence;
    return __atomic_load_n(last_word(t, t->receive), __ATOMIC_ACQUIRE) == sequence;
}

/* Tell the other side a count, over the transport under test. */
static inline void send_count(struct transport *t, uint64_t count)
{
    ucp_request_param_t plain = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS, .flags = UCP_AM_SEND_FLAG_EAGER};
    finish(t, ucp_am_send_nbx(t->endpoint, MESSAGE_ID, &count, sizeof count, NULL, 0, &plain), "sending a count");
}
