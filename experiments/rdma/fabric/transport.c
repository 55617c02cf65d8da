#include "transport.h"
#include "clock.h"
#include <string.h>

/* ---- waiting ---- */

/* Called now and then while waiting: is the peer still there, did it send a frame, is it too late? */
void look_at_peer(struct transport *t, uint64_t turns)
{
    if (readable(&t->channel)) {
        if (!t->serving || at_end(&t->channel))
            fail("the %s went away", t->channel.peer);
        t->frame_waiting = true;
    }
    double now = seconds();
    if (turns == TURNS_PER_LOOK)
        t->wait_began = now;
    else if (now - t->wait_began > t->wait_limit)
        fail("the %s did not answer within %g s", t->channel.peer, t->wait_limit);
}

/* Wait for the next frame with UCX at work, since the peer may need this side to answer. */
void await_frame(struct transport *t)
{
    double until = seconds() + STALL_S;
    while (!readable(&t->channel)) {
        ucp_worker_progress(t->worker);
        if (seconds() > until)
            fail("the %s did not answer within %g s", t->channel.peer, STALL_S);
    }
    t->frame_waiting = false;
}

/* ---- contents: a pattern, and a sequence number in the last eight bytes ---- */

static uint64_t content(const struct transport *t, uint64_t index, uint64_t sequence)
{
    if (index == t->plan.size / 8 - 1)
        return sequence;
    uint64_t x = (index + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    return x ^ (x >> 27);
}

static void fill(const struct transport *t, uint8_t *buffer, uint64_t sequence)
{
    for (uint64_t i = 0; i < t->plan.size / 8; i++)
        memcpy(buffer + i * 8, &(uint64_t){content(t, i, sequence)}, 8);
}

bool holds(const struct transport *t, const uint8_t *buffer, uint64_t sequence)
{
    for (uint64_t i = 0; i < t->plan.size / 8; i++)
        if (memcmp(buffer + i * 8, &(uint64_t){content(t, i, sequence)}, 8) != 0)
            return false;
    return true;
}

/* ---- messages ---- */

/* Only the first message's contents are read: like ucx_perftest, what is timed is the arrival at the handler.
 * To read just the last word of a 4 KiB message in shared memory, too, cost 0.36 us more (0.43 to 0.79 us). */
static void on_data(struct transport *t, const uint8_t *data)
{
    if (!t->check_contents || holds(t, data, PROBE_SEQUENCE))
        t->verified++;
    t->received++;
}

static void on_fetched(void *request, ucs_status_t status, size_t length, void *user)
{
    struct transport *t = user;
    (void)length;
    check(status, "fetching a message");
    on_data(t, t->receive);
    ucp_request_free(request);
}

/* A count is in the header. Data that is small is here already and is looked at in place; large data is fetched. */
static ucs_status_t on_message(void *user, const void *header, size_t header_length, void *data, size_t length,
                               const ucp_am_recv_param_t *param)
{
    struct transport *t = user;
    if (header_length == sizeof t->announced) {
        memcpy(&t->announced, header, sizeof t->announced);
        return UCS_OK;
    }
    if (length != t->plan.size)
        fail("a message of %zu bytes came, not of %zu", length, (size_t)t->plan.size);
    if (!(param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV)) {
        on_data(t, data);
        return UCS_OK;
    }
    ucp_request_param_t fetch = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_NO_IMM_CMPL,
        .cb.recv_am = on_fetched,
        .user_data = t,
    };
    ucs_status_ptr_t request = ucp_am_recv_data_nbx(t->worker, data, t->receive, length, &fetch);
    if (!UCS_PTR_IS_PTR(request))
        check(UCS_PTR_STATUS(request), "fetching a message");
    return UCS_INPROGRESS;
}

/* ---- opening and closing ---- */

static void open_ucx(struct transport *t)
{
    ucp_params_t context = {
        .field_mask = UCP_PARAM_FIELD_FEATURES,
        .features = t->plan.operation == MESSAGE ? UCP_FEATURE_AM : UCP_FEATURE_RMA,
    };
    ucp_worker_params_t worker = {
        .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
        .thread_mode = UCS_THREAD_MODE_SINGLE,
    };
    ucp_am_handler_param_t handler = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                      UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG,
        .id = MESSAGE_ID,
        .flags = UCP_AM_FLAG_WHOLE_MSG,
        .cb = on_message,
        .arg = t,
    };
    check(ucp_init(&context, NULL, &t->context), "starting UCX (does UCX_TLS name a transport of this host?)");
    check(ucp_worker_create(t->context, &worker, &t->worker), "creating a UCX worker");
    if (t->plan.operation == MESSAGE)
        check(ucp_worker_set_am_recv_handler(t->worker, &handler), "setting the message handler");
}

/* UCX allocates the buffers itself: only then are posix and sysv able to reach them from the other process.
 * For cma, UCX_ALLOC_PRIO=mmap in the environment makes this ordinary memory. */
static void allocate_buffers(struct transport *t)
{
    size_t stride = (t->plan.size + 4095) & ~(size_t)4095;
    ucp_mem_map_params_t wanted = {
        .field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS,
        .length = 2 * stride,
        .flags = UCP_MEM_MAP_ALLOCATE,
    };
    ucp_mem_attr_t got = {.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS};
    check(ucp_mem_map(t->context, &wanted, &t->memory), "allocating the buffers");
    check(ucp_mem_query(t->memory, &got), "querying the buffers");
    t->receive = got.address;
    t->send = t->receive + stride;
    memset(t->receive, 0, 2 * stride);
    fill(t, t->send, 0);
    if (t->plan.operation == GET && t->serving)
        fill(t, t->receive, PROBE_SEQUENCE);
}

static void exchange(struct transport *t, enum frame type, const void *mine, size_t length, uint8_t theirs[MAX_BLOB])
{
    send_frame(&t->channel, type, mine, length);
    await_frame(t);
    receive_blob(&t->channel, type, theirs);
}

static void connect_endpoint(struct transport *t)
{
    ucp_address_t *mine;
    size_t length;
    uint8_t theirs[MAX_BLOB];
    ucp_ep_params_t endpoint = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS, .address = (void *)theirs};
    check(ucp_worker_get_address(t->worker, &mine, &length), "asking for the worker address");
    exchange(t, WORKER_ADDRESS, mine, length, theirs);
    ucp_worker_release_address(t->worker, mine);
    check(ucp_ep_create(t->worker, &endpoint, &t->endpoint), "connecting (is the other side within UCX_TLS's reach?)");
}

static void exchange_buffers(struct transport *t)
{
    void *mine;
    size_t length;
    uint8_t theirs[MAX_BLOB];
    check(ucp_rkey_pack(t->context, t->memory, &mine, &length), "packing the remote key");
    exchange(t, REMOTE_KEY, mine, length, theirs);
    ucp_rkey_buffer_release(mine);
    check(ucp_ep_rkey_unpack(t->endpoint, theirs, &t->key), "unpacking the remote key");
    send_frame(&t->channel, BUFFER, (const void *)&t->receive, sizeof t->receive);
    receive_frame(&t->channel, BUFFER, &t->remote, sizeof t->remote);
}

void open_transport(struct transport *t)
{
    t->wait_limit = STALL_S;
    open_ucx(t);
    allocate_buffers(t);
    connect_endpoint(t);
    exchange_buffers(t);
}

/* Only after the last operation has completed on both sides: the endpoint is not flushed. */
void close_transport(struct transport *t)
{
    ucp_rkey_destroy(t->key);
    ucp_mem_unmap(t->context, t->memory);
    ucp_worker_destroy(t->worker);
    ucp_cleanup(t->context);
}
