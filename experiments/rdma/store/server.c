#define _GNU_SOURCE
#include "server.h"
#include "clock.h"
#include "fail.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#define LOOK_S 0.001  /* between looks at the connections, and beats, of a server that polls */
#define SLEEP_MS 50   /* the longest sleep: the server still has to beat */
#define TURNS_PER_LOOK 256

static void check(ucs_status_t status, const char *what)
{
    if (status != UCS_OK)
        fail("%s: %s", what, ucs_status_string(status));
}

/* ---- opening ---- */

static void open_ucx(struct server *s)
{
    bool sleeping = s->options->sleeping;
    ucp_params_t context = {
        .field_mask = UCP_PARAM_FIELD_FEATURES,
        .features = UCP_FEATURE_AM | UCP_FEATURE_RMA | (sleeping ? UCP_FEATURE_WAKEUP : 0),
    };
    check(ucp_init(&context, NULL, &s->context), "starting UCX (does UCX_TLS name a transport of this host?)");
}

static void open_worker(struct server *s, struct peer *peer)
{
    ucp_worker_params_t worker = {
        .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
        .thread_mode = UCS_THREAD_MODE_SINGLE,
    };
    check(ucp_worker_create(s->context, &worker, &peer->worker), "creating a UCX worker");
    if (s->options->sleeping)
        check(ucp_worker_get_efd(peer->worker, &peer->events), "asking UCX for something to wait on");
    peer->server = s;
    open_messages(peer);
}

/* The memory that clients read; UCX allocates it, for only then do posix and sysv map it in the other process. */
static void *expose(struct server *s, uint64_t lines)
{
    ucp_mem_map_params_t wanted = {
        .field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS,
        .length = lines * LINE,
        .flags = UCP_MEM_MAP_ALLOCATE,
    };
    ucp_mem_attr_t got = {.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS};
    ucs_status_t status = ucp_mem_map(s->context, &wanted, &s->memory);
    if (status != UCS_OK)
        fail("allocating %" PRIu64 " MiB: %s (shared memory is limited: df /dev/shm)", lines * LINE >> 20,
             ucs_status_string(status));
    check(ucp_mem_query(s->memory, &got), "querying the memory");
    return got.address;
}

static void open_table(struct server *s)
{
    const struct options *o = s->options;
    uint64_t epoch, objects = o->capacity > o->preload ? o->capacity : o->preload;
    uint64_t heap = o->heap_mib ? (o->heap_mib << 20) / LINE : o->preload * entry_lines(16, o->size) + 4ull * MAX_LINES;
    uint64_t lines = 1 + buckets_for(objects) + heap;
    if (getrandom(&epoch, sizeof epoch, 0) != sizeof epoch)
        fail("no random number for the epoch: %s", strerror(errno));
    s->random = epoch;
    if (lines > UINT32_MAX)
        fail("%" PRIu64 " GiB are more than the index can address", lines * LINE >> 30);
    s->table = create_table(expose(s, lines), lines, objects, epoch);
    if (!s->table)
        fail("no memory for the table");
    populate(s);
    replay(s->durable, s->table);
}

static void announce(const struct server *s, int port)
{
    const struct table *t = s->table;
    printf("{\"event\":\"ready\",\"port\":%d,\"pid\":%d,\"objects\":%" PRIu64 ",\"index_bytes\":%" PRIu64
           ",\"heap_bytes\":%" PRIu64 "}\n",
           port, (int)getpid(), t->objects, t->geometry.buckets * LINE, t->heap_lines * LINE);
    if (fflush(stdout))
        fail("standard output: %s", strerror(errno));
}

/* ---- the TCP connections ---- */

static void drop(struct peer *peer)
{
    close(peer->socket);
    if (peer->worker)
        ucp_worker_destroy(peer->worker);
    forget_messages(peer);
    *peer = (struct peer){0};
}

static void admit(struct server *s)
{
    int client = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    for (int i = 0; client >= 0 && i < MAX_CLIENTS; i++)
        if (!s->peers[i].socket) {
            s->peers[i].socket = client;
            return;
        }
    if (client >= 0)
        close(client);
}

static bool welcome(struct server *s, struct peer *peer)
{
    struct welcome welcome = {.geometry = s->table->geometry};
    ucp_address_t *address;
    size_t address_length, key_length;
    void *key;
    if (peer->worker) /* it has been welcomed */
        return false;
    open_worker(s, peer);
    check(ucp_worker_get_address(peer->worker, &address, &address_length), "asking for the worker's address");
    check(ucp_rkey_pack(s->context, s->memory, &key, &key_length), "packing the remote key");
    if (address_length + key_length > MAX_BLOB)
        fail("UCX's address is larger than %u bytes", MAX_BLOB);
    welcome.address_length = (uint32_t)address_length;
    welcome.key_length = (uint32_t)key_length;
    memcpy(welcome.blobs, address, address_length);
    memcpy(welcome.blobs + address_length, key, key_length);
    ucp_worker_release_address(peer->worker, address);
    ucp_rkey_buffer_release(key);
    if (s->options->fault == FAULT_GEOMETRY)
        welcome.geometry.buckets = welcome.geometry.lines + 1;
    return send_frame(peer->socket, WELCOME, &welcome, sizeof welcome);
}

static bool writing_in_bounds(const struct server *s, const struct writing *w)
{
    return w->objects <= s->options->preload && w->size <= s->options->size;
}

/* Take the memory, and with it the key, from the clients that read it; then stand still, connected. */
static _Noreturn void deregister(struct server *s)
{
    check(ucp_mem_unmap(s->context, s->memory), "deregistering the memory");
    for (;;)
        pause();
}

static bool answer_frame(struct server *s, struct peer *peer)
{
    union {
        struct writing writing;
    } payload;
    enum frame type;
    size_t length;
    if (!receive_frame(peer->socket, &type, &payload, sizeof payload, &length))
        return false;
    s->mark.cpu_s = cpu_seconds();
    if (type == HELLO && length == 0)
        return welcome(s, peer);
    if (type == MARK && length == 0) {
        bool sent = send_frame(peer->socket, MARKED, &s->mark, sizeof s->mark);
        if (s->options->fault == FAULT_DEREGISTER)
            deregister(s);
        return sent;
    }
    if (type != WRITE || length != sizeof payload.writing || !writing_in_bounds(s, &payload.writing))
        return false;
    peer->writing = payload.writing;
    return send_frame(peer->socket, MARKED, &s->mark, sizeof s->mark);
}

static void look_at_connections(struct server *s)
{
    if (readable(s->listener))
        admit(s);
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (s->peers[i].socket && readable(s->peers[i].socket) && !answer_frame(s, &s->peers[i]))
            drop(&s->peers[i]);
}

/* ---- serving ---- */

/* Wait in the kernel until UCX or a connection has something, or it is time to beat. */
static void rest(struct server *s)
{
    struct pollfd watched[2 * MAX_CLIENTS + 1] = {{.fd = s->listener, .events = POLLIN}};
    nfds_t count = 1;
    for (struct peer *peer = s->peers; peer < s->peers + MAX_CLIENTS; peer++) {
        if (!peer->socket)
            continue;
        watched[count++] = (struct pollfd){.fd = peer->socket, .events = POLLIN};
        if (!peer->worker)
            continue;
        ucs_status_t status = ucp_worker_arm(peer->worker);
        if (status == UCS_ERR_BUSY) /* something came meanwhile */
            return;
        check(status, "arming a worker");
        watched[count++] = (struct pollfd){.fd = peer->events, .events = POLLIN};
    }
    poll(watched, count, SLEEP_MS);
    look_at_connections(s);
    beat(s->table);
}

static bool progress(struct server *s)
{
    unsigned done = 0;
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (s->peers[i].worker)
            done += ucp_worker_progress(s->peers[i].worker);
    return done > 0;
}

void serve(const struct options *options)
{
    static struct server server;
    struct server *s = &server;
    int port;
    s->options = options;
    s->durable = open_durable(options);
    s->listener = listen_at(options->host, &port);
    open_ucx(s);
    open_table(s);
    announce(s, port);
    double looked = seconds();
    for (uint64_t turns = 0;; turns++) {
        bool busy = progress(s);
        busy |= write_something(s);
        if (options->sleeping && !busy)
            rest(s);
        if (turns % TURNS_PER_LOOK == 0 && seconds() - looked > LOOK_S) {
            look_at_connections(s);
            beat(s->table);
            looked = seconds();
        }
    }
}
