/* Requests that come as active messages, and their replies. Nothing in a request is believed. */
#include "fail.h"
#include "server.h"
#include <stdlib.h>

static void copy_value(void *value, size_t length, uint64_t hash, uint64_t version, const void *source)
{
    (void)hash, (void)version;
    memcpy(value, source, length);
}

static void on_sent(void *request, ucs_status_t status, void *unused)
{
    (void)status, (void)unused; /* of a client that is gone */
    ucp_request_free(request);
}

/* The entry is sent from where it lies: when it is overwritten meanwhile, the client's checksum tells. */
static void answer(struct server *s, ucp_ep_h client, struct reply reply, const void *entry)
{
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_CALLBACK,
        .flags = UCP_AM_SEND_FLAG_COPY_HEADER,
        .cb.send = on_sent,
    };
    size_t length = reply.lines * LINE;
    if (s->options->fault == FAULT_TRUNCATE && length)
        length -= LINE;
    (void)ucp_am_send_nbx(client, REPLY_ID, &reply, sizeof reply, entry, length, &param);
    s->mark.requests++;
    s->mark.bytes += length;
}

static void answer_get(struct server *s, ucp_ep_h client, const struct request *request, const char *key)
{
    struct place place = {0};
    enum status status = find(s->table, key, request->key_length, &place);
    struct reply reply = {request->ticket, status, place.lines};
    answer(s, client, reply, status == FOUND ? at_line(s->table, place.line) : NULL);
}

/* A put whose value is still to be fetched. */
struct arriving {
    struct arriving *next;
    struct peer *peer;
    ucp_ep_h client;
    struct request request;
    char key[MAX_KEY];
    size_t length;
    char value[];
};

static void finish_put(struct server *s, ucp_ep_h client, const struct request *request, const char *key,
                       const void *value, size_t length)
{
    enum status status = room_for(s->table, key, request->key_length, length);
    if (status == STORED && !keep_durably(s->durable, ASK_PUT, key, request->key_length, value, length))
        status = NOT_DURABLE;
    if (status == STORED)
        status = put(s->table, key, request->key_length, length, copy_value, value);
    answer(s, client, (struct reply){.ticket = request->ticket, .status = status}, NULL);
}

static void finish_discard(struct server *s, ucp_ep_h client, const struct request *request, const char *key)
{
    enum status status = NOT_DURABLE;
    if (keep_durably(s->durable, ASK_DISCARD, key, request->key_length, "", 0))
        status = discard(s->table, key, request->key_length);
    answer(s, client, (struct reply){.ticket = request->ticket, .status = status}, NULL);
}

/* Nothing after a key that cannot be is looked at. */
static void answer_many(struct server *s, ucp_ep_h client, const char *data, size_t length)
{
    struct wanted wanted;
    while (length >= sizeof wanted) {
        memcpy(&wanted, data, sizeof wanted);
        data += sizeof wanted;
        length -= sizeof wanted;
        if (wanted.key_length == 0 || wanted.key_length > MAX_KEY || wanted.key_length > length)
            return;
        struct request request = {ASK_GET, wanted.ticket, wanted.key_length, 0};
        answer_get(s, client, &request, data);
        data += wanted.key_length;
        length -= wanted.key_length;
    }
}

static void expect(struct arriving *a)
{
    a->next = a->peer->arriving;
    a->peer->arriving = a;
}

static void forget(struct arriving *a)
{
    struct arriving **link = &a->peer->arriving;
    while (*link != a)
        link = &(*link)->next;
    *link = a->next;
    free(a);
}

void forget_messages(struct peer *peer)
{
    while (peer->arriving)
        forget(peer->arriving);
}

static void on_fetched(void *request, ucs_status_t status, size_t length, void *user)
{
    struct arriving *a = user;
    if (status == UCS_OK && length == a->length)
        finish_put(a->peer->server, a->client, &a->request, a->key, a->value, length);
    forget(a);
    ucp_request_free(request);
}

static ucs_status_t fetch_put(struct peer *peer, ucp_ep_h client, const struct request *request, const char *key,
                              void *data, size_t length)
{
    struct arriving *a = length <= (size_t)MAX_LINES * LINE ? malloc(sizeof *a + length) : NULL;
    if (!a) {
        answer(peer->server, client, (struct reply){.ticket = request->ticket, .status = VALUE_TOO_LARGE}, NULL);
        return UCS_OK;
    }
    *a = (struct arriving){.peer = peer, .client = client, .request = *request, .length = length};
    expect(a);
    memcpy(a->key, key, request->key_length);
    ucp_request_param_t fetch = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_NO_IMM_CMPL,
        .cb.recv_am = on_fetched,
        .user_data = a,
    };
    ucs_status_ptr_t fetching = ucp_am_recv_data_nbx(peer->worker, data, a->value, length, &fetch);
    if (!UCS_PTR_IS_PTR(fetching)) {
        forget(a);
        return UCS_PTR_STATUS(fetching);
    }
    return UCS_INPROGRESS;
}

static ucs_status_t on_request(void *user, const void *header, size_t header_length, void *data, size_t length,
                               const ucp_am_recv_param_t *param)
{
    struct peer *peer = user;
    struct server *s = peer->server;
    struct request request;
    const char *key = (const char *)header + sizeof request;
    if (!(param->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) || header_length < sizeof request)
        return UCS_OK;
    memcpy(&request, header, sizeof request);
    if (request.key_length != header_length - sizeof request || request.kind >= REQUEST_KINDS)
        return UCS_OK;
    if (request.kind == ASK_MANY) {
        if (!(param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV)) /* which no client of ours sends */
            answer_many(s, param->reply_ep, data, length);
        return UCS_OK;
    }
    if (request.key_length == 0 || request.key_length > MAX_KEY) {
        answer(s, param->reply_ep, (struct reply){.ticket = request.ticket, .status = KEY_TOO_LONG}, NULL);
        return UCS_OK;
    }
    if (request.kind == ASK_GET)
        answer_get(s, param->reply_ep, &request, key);
    else if (request.kind == ASK_DISCARD)
        finish_discard(s, param->reply_ep, &request, key);
    else if (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV)
        return fetch_put(peer, param->reply_ep, &request, key, data, length);
    else
        finish_put(s, param->reply_ep, &request, key, data, length);
    return UCS_OK;
}

void open_messages(struct peer *peer)
{
    ucp_am_handler_param_t handler = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS | UCP_AM_HANDLER_PARAM_FIELD_CB |
                      UCP_AM_HANDLER_PARAM_FIELD_ARG,
        .id = REQUEST_ID,
        .flags = UCP_AM_FLAG_WHOLE_MSG,
        .cb = on_request,
        .arg = peer,
    };
    ucs_status_t status = ucp_worker_set_am_recv_handler(peer->worker, &handler);
    if (status != UCS_OK)
        fail("setting the message handler: %s", ucs_status_string(status));
}
