/* Connecting, and whether the server lives. */
#include "client.h"
#include "fail.h"
#include <stdlib.h>

#define LOOK_S 0.01 /* between looks at the server's beat */

const char *const outcome_texts[] = {
    "pending",
    "got",
    "there is no such object",
    "the object was changing at each read for 2 s",
    "the key is empty or longer than 128 bytes",
    "the index points outside the server's memory",
    "the reply is truncated or has no valid entry",
    "the object is larger than the buffer",
    "the server does not live: its beat stands still, or it does not answer",
    "the server began a new epoch: connect again",
    "the transport could not read the server's memory",
    "the server refused",
};

const char *outcome_text(const struct client *c, enum outcome outcome)
{
    static char text[256];
    if (c->failed == UCS_OK || (outcome != READ_FAILED && outcome != SERVER_DEAD))
        return outcome_texts[outcome];
    (void)snprintf(text, sizeof text, "%s (%s)", outcome_texts[outcome], ucs_status_string(c->failed));
    return text;
}

static void check(ucs_status_t status, const char *what)
{
    if (status != UCS_OK)
        fail("%s: %s", what, ucs_status_string(status));
}

static void open_ucx(struct client *c)
{
    ucp_params_t context = {
        .field_mask = UCP_PARAM_FIELD_FEATURES,
        .features = UCP_FEATURE_AM | UCP_FEATURE_RMA,
    };
    ucp_worker_params_t worker = {
        .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
        .thread_mode = UCS_THREAD_MODE_SINGLE,
    };
    check(ucp_init(&context, NULL, &c->context), "starting UCX (does UCX_TLS name a transport of this host?)");
    check(ucp_worker_create(c->context, &worker, &c->worker), "creating a UCX worker");
    open_replies(c);
}

static void ask(struct client *c, enum frame type, const void *payload, size_t length, enum frame wanted, void *into,
                size_t into_length)
{
    enum frame got;
    size_t got_length;
    if (!send_frame(c->socket, type, payload, length))
        fail("the server closed the connection");
    for (double until = seconds() + CONTROL_S; !readable(c->socket);) {
        ucp_worker_progress(c->worker);
        if (seconds() > until)
            fail("the server did not answer within %g s", CONTROL_S);
    }
    if (!receive_frame(c->socket, &got, into, into_length, &got_length) || got != wanted || got_length != into_length)
        fail("the server closed the connection, or does not speak the store's protocol");
}

static void on_failure(void *user, ucp_ep_h endpoint, ucs_status_t status)
{
    struct client *c = user;
    (void)endpoint;
    c->failed = status;
}

/* An adapter tells when a peer is gone or refuses, and UCX hands that on if it is asked to, which changes what it does
 * for an operation. Shared memory and tcp are not asked: there the beat and the socket tell. */
static void connect_endpoint(struct client *c, const struct welcome *w, bool handle_errors)
{
    ucp_ep_params_t endpoint = {
        .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS,
        .address = (const ucp_address_t *)w->blobs,
        .err_mode = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler = {.cb = on_failure, .arg = c},
    };
    if (handle_errors)
        endpoint.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
    void *mapped;
    check(ucp_ep_create(c->worker, &endpoint, &c->endpoint), "connecting (is the server within UCX_TLS's reach?)");
    check(ucp_ep_rkey_unpack(c->endpoint, w->blobs + w->address_length, &c->key), "unpacking the remote key");
    if (ucp_rkey_ptr(c->key, c->geometry.base, &mapped) == UCS_OK)
        c->mapped = mapped;
}

void open_client(struct client *c, const struct options *options)
{
    struct welcome *welcome = calloc(1, sizeof *welcome);
    if (!welcome)
        fail("no memory");
    c->socket = connect_to(options->host, options->port);
    open_ucx(c);
    ask(c, HELLO, NULL, 0, WELCOME, welcome, sizeof *welcome);
    c->geometry = welcome->geometry;
    if (!geometry_in_bounds(&c->geometry) || welcome->address_length > MAX_BLOB ||
        welcome->key_length > MAX_BLOB - welcome->address_length)
        fail("the server tells of memory that cannot be");
    connect_endpoint(c, welcome, options->handle_errors);
    free(welcome);
    struct instant start = start_clock();
    c->lease_s = options->lease_s;
    c->changed_at = seconds();
    while (seconds() - c->changed_at < 0.002) /* long enough to know the length of a tick to 1 % */
        ;
    c->look_ticks = (uint64_t)(LOOK_S * 1e9 / ns_per_tick(start));
}

void close_client(struct client *c)
{
    ucp_rkey_destroy(c->key);
    ucp_worker_destroy(c->worker);
    ucp_cleanup(c->context);
    close(c->socket);
}

struct mark mark(struct client *c)
{
    struct mark got;
    ask(c, MARK, NULL, 0, MARKED, &got, sizeof got);
    return got;
}

void ask_for_writes(struct client *c, struct writing writing)
{
    struct mark ignored;
    ask(c, WRITE, &writing, sizeof writing, MARKED, &ignored, sizeof ignored);
}

/* ---- liveness: the memory of a dead server still answers, but its beat stands still ---- */

static bool read_header(struct client *c, struct header *header)
{
    static const ucp_request_param_t plain = {0};
    if (c->mapped) {
        const struct header *there = (const struct header *)c->mapped;
        header->epoch = there->epoch;
        header->heartbeat = __atomic_load_n(&there->heartbeat, __ATOMIC_ACQUIRE);
        return true;
    }
    static struct header arriving; /* outlives a read that is given up */
    ucs_status_ptr_t request = ucp_get_nbx(c->endpoint, &arriving, sizeof arriving, c->geometry.base, c->key, &plain);
    ucs_status_t status = UCS_PTR_STATUS(request);
    if (UCS_PTR_IS_PTR(request)) {
        for (double until = seconds() + c->lease_s; (status = ucp_request_check_status(request)) == UCS_INPROGRESS;) {
            ucp_worker_progress(c->worker);
            if (seconds() > until)
                return false;
        }
        ucp_request_free(request);
    }
    *header = arriving;
    if (status != UCS_OK)
        c->failed = status;
    return status == UCS_OK;
}

enum outcome look_at_server(struct client *c)
{
    struct header header;
    if (!read_header(c, &header))
        return c->failed == UCS_OK ? SERVER_DEAD : READ_FAILED;
    double now = seconds();
    if (header.epoch != c->geometry.epoch)
        return SERVER_RESTARTED;
    if (header.heartbeat != c->beat) {
        c->changed_at = now;
        c->counts.read_at_beat = c->counts.entry_reads;
    } else if (now - c->changed_at > c->lease_s) {
        return SERVER_DEAD;
    }
    uint64_t without_beat = c->counts.entry_reads - c->counts.read_at_beat;
    if (without_beat > c->counts.most_without_beat)
        c->counts.most_without_beat = without_beat;
    c->beat = header.heartbeat;
    c->next_look = ticks() + c->look_ticks;
    return GOT;
}
