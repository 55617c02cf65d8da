/* Messages of the client: requests, replies, and waiting. */
#include "client.h"
#include "content.h"
#include "digest.h"
#include "fail.h"

#define TURNS_PER_LOOK 4096

/* ---- waiting: with UCX at work, and an eye on the server ---- */

static bool server_gone(struct client *c, double began)
{
    return c->failed != UCS_OK || (readable(c->socket) && at_end(c->socket)) || seconds() - began > ANSWER_S;
}

bool wait_until(struct client *c, const bool *over)
{
    double began = 0;
    for (uint64_t turns = 1; !*over; turns++) {
        ucp_worker_progress(c->worker);
        if (turns % TURNS_PER_LOOK)
            continue;
        if (began == 0)
            began = seconds();
        if (server_gone(c, began))
            return false;
    }
    return true;
}

/* When the server is gone, all GETs are over that still wait for a reply. */
void wait_for(struct client *c, unsigned count)
{
    double began = 0;
    for (uint64_t turns = 1; c->over_count < count; turns++) {
        ucp_worker_progress(c->worker);
        if (turns % TURNS_PER_LOOK)
            continue;
        if (began == 0)
            began = seconds();
        if (server_gone(c, began))
            fail("%s", outcome_text(c, SERVER_DEAD));
    }
}

enum outcome finish_get(struct get *g)
{
    struct client *c = g->client;
    begin_get(g);
    if (g->outcome == PENDING)
        wait_for(c, 1);
    c->over_count = 0;
    return g->outcome;
}

/* ---- requests ---- */

static void on_sent(void *request, ucs_status_t status, void *unused)
{
    (void)status, (void)unused; /* a request that got lost is one without a reply */
    ucp_request_free(request);
}

bool request_message(struct client *c, struct request request, const char *key, const void *value, size_t length)
{
    char header[sizeof request + MAX_KEY + 64];
    size_t key_length =
        request.key_length < sizeof header - sizeof request ? request.key_length : sizeof header - sizeof request;
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_CALLBACK,
        .flags = UCP_AM_SEND_FLAG_COPY_HEADER | UCP_AM_SEND_FLAG_REPLY,
        .cb.send = on_sent,
    };
    request.key_length = (uint32_t)key_length;
    memcpy(header, &request, sizeof request);
    memcpy(header + sizeof request, key, key_length);
    return !UCS_PTR_IS_ERR(
        ucp_am_send_nbx(c->endpoint, REQUEST_ID, header, sizeof request + key_length, value, length, &param));
}

/* ---- many objects asked for by one message ---- */

void begin_together(struct client *c)
{
    c->gathering = true;
    c->gathered_length = 0;
}

void gather(struct client *c, const struct get *g)
{
    struct wanted wanted = {g->ticket, (uint32_t)g->key_length};
    memcpy(c->gathered + c->gathered_length, &wanted, sizeof wanted);
    memcpy(c->gathered + c->gathered_length + sizeof wanted, g->key, g->key_length);
    c->gathered_length += sizeof wanted + g->key_length;
}

static void on_asked(void *request, ucs_status_t status, void *user)
{
    struct client *c = user;
    if (status != UCS_OK)
        c->failed = status;
    ucp_request_free(request);
}

bool ask_together(struct client *c)
{
    struct request request = {.kind = ASK_MANY};
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA,
        .flags = UCP_AM_SEND_FLAG_COPY_HEADER | UCP_AM_SEND_FLAG_REPLY | UCP_AM_SEND_FLAG_EAGER,
        .cb.send = on_asked,
        .user_data = c,
    };
    c->gathering = false;
    if (!c->gathered_length)
        return true;
    c->counts.messages++;
    return !UCS_PTR_IS_ERR(
        ucp_am_send_nbx(c->endpoint, REQUEST_ID, &request, sizeof request, c->gathered, c->gathered_length, &param));
}

enum outcome send_put(struct client *c, const char *key, size_t key_length, const char *value, size_t value_length,
                      enum request_kind kind, enum status *status)
{
    struct request request = {kind, UINT32_MAX, (uint32_t)key_length, 0};
    c->put_over = false;
    if (value_length > (size_t)MAX_LINES * LINE) { /* the server would say so, too */
        *status = VALUE_TOO_LARGE;
        return GOT;
    }
    if (!request_message(c, request, key, value, value_length))
        return READ_FAILED;
    if (!wait_until(c, &c->put_over))
        return SERVER_DEAD;
    *status = c->put_status;
    return GOT;
}

/* ---- replies ---- */

static void on_fetched(void *request, ucs_status_t status, size_t length, void *user)
{
    struct get *g = user;
    ucp_request_free(request);
    if (status != UCS_OK || length != (size_t)g->place.lines * LINE) {
        end_get(g, BAD_REPLY);
        return;
    }
    g->digested = false;
    g->phase = CHECK_ENTRY;
    step(g);
}

static ucs_status_t fetch_reply(struct get *g, void *data, size_t length)
{
    ucp_request_param_t fetch = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_NO_IMM_CMPL,
        .cb.recv_am = on_fetched,
        .user_data = g,
    };
    ucs_status_ptr_t request = ucp_am_recv_data_nbx(g->client->worker, data, g->buffer, length, &fetch);
    if (UCS_PTR_IS_PTR(request))
        return UCS_INPROGRESS;
    end_get(g, BAD_REPLY);
    return UCS_PTR_STATUS(request);
}

/* A small reply lies in UCX's buffer: it is copied from there, and its digest computed on the way. */
static void take_reply(struct get *g, const char *data)
{
    struct head *head = (struct head *)(void *)g->buffer;
    memcpy(g->buffer, data, LINE);
    g->claimed_digest = head->digest;
    head->digest = 0;
    g->digest = entry_digest(g->buffer, data + LINE, g->buffer + LINE, g->place.lines);
    g->digested = true;
    g->phase = CHECK_ENTRY;
    step(g);
}

static bool note_put(struct client *c, const struct reply *reply)
{
    if (reply->ticket != UINT32_MAX)
        return false;
    c->put_status = reply->status < STATUSES ? reply->status : ABSENT;
    c->put_over = true;
    return true;
}

static ucs_status_t on_reply(void *user, const void *header, size_t header_length, void *data, size_t length,
                             const ucp_am_recv_param_t *param)
{
    struct client *c = user;
    struct reply reply;
    if (header_length != sizeof reply)
        return UCS_OK;
    memcpy(&reply, header, sizeof reply);
    if (note_put(c, &reply))
        return UCS_OK;
    struct get *g = c->asked[reply.ticket % MAX_GETS];
    if (!g || g->ticket != reply.ticket) /* nobody waits for it */
        return UCS_OK;
    c->asked[reply.ticket % MAX_GETS] = NULL;
    if (reply.status != FOUND) {
        end_get(g, reply.status == ABSENT ? NOT_THERE : reply.status == KEY_TOO_LONG ? OVERSIZE_KEY : REFUSED);
    } else if (reply.lines == 0 || reply.lines > MAX_LINES || length != reply.lines * LINE) {
        end_get(g, BAD_REPLY);
    } else if (reply.lines > g->buffer_lines) {
        end_get(g, BUFFER_TOO_SMALL);
    } else {
        g->place = (struct place){.lines = (uint32_t)reply.lines};
        if (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV)
            return fetch_reply(g, data, length);
        take_reply(g, data);
    }
    return UCS_OK;
}

void open_replies(struct client *c)
{
    ucp_am_handler_param_t handler = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS | UCP_AM_HANDLER_PARAM_FIELD_CB |
                      UCP_AM_HANDLER_PARAM_FIELD_ARG,
        .id = REPLY_ID,
        .flags = UCP_AM_FLAG_WHOLE_MSG,
        .cb = on_reply,
        .arg = c,
    };
    ucs_status_t status = ucp_worker_set_am_recv_handler(c->worker, &handler);
    if (status != UCS_OK)
        fail("setting the message handler: %s", ucs_status_string(status));
}

/* ---- UCX's own words on how it does an operation ---- */

static void describe(struct client *c, ucs_status_ptr_t request)
{
    ucp_request_attr_t attributes = {
        .field_mask = UCP_REQUEST_ATTR_FIELD_INFO_STRING | UCP_REQUEST_ATTR_FIELD_INFO_STRING_SIZE,
        .debug_string = c->protocol,
        .debug_string_size = sizeof c->protocol,
    };
    if (!UCS_PTR_IS_PTR(request) || ucp_request_query(request, &attributes) != UCS_OK)
        fail("UCX does not tell how it does an operation: %s", ucs_status_string(UCS_PTR_STATUS(request)));
    for (double began = seconds(); ucp_request_check_status(request) == UCS_INPROGRESS;) {
        ucp_worker_progress(c->worker);
        if (server_gone(c, began))
            fail("%s", outcome_text(c, SERVER_DEAD));
    }
    ucp_request_free(request);
}

void describe_read(struct client *c, size_t length)
{
    static char into[(MAX_LINES + 1) * LINE];
    ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL};
    describe(c, ucp_get_nbx(c->endpoint, into, length, c->geometry.base, c->key, &param));
}

/* Of the request: how large replies come is the server's side. */
void describe_message(struct client *c)
{
    struct request request = {ASK_GET, UINT32_MAX - 1, OBJECT_KEY, 0};
    char header[sizeof request + OBJECT_KEY] = {0};
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FLAG_NO_IMM_CMPL,
        .flags = UCP_AM_SEND_FLAG_COPY_HEADER | UCP_AM_SEND_FLAG_REPLY,
    };
    memcpy(header, &request, sizeof request);
    describe(c, ucp_am_send_nbx(c->endpoint, REQUEST_ID, header, sizeof header, NULL, 0, &param));
}
