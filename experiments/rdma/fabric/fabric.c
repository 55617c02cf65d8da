/* fabric: what does one operation cost on a transport, before any storage code runs?
 *
 *   fabric serve   --listen ADDR --cpu N
 *   fabric measure --connect ADDR:PORT --operation put|get|message --size BYTES --outstanding K
 *                  --iterations N --warmup N --max-seconds S --cpu N --samples FILE
 *   fabric null    --outstanding K --iterations N --warmup N --max-seconds S --cpu N --samples FILE
 *
 * `serve` prints {"event":"ready","port":N}, serves one client, and ends. `measure` times every operation itself,
 * writes the samples (float64, nanoseconds, in order) to FILE and prints one JSON object. `null` is the same loop
 * with the same clock around nothing at all: its samples are the floor below which `measure` cannot see.
 *
 * The transport is UCX's choice, guided by UCX_TLS and its kin in the environment; what UCX really chose is in the
 * JSON (`lanes`: ucp_ep_query; `protocol`: ucp_request_query on one operation of the measured kind and size).
 * Parameters, addresses and keys travel over a TCP connection of their own, beside the transport under test.
 * Lengths and bounds of what arrives there are checked, but the peer is not authenticated: use it on networks where
 * you would run ucx_perftest.
 *
 * One operation outstanding:
 *   put      both sides write into each other's memory in turn; a sample is half of the round trip
 *   message  the same with active messages
 *   get      one read; a sample is the full round trip, and ends when the data is here
 * A sample runs from the end of the one before to its own end, so nothing between two samples goes unseen.
 * More than one outstanding: a sample runs from posting an operation to its local completion; `elapsed_s` runs from
 * the first post until the far side has it all (put: flush; message: the far side's count; get: the data is here).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <cpuid.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <ucp/api/ucp.h>
#include <unistd.h>
#include <x86intrin.h>

#define STALL_S 5.0           /* the longest wait for one answer of the peer */
#define ACCEPT_S 30.0         /* the longest wait of a server for its client */
#define TURNS_PER_LOOK 4096   /* turns of an idle wait between looks at the peer: rare enough to cost nothing */
#define MAX_SIZE (1ull << 28)
#define MAX_OUTSTANDING 1024u
#define MAX_ITERATIONS 20000000u
#define MAX_SECONDS 600.0
#define MAX_BLOB 65536u       /* a worker address or a remote key; both take some hundred bytes */
#define MAX_LANES 16
#define INFO_LENGTH 512

enum operation { PUT, GET, MESSAGE, NOTHING };
static const char *const operation_names[] = {"put", "get", "message", "null"};

/* What the client asks for. It is sent as it is: both sides are x86-64. */
struct plan {
    uint32_t operation, outstanding;
    uint64_t size, iterations, warmup;
    double max_seconds;
};

/* What one side saw and spent during a phase. */
struct report {
    uint64_t operations, bytes, verified;
    double cpu_s;
};

struct options {
    struct plan plan;
    const char *host, *port, *samples;
    int cpu;
};

/* One side of a measurement. */
struct run {
    struct plan plan;
    int peer;                      /* the TCP connection beside the transport, or -1 */
    const char *peer_name;
    bool serving, frame_waiting;   /* a server is told by a frame that a phase is over */
    double wait_limit, wait_began;

    ucp_context_h context;
    ucp_worker_h worker;
    ucp_ep_h endpoint;
    ucp_mem_h memory;
    ucp_rkey_h key;
    uint8_t *receive, *send;       /* the exposed buffer, and the private one; plan.size bytes each */
    uint64_t remote;               /* address of the peer's `receive` */

    uint64_t received;             /* messages of this phase */
    uint64_t announced;            /* the other side's count: what it sent (server), what it received (client) */
    bool check_contents;
    uint64_t in_flight;
    char info[INFO_LENGTH];        /* UCX's own words on how it does the operation */

    uint64_t *samples;             /* ticks */
    uint64_t done, verified;       /* operations of this phase, and those whose data was seen to be right */
    uint64_t began, ended, limit;  /* ticks */
};

/* ---- errors ---- */

static void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void usage(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void complain(const char *format, va_list arguments)
{
    fputs("fabric: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    fflush(NULL);
}

/* Leave at once: neither exit handlers nor UCX's cleanup may wait for a peer that is gone. */
static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    _exit(1);
}

static void usage(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    _exit(2);
}

static void check(ucs_status_t status, const char *what)
{
    if (status != UCS_OK)
        fail("%s: %s", what, ucs_status_string(status));
}

/* ---- the clock ---- */

/* The fence keeps the reading from moving ahead of the load that saw the data arrive. */
static inline uint64_t ticks(void)
{
    _mm_lfence();
    return __rdtsc();
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct instant {
    uint64_t ticks;
    double seconds;
};

/* Read both clocks; of several tries keep the one with the least time between the readings. */
static struct instant both_clocks(void)
{
    struct instant best = {0, 0};
    uint64_t closest = UINT64_MAX;
    for (int i = 0; i < 16; i++) {
        uint64_t before = ticks();
        double now = seconds();
        uint64_t after = ticks();
        if (after - before < closest) {
            closest = after - before;
            best = (struct instant){before + closest / 2, now};
        }
    }
    return best;
}

static double ns_per_tick(struct instant from)
{
    struct instant to;
    do
        to = both_clocks();
    while (to.seconds - from.seconds < 0.02);
    return (to.seconds - from.seconds) * 1e9 / (double)(to.ticks - from.ticks);
}

static void require_invariant_tsc(void)
{
    unsigned eax, ebx, ecx, edx = 0;
    if (!__get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) || !(edx & (1u << 8)))
        fail("this CPU's time-stamp counter is not invariant, so its ticks are no time; use another host");
}

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Ticks between two readings with nothing in between: the median of many. */
static uint64_t timer_overhead(void)
{
    enum { COUNT = 4001 };
    static uint64_t spans[COUNT];
    for (int i = 0; i < COUNT; i++) {
        uint64_t before = ticks();
        spans[i] = ticks() - before;
    }
    qsort(spans, COUNT, sizeof *spans, by_value);
    return spans[COUNT / 2];
}

static double cpu_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        fail("cannot pin to CPU %d: %s", cpu, strerror(errno));
}

/* ---- the connection beside the transport: frames of {magic, type, length, payload} ---- */

#define MAGIC 0x62617266u
enum frame { HELLO = 1, WORKER_ADDRESS, REMOTE_KEY, PROBED, CHECKED, START, STARTED, DONE, REPORT, BYE };

struct frame_header {
    uint32_t magic, type, length;
};

/* Wait until the socket is ready for `events`, but not beyond the moment `until`. */
static void await_socket(const struct run *r, short events, double until)
{
    struct pollfd wanted = {.fd = r->peer, .events = events};
    double left = until - seconds();
    if (left <= 0 || poll(&wanted, 1, (int)(left * 1e3) + 1) == 0)
        fail("the %s did not answer within %g s", r->peer_name, STALL_S);
}

static void send_bytes(const struct run *r, const void *data, size_t length)
{
    double until = seconds() + STALL_S;
    for (size_t sent = 0; sent < length;) {
        ssize_t n = send(r->peer, (const char *)data + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EAGAIN)
            await_socket(r, POLLOUT, until);
        else if (errno != EINTR)
            fail("the %s went away: %s", r->peer_name, strerror(errno));
    }
}

static void receive_bytes(const struct run *r, void *data, size_t length)
{
    double until = seconds() + STALL_S;
    for (size_t got = 0; got < length;) {
        ssize_t n = recv(r->peer, (char *)data + got, length - got, MSG_DONTWAIT);
        if (n > 0)
            got += (size_t)n;
        else if (n == 0)
            fail("the %s closed the connection", r->peer_name);
        else if (errno == EAGAIN)
            await_socket(r, POLLIN, until);
        else if (errno != EINTR)
            fail("the %s went away: %s", r->peer_name, strerror(errno));
    }
}

static void send_frame(const struct run *r, enum frame type, const void *payload, size_t length)
{
    struct frame_header header = {MAGIC, type, (uint32_t)length};
    send_bytes(r, &header, sizeof header);
    send_bytes(r, payload, length);
}

/* Receive the head of a frame whose payload is at most `limit` bytes. */
static struct frame_header receive_header(const struct run *r, size_t limit)
{
    struct frame_header header;
    receive_bytes(r, &header, sizeof header);
    if (header.magic != MAGIC)
        fail("the %s sent something that is not fabric's protocol", r->peer_name);
    if (header.length > limit)
        fail("the %s sent %u bytes where at most %zu make sense", r->peer_name, header.length, limit);
    return header;
}

/* Receive a frame of known type and length. */
static void receive_frame(const struct run *r, enum frame type, void *payload, size_t length)
{
    struct frame_header header = receive_header(r, length);
    if (header.type != type || header.length != length)
        fail("the %s sent frame %u of %u bytes, not frame %u of %zu bytes", r->peer_name, header.type, header.length,
             type, length);
    receive_bytes(r, payload, length);
}

/* Receive a frame of variable length into memory that the caller frees. */
static void *receive_blob(const struct run *r, enum frame type, size_t shortest)
{
    struct frame_header header = receive_header(r, MAX_BLOB);
    if (header.type != type || header.length < shortest)
        fail("the %s sent frame %u of %u bytes, not frame %u", r->peer_name, header.type, header.length, type);
    void *blob = malloc(header.length);
    if (!blob)
        fail("out of memory");
    receive_bytes(r, blob, header.length);
    return blob;
}

static struct addrinfo *resolve(const char *host, const char *port, int flags)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error)
        fail("address %s: %s", host, gai_strerror(error));
    return found;
}

static int listen_on(const char *host)
{
    struct addrinfo *where = resolve(host, "0", AI_PASSIVE);
    int listener = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, where->ai_addr, where->ai_addrlen) || listen(listener, 1))
        fail("cannot listen on %s: %s", host, strerror(errno));
    freeaddrinfo(where);
    return listener;
}

static int port_of(int socket)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    if (getsockname(socket, (struct sockaddr *)&name, &length))
        fail("getsockname: %s", strerror(errno));
    return ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port
                                            : ((struct sockaddr_in *)&name)->sin_port);
}

static void use_socket(struct run *r, int socket)
{
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    r->peer = socket;
}

static void accept_client(struct run *r, int listener)
{
    struct pollfd wanted = {.fd = listener, .events = POLLIN};
    if (poll(&wanted, 1, (int)(ACCEPT_S * 1e3)) <= 0)
        fail("no client came within %g s", ACCEPT_S);
    int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (socket < 0)
        fail("accept: %s", strerror(errno));
    close(listener);
    use_socket(r, socket);
}

static void connect_to(struct run *r, const char *host, const char *port)
{
    struct addrinfo *where = resolve(host, port, AI_NUMERICSERV);
    int peer = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
    if (peer < 0)
        fail("socket: %s", strerror(errno));
    if (connect(peer, where->ai_addr, where->ai_addrlen)) {
        error = errno;
        if (error == EINPROGRESS) {
            struct pollfd wanted = {.fd = peer, .events = POLLOUT};
            socklen_t length = sizeof error;
            if (poll(&wanted, 1, (int)(STALL_S * 1e3)) == 0)
                error = ETIMEDOUT;
            else if (getsockopt(peer, SOL_SOCKET, SO_ERROR, &error, &length))
                error = errno;
        }
    }
    if (error)
        fail("cannot connect to %s port %s: %s", host, port, strerror(error));
    freeaddrinfo(where);
    use_socket(r, peer);
}

/* ---- waiting ---- */

/* Called now and then while waiting: is the peer still there, did it send a frame, is it too late? */
static void look_at_peer(struct run *r, uint64_t turns)
{
    struct pollfd look = {.fd = r->peer, .events = POLLIN};
    if (poll(&look, 1, 0) > 0) {
        char byte;
        if (r->serving && recv(r->peer, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
            r->frame_waiting = true;
        else
            fail("the %s went away", r->peer_name);
    }
    double now = seconds();
    if (turns == TURNS_PER_LOOK)
        r->wait_began = now;
    else if (now - r->wait_began > r->wait_limit)
        fail("the %s did not answer within %g s", r->peer_name, r->wait_limit);
}

/* One turn of a wait: let UCX work. `turns` starts at 0 for each wait. */
static inline void turn(struct run *r, uint64_t *turns)
{
    ucp_worker_progress(r->worker);
    if (++*turns % TURNS_PER_LOOK == 0)
        look_at_peer(r, *turns);
}

/* Wait for a request to complete and free it. */
static inline void finish(struct run *r, ucs_status_ptr_t request, const char *what)
{
    if (UCS_PTR_IS_PTR(request)) {
        ucs_status_t status;
        for (uint64_t turns = 0; (status = ucp_request_check_status(request)) == UCS_INPROGRESS;)
            turn(r, &turns);
        ucp_request_free(request);
        check(status, what);
    } else {
        check(UCS_PTR_STATUS(request), what);
    }
}

static void flush(struct run *r)
{
    ucp_request_param_t plain = {0};
    finish(r, ucp_worker_flush_nbx(r->worker, &plain), "flush");
}

/* Wait for the next frame with UCX at work, since the peer may need this side to answer. */
static void await_frame(struct run *r)
{
    struct pollfd look = {.fd = r->peer, .events = POLLIN};
    double until = seconds() + STALL_S;
    while (poll(&look, 1, 0) == 0) {
        ucp_worker_progress(r->worker);
        if (seconds() > until)
            fail("the %s did not answer within %g s", r->peer_name, STALL_S);
    }
    r->frame_waiting = false;
}

static void request_frame(struct run *r, enum frame ask, const void *payload, size_t length, enum frame answer,
                          void *into, size_t into_length)
{
    send_frame(r, ask, payload, length);
    await_frame(r);
    receive_frame(r, answer, into, into_length);
}

/* ---- contents: a pattern, and a sequence number in the last eight bytes ---- */

#define PROBE_SEQUENCE (UINT64_MAX - 1)

static uint64_t pattern(uint64_t index)
{
    uint64_t x = (index + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    return x ^ (x >> 27);
}

static uint64_t *last_word(const struct run *r, uint8_t *buffer)
{
    return (uint64_t *)(void *)(buffer + r->plan.size - 8);
}

static void fill(const struct run *r, uint8_t *buffer, uint64_t sequence)
{
    for (uint64_t i = 0; i < r->plan.size / 8 - 1; i++)
        memcpy(buffer + i * 8, &(uint64_t){pattern(i)}, 8);
    *last_word(r, buffer) = sequence;
}

static bool holds(const struct run *r, const uint8_t *buffer, uint64_t sequence)
{
    uint64_t word, last = r->plan.size / 8 - 1;
    for (uint64_t i = 0; i <= last; i++) {
        memcpy(&word, buffer + i * 8, 8);
        if (word != (i == last ? sequence : pattern(i)))
            return false;
    }
    return true;
}

/* ---- messages ---- */

enum { AM_DATA, AM_COUNT };

/* Only the first message's contents are read: like ucx_perftest, what is timed is the arrival at the handler.
 * To read just the last word of a 4 KiB message in shared memory, too, cost 0.36 us more (0.43 to 0.79 us). */
static void on_data(struct run *r, const uint8_t *data)
{
    if (!r->check_contents || holds(r, data, PROBE_SEQUENCE))
        r->verified++;
    r->received++;
}

static void on_fetched(void *request, ucs_status_t status, size_t length, void *user)
{
    struct run *r = user;
    check(status, "fetching a message");
    if (length != r->plan.size)
        fail("%zu bytes of a message came, not %" PRIu64, length, r->plan.size);
    on_data(r, r->receive);
    ucp_request_free(request);
}

/* A small message is here already and is looked at in place; the data of a large one has to be fetched. */
static ucs_status_t on_message(void *user, const void *header, size_t header_length, void *data, size_t length,
                               const ucp_am_recv_param_t *param)
{
    struct run *r = user;
    (void)header, (void)header_length;
    if (length != r->plan.size)
        fail("a message of %zu bytes came, not of %" PRIu64, length, r->plan.size);
    if (!(param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV)) {
        on_data(r, data);
        return UCS_OK;
    }
    ucp_request_param_t fetch = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_NO_IMM_CMPL,
        .cb.recv_am = on_fetched,
        .user_data = r,
    };
    ucs_status_ptr_t request = ucp_am_recv_data_nbx(r->worker, data, r->receive, length, &fetch);
    if (UCS_PTR_IS_ERR(request))
        fail("fetching a message: %s", ucs_status_string(UCS_PTR_STATUS(request)));
    return UCS_INPROGRESS;
}

static ucs_status_t on_count(void *user, const void *header, size_t header_length, void *data, size_t length,
                             const ucp_am_recv_param_t *param)
{
    struct run *r = user;
    (void)data, (void)length, (void)param;
    if (header_length == sizeof r->announced)
        memcpy(&r->announced, header, sizeof r->announced);
    return UCS_OK;
}

/* Tell the other side a count, over the transport under test. */
static void send_count(struct run *r, uint64_t count)
{
    ucp_request_param_t plain = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS, .flags = UCP_AM_SEND_FLAG_EAGER};
    finish(r, ucp_am_send_nbx(r->endpoint, AM_COUNT, &count, sizeof count, NULL, 0, &plain), "sending a count");
}

static void handle_messages(struct run *r, unsigned id, ucp_am_recv_callback_t callback)
{
    ucp_am_handler_param_t handler = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                      UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG,
        .id = id,
        .flags = UCP_AM_FLAG_WHOLE_MSG,
        .cb = callback,
        .arg = r,
    };
    check(ucp_worker_set_am_recv_handler(r->worker, &handler), "setting a message handler");
}

/* ---- setting up UCX ---- */

static void open_ucx(struct run *r)
{
    ucp_config_t *config;
    check(ucp_config_read(NULL, NULL, &config), "reading UCX's configuration");
    ucp_params_t context = {
        .field_mask = UCP_PARAM_FIELD_FEATURES,
        .features = r->plan.operation == MESSAGE ? UCP_FEATURE_AM : UCP_FEATURE_RMA,
    };
    check(ucp_init(&context, config, &r->context), "starting UCX (does UCX_TLS name a transport of this host?)");
    ucp_config_release(config);
    ucp_worker_params_t worker = {
        .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
        .thread_mode = UCS_THREAD_MODE_SINGLE,
    };
    check(ucp_worker_create(r->context, &worker, &r->worker), "creating a UCX worker");
    if (r->plan.operation == MESSAGE) {
        handle_messages(r, AM_DATA, on_message);
        handle_messages(r, AM_COUNT, on_count);
    }
}

/* UCX allocates the buffers itself: only then are posix and sysv able to reach them from the other process.
 * For cma, UCX_ALLOC_PRIO=mmap in the environment makes this ordinary memory. */
static void allocate_buffers(struct run *r)
{
    size_t stride = (r->plan.size + 4095) & ~(size_t)4095;
    ucp_mem_map_params_t wanted = {
        .field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS,
        .length = 2 * stride,
        .flags = UCP_MEM_MAP_ALLOCATE,
    };
    ucp_mem_attr_t got = {.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS | UCP_MEM_ATTR_FIELD_LENGTH};
    check(ucp_mem_map(r->context, &wanted, &r->memory), "allocating the buffers");
    check(ucp_mem_query(r->memory, &got), "querying the buffers");
    r->receive = got.address;
    r->send = r->receive + stride;
    memset(r->receive, 0, 2 * stride);
    fill(r, r->send, 0);
    if (r->plan.operation == GET && r->serving)
        fill(r, r->receive, PROBE_SEQUENCE);
}

static void exchange_addresses(struct run *r)
{
    ucp_address_t *mine;
    size_t length;
    check(ucp_worker_get_address(r->worker, &mine, &length), "asking for the worker address");
    send_frame(r, WORKER_ADDRESS, mine, length);
    ucp_worker_release_address(r->worker, mine);
    ucp_address_t *theirs = receive_blob(r, WORKER_ADDRESS, 1);
    ucp_ep_params_t endpoint = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS, .address = theirs};
    check(ucp_ep_create(r->worker, &endpoint, &r->endpoint), "connecting (is the other side within UCX_TLS's reach?)");
    free(theirs);
}

/* The key's frame starts with the address of the exposed buffer. */
static void exchange_keys(struct run *r)
{
    void *packed;
    size_t length;
    uint64_t address = (uintptr_t)r->receive;
    check(ucp_rkey_pack(r->context, r->memory, &packed, &length), "packing the remote key");
    uint8_t *mine = malloc(8 + length);
    if (!mine)
        fail("out of memory");
    memcpy(mine, &address, 8);
    memcpy(mine + 8, packed, length);
    ucp_rkey_buffer_release(packed);
    send_frame(r, REMOTE_KEY, mine, 8 + length);
    free(mine);

    await_frame(r);
    uint8_t *theirs = receive_blob(r, REMOTE_KEY, 9);
    memcpy(&r->remote, theirs, 8);
    check(ucp_ep_rkey_unpack(r->endpoint, theirs + 8, &r->key), "unpacking the remote key");
    free(theirs);
}

static void open_transport(struct run *r)
{
    r->wait_limit = STALL_S;
    open_ucx(r);
    allocate_buffers(r);
    exchange_addresses(r);
    exchange_keys(r);
}

static void close_transport(struct run *r)
{
    ucp_request_param_t plain = {0};
    ucp_rkey_destroy(r->key);
    ucs_status_ptr_t request = ucp_ep_close_nbx(r->endpoint, &plain);
    double until = seconds() + 1;
    while (UCS_PTR_IS_PTR(request) && ucp_request_check_status(request) == UCS_INPROGRESS && seconds() < until)
        ucp_worker_progress(r->worker);
    if (UCS_PTR_IS_PTR(request))
        ucp_request_free(request);
    ucp_mem_unmap(r->context, r->memory);
    ucp_worker_destroy(r->worker);
    ucp_cleanup(r->context);
    close(r->peer);
}

/* ---- one operation ---- */

static inline ucs_status_ptr_t post(struct run *r, const ucp_request_param_t *param)
{
    switch (r->plan.operation) {
    case PUT:
        return ucp_put_nbx(r->endpoint, r->send, r->plan.size, r->remote, r->key, param);
    case GET:
        return ucp_get_nbx(r->endpoint, r->receive, r->plan.size, r->remote, r->key, param);
    case MESSAGE:
        return ucp_am_send_nbx(r->endpoint, AM_DATA, NULL, 0, r->send, r->plan.size, param);
    default:
        return NULL;
    }
}

/* Has number `sequence` of the other side arrived? */
static inline bool arrived(struct run *r, uint64_t sequence)
{
    if (r->plan.operation == MESSAGE)
        return r->received >= sequence;
    return __atomic_load_n(last_word(r, r->receive), __ATOMIC_ACQUIRE) == sequence;
}

/* Send to the other side: put number `sequence`, or a message. */
static inline ucs_status_ptr_t post_numbered(struct run *r, uint64_t sequence)
{
    static const ucp_request_param_t plain = {0};
    if (r->plan.operation == PUT)
        *last_word(r, r->send) = sequence;
    return post(r, &plain);
}

static inline void ping(struct run *r, uint64_t sequence)
{
    ucs_status_ptr_t request = post_numbered(r, sequence);
    for (uint64_t turns = 0; !arrived(r, sequence);)
        turn(r, &turns);
    finish(r, request, "sending");
}

/* The last word is cleared first, so that each read shows that it brought the data. */
static inline void fetch(struct run *r)
{
    static const ucp_request_param_t plain = {0};
    uint64_t *word = last_word(r, r->receive);
    __atomic_store_n(word, 0, __ATOMIC_RELEASE);
    finish(r, post(r, &plain), "reading");
    r->verified += __atomic_load_n(word, __ATOMIC_ACQUIRE) == PROBE_SEQUENCE;
}

static inline void once(struct run *r, uint64_t sequence)
{
    if (r->plan.operation == GET)
        fetch(r);
    else if (r->plan.operation != NOTHING)
        ping(r, sequence);
}

/* ---- the two loops of the client ---- */

static void one_at_a_time(struct run *r, uint64_t count)
{
    uint64_t before = r->began = ticks();
    for (r->done = 0; r->done < count && before - r->began < r->limit; r->done++) {
        once(r, r->done + 1);
        uint64_t now = ticks();
        r->samples[r->done] = now - before;
        before = now;
    }
    r->ended = before;
}

/* While an operation is in flight, its sample holds the moment it was posted. */
static struct run *windowed;

static void on_completion(void *request, ucs_status_t status, void *sample)
{
    *(uint64_t *)sample = ticks() - *(uint64_t *)sample;
    check(status, operation_names[windowed->plan.operation]);
    windowed->in_flight--;
    ucp_request_free(request);
}

/* Wait until the other side has everything, and not only until this side may forget it. */
static void settle(struct run *r)
{
    if (r->plan.operation == PUT)
        flush(r);
    if (r->plan.operation == MESSAGE) {
        send_count(r, r->done);
        for (uint64_t turns = 0; r->announced != r->done;)
            turn(r, &turns);
    }
}

static void many_at_a_time(struct run *r, uint64_t count)
{
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_MULTI_SEND,
        .cb.send = on_completion,
    };
    windowed = r;
    uint64_t now = r->began = ticks();
    for (r->done = 0; r->done < count && now - r->began < r->limit; r->done++) {
        for (uint64_t turns = 0; r->in_flight >= r->plan.outstanding;)
            turn(r, &turns);
        uint64_t *sample = &r->samples[r->done];
        param.user_data = sample;
        *sample = now = ticks();
        ucs_status_ptr_t request = post(r, &param);
        if (UCS_PTR_IS_PTR(request)) {
            r->in_flight++;
        } else {
            check(UCS_PTR_STATUS(request), operation_names[r->plan.operation]);
            *sample = ticks() - *sample;
        }
    }
    for (uint64_t turns = 0; r->in_flight > 0;)
        turn(r, &turns);
    settle(r);
    r->ended = ticks();
}

static void loop(struct run *r, uint64_t count)
{
    if (r->plan.outstanding == 1)
        one_at_a_time(r, count);
    else
        many_at_a_time(r, count);
}

/* ---- phases: a probe, the warm-up, the timed part ---- */

static void begin_phase(struct run *r)
{
    r->received = r->verified = r->done = 0;
    r->announced = UINT64_MAX;
    r->check_contents = false;
    if (r->plan.operation == PUT)
        *last_word(r, r->receive) = 0;
}

/* Was what one side can know about the contents right? A target of one-sided operations knows little. */
static struct report report(const struct run *r, double cpu_s)
{
    struct report seen = {.cpu_s = cpu_s};
    switch (r->plan.operation) {
    case PUT:
        if (r->plan.outstanding == 1)
            seen = (struct report){r->done, r->done * r->plan.size, holds(r, r->receive, r->done) ? r->done : 0, cpu_s};
        else if (r->serving)
            seen = (struct report){1, r->plan.size, holds(r, r->receive, *last_word(r, r->receive)), cpu_s};
        break;
    case GET:
        if (!r->serving)
            seen = (struct report){r->done, r->done * r->plan.size, r->verified, cpu_s};
        break;
    case MESSAGE:
        seen = (struct report){r->received, r->received * r->plan.size, r->verified, cpu_s};
        break;
    }
    return seen;
}

/* Do one operation that UCX must report on, let the peer check its contents, and keep UCX's words. */
static void probe(struct run *r)
{
    ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL};
    if (r->plan.outstanding > 1)
        param.op_attr_mask |= UCP_OP_ATTR_FLAG_MULTI_SEND;
    begin_phase(r);
    *last_word(r, r->send) = PROBE_SEQUENCE;
    ucs_status_ptr_t request = post(r, &param);
    if (!UCS_PTR_IS_PTR(request))
        fail("UCX does not tell how it does a %s: %s", operation_names[r->plan.operation],
             ucs_status_string(UCS_PTR_STATUS(request)));
    ucp_request_attr_t attributes = {
        .field_mask = UCP_REQUEST_ATTR_FIELD_INFO_STRING | UCP_REQUEST_ATTR_FIELD_INFO_STRING_SIZE,
        .debug_string = r->info,
        .debug_string_size = sizeof r->info,
    };
    check(ucp_request_query(request, &attributes), "asking how the operation was done");
    finish(r, request, operation_names[r->plan.operation]);
    flush(r);
    uint32_t right;
    request_frame(r, PROBED, NULL, 0, CHECKED, &right, sizeof right);
    if (r->plan.operation == GET)
        right = holds(r, r->receive, PROBE_SEQUENCE);
    if (right != 1)
        fail("the data of the first %s did not arrive as it was sent", operation_names[r->plan.operation]);
}

/* Run one phase with the server; return what it saw. `mine` is what this side saw. */
static struct report run_phase(struct run *r, uint64_t count, struct report *mine)
{
    struct report theirs;
    uint32_t ready;
    begin_phase(r);
    request_frame(r, START, NULL, 0, STARTED, &ready, sizeof ready);
    double cpu = cpu_seconds();
    loop(r, count);
    cpu = cpu_seconds() - cpu;
    if (r->plan.operation == PUT && r->plan.outstanding > 1) {
        finish(r, post_numbered(r, r->done), "the last put"); /* a mark for the server to check, not timed */
        flush(r);
    }
    request_frame(r, DONE, &r->done, sizeof r->done, REPORT, &theirs, sizeof theirs);
    if (r->plan.operation == GET && r->plan.outstanding > 1)
        r->verified = holds(r, r->receive, PROBE_SEQUENCE); /* of the reads into one buffer only the last shows */
    *mine = report(r, cpu);
    return theirs;
}

/* ---- the server ---- */

/* Answer each put or message with one, until the client says that it is done. */
static void echo(struct run *r)
{
    for (r->done = 0;; r->done++) {
        for (uint64_t turns = 0; !arrived(r, r->done + 1);) {
            if (r->frame_waiting)
                return;
            turn(r, &turns);
        }
        finish(r, post_numbered(r, r->done + 1), "answering");
    }
}

/* Let UCX work until the client says that it is done; confirm the messages once all that it sent are here. */
static void attend(struct run *r)
{
    for (uint64_t turns = 0; !r->frame_waiting;) {
        turn(r, &turns);
        if (r->announced == r->received) {
            r->announced = UINT64_MAX;
            send_count(r, r->received);
        }
    }
}

static void serve_probe(struct run *r)
{
    bool message = r->plan.operation == MESSAGE;
    for (uint64_t turns = 0; message && r->received == 0;)
        turn(r, &turns);
    uint32_t right = message ? r->verified == 1 : holds(r, r->receive, PROBE_SEQUENCE);
    send_frame(r, CHECKED, &right, sizeof right);
}

static void serve_phase(struct run *r)
{
    bool answers = r->plan.outstanding == 1 && r->plan.operation != GET;
    begin_phase(r);
    r->wait_limit = answers ? STALL_S : r->plan.max_seconds + STALL_S;
    double cpu = cpu_seconds();
    send_frame(r, STARTED, &(uint32_t){1}, sizeof(uint32_t));
    if (answers)
        echo(r);
    else
        attend(r);
    cpu = cpu_seconds() - cpu;
    r->wait_limit = STALL_S;

    uint64_t claimed;
    receive_frame(r, DONE, &claimed, sizeof claimed);
    struct report seen = report(r, cpu);
    if (answers && claimed != seen.operations)
        fail("the client claims %" PRIu64 " operations, %" PRIu64 " were seen here", claimed, seen.operations);
    send_frame(r, REPORT, &seen, sizeof seen);
}

static void check_plan(const struct plan *plan)
{
    if (plan->operation > MESSAGE || plan->size < 8 || plan->size > MAX_SIZE || plan->size % 8 ||
        plan->outstanding < 1 || plan->outstanding > MAX_OUTSTANDING || plan->iterations < 1 ||
        plan->iterations > MAX_ITERATIONS || plan->warmup > MAX_ITERATIONS || !(plan->max_seconds > 0) ||
        !(plan->max_seconds <= MAX_SECONDS))
        fail("the client asks for something out of bounds");
}

static void serve(const struct options *options)
{
    struct run r = {.serving = true, .peer_name = "client", .check_contents = true};
    pin(options->cpu);
    int listener = listen_on(options->host);
    printf("{\"event\":\"ready\",\"port\":%d}\n", port_of(listener));
    fflush(stdout);
    accept_client(&r, listener);
    receive_frame(&r, HELLO, &r.plan, sizeof r.plan);
    check_plan(&r.plan);
    open_transport(&r);
    for (;;) {
        await_frame(&r);
        switch (receive_header(&r, 0).type) {
        case PROBED:
            serve_probe(&r);
            break;
        case START:
            serve_phase(&r);
            break;
        case BYE:
            close_transport(&r);
            return;
        default:
            fail("the client sent a frame that makes no sense here");
        }
    }
}

/* ---- the client ---- */

static void prepare_samples(struct run *r)
{
    uint64_t most = r->plan.warmup > r->plan.iterations ? r->plan.warmup : r->plan.iterations;
    r->samples = malloc(most * sizeof *r->samples);
    if (!r->samples)
        fail("no memory for %" PRIu64 " samples", most);
    memset(r->samples, 0xff, most * sizeof *r->samples); /* so that no page is touched first while timing */
}

/* Write the samples beside FILE and rename, so that FILE is whole or absent. */
static void write_samples(const struct run *r, const char *path, double ns_per_sample_tick)
{
    char partial[4096];
    if (snprintf(partial, sizeof partial, "%s.partial", path) >= (int)sizeof partial)
        fail("the path of the samples is too long");
    FILE *file = fopen(partial, "wb");
    if (!file)
        fail("cannot write %s: %s", partial, strerror(errno));
    for (uint64_t i = 0; i < r->done; i++)
        fwrite(&(double){(double)r->samples[i] * ns_per_sample_tick}, sizeof(double), 1, file);
    if (ferror(file) | fclose(file) || rename(partial, path))
        fail("cannot write %s: %s", path, strerror(errno));
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
    for (unsigned i = 0; i < attributes.transports.num_entries; i++) {
        char lane[128];
        snprintf(lane, sizeof lane, "%s/%s", entries[i].transport_name, entries[i].device_name);
        fputs(i ? "," : "", stdout);
        print_string(lane);
    }
}

static void print_report(const char *side, struct report seen, const char *counts)
{
    printf(",\"%s\":{\"operations\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"verified\":%" PRIu64 ",\"counts\":\"%s\"}", side,
           seen.operations, seen.bytes, seen.verified, counts);
}

/* What `operations` of each side means: with one-sided operations one side sees little. */
static void print_evidence(const struct run *r, struct report client, struct report server)
{
    bool single = r->plan.outstanding == 1;
    switch (r->plan.operation) {
    case PUT:
        print_report("client", client, single ? "each put of the server, by its number" : "nothing");
        print_report("server", server, single ? "each put of the client, by its number" : "the contents of the last put");
        break;
    case GET:
        print_report("client", client, single ? "each read, by its last word" : "reads; verified: the contents of the last");
        print_report("server", server, "nothing");
        break;
    case MESSAGE:
        print_report("client", client, single ? "each answer, and its length" : "nothing");
        print_report("server", server, "each message, and its length");
        break;
    }
}

static const char *span(const struct plan *plan)
{
    if (plan->operation == NOTHING)
        return plan->outstanding == 1 ? "one turn of the loop" : "post to return";
    if (plan->outstanding > 1)
        return "post to local completion";
    return plan->operation == GET ? "full round trip" : "half round trip";
}

static const char *completion(const struct plan *plan)
{
    if (plan->operation == NOTHING)
        return "none";
    if (plan->operation == GET)
        return "local: the data has arrived";
    if (plan->outstanding == 1)
        return "remote: the other side has seen the data and has answered";
    return plan->operation == PUT ? "local; elapsed_s ends with a flush of the far side"
                                  : "local; elapsed_s ends with the far side's count";
}

static void print_result(const struct run *r, double tick_ns, double overhead_ns, double cpu_s)
{
    const struct plan *plan = &r->plan;
    unsigned directions = plan->outstanding == 1 && (plan->operation == PUT || plan->operation == MESSAGE) ? 2 : 1;
    printf("{\"operation\":\"%s\",\"size_bytes\":%" PRIu64 ",\"outstanding\":%u,\"iterations\":%" PRIu64
           ",\"iterations_done\":%" PRIu64 ",\"stopped_early\":%s",
           operation_names[plan->operation], plan->size, plan->outstanding, plan->iterations, r->done,
           r->done < plan->iterations ? "true" : "false");
    printf(",\"elapsed_s\":%.9f,\"bytes_moved\":%" PRIu64 ",\"span\":\"%s\",\"completion\":\"%s\"",
           (double)(r->ended - r->began) * tick_ns * 1e-9, r->done * plan->size * directions, span(plan),
           completion(plan));
    printf(",\"ns_per_tick\":%.9f,\"timer_overhead_ns\":%.3f,\"cpu_client_s\":%.6f,\"cpu_pinned\":%d", tick_ns,
           overhead_ns, cpu_s, sched_getcpu());
}

static void prepare(struct run *r, const struct options *options, struct instant *start)
{
    require_invariant_tsc();
    pin(options->cpu);
    r->plan = options->plan;
    prepare_samples(r);
    *start = both_clocks();
    double limit = r->plan.max_seconds * 1e9 / ns_per_tick(*start);
    r->limit = (uint64_t)limit;
}

static void measure(const struct options *options)
{
    struct run r = {.peer_name = "server"};
    struct instant start;
    struct report mine, theirs;
    prepare(&r, options, &start);
    connect_to(&r, options->host, options->port);
    send_frame(&r, HELLO, &r.plan, sizeof r.plan);
    open_transport(&r);
    probe(&r);
    if (r.plan.warmup > 0)
        run_phase(&r, r.plan.warmup, &mine);
    theirs = run_phase(&r, r.plan.iterations, &mine);

    double tick_ns = ns_per_tick(start);
    bool half = r.plan.outstanding == 1 && r.plan.operation != GET;
    write_samples(&r, options->samples, half ? tick_ns / 2 : tick_ns);
    print_result(&r, tick_ns, (double)timer_overhead() * tick_ns, mine.cpu_s);
    printf(",\"cpu_server_s\":%.6f,\"protocol\":", theirs.cpu_s);
    print_string(r.info);
    printf(",\"lanes\":[");
    print_lanes(r.endpoint);
    printf("]");
    print_evidence(&r, mine, theirs);
    printf(",\"ucx_version\":\"%s\"}\n", ucp_get_version_string());
    send_frame(&r, BYE, NULL, 0);
    close_transport(&r);
    free(r.samples);
}

static void measure_nothing(const struct options *options)
{
    struct run r = {.peer = -1};
    struct instant start;
    prepare(&r, options, &start);
    r.plan.operation = NOTHING;
    loop(&r, r.plan.warmup);
    double cpu = cpu_seconds();
    loop(&r, r.plan.iterations);
    cpu = cpu_seconds() - cpu;
    double tick_ns = ns_per_tick(start);
    write_samples(&r, options->samples, tick_ns);
    print_result(&r, tick_ns, (double)timer_overhead() * tick_ns, cpu);
    printf("}\n");
    free(r.samples);
}

/* ---- the command line ---- */

static double number(const char *name, const char *text, double least, double most, bool whole)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (errno || end == text || *end || !(value >= least && value <= most) || (whole && value != (double)(uint64_t)value))
        usage("--%s %s: expected a %snumber from %.15g to %.15g", name, text, whole ? "whole " : "", least, most);
    return value;
}

static uint32_t parse_operation(const char *text)
{
    for (uint32_t i = PUT; i <= MESSAGE; i++)
        if (!strcmp(text, operation_names[i]))
            return i;
    usage("--operation %s: expected put, get or message", text);
}

/* Split ADDR:PORT, or [ADDR]:PORT, in place. */
static void parse_address(char *text, struct options *options)
{
    char *colon = strrchr(text, ':');
    if (!colon || colon == text || !colon[1])
        usage("--connect %s: expected ADDR:PORT", text);
    *colon = '\0';
    options->port = colon + 1;
    number("connect: port", options->port, 1, 65535, true);
    if (*text == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        text++;
    }
    options->host = text;
}

enum { LISTEN = 1, CONNECT, OPERATION, SIZE, OUTSTANDING, ITERATIONS, WARMUP, LIMIT, CPU, SAMPLES, OPTION_COUNT };
#define BIT(option) (1u << (option))
#define SAMPLING (BIT(OUTSTANDING) | BIT(ITERATIONS) | BIT(WARMUP) | BIT(LIMIT) | BIT(CPU) | BIT(SAMPLES))

static const struct option long_options[] = {
    {"listen", required_argument, NULL, LISTEN},
    {"connect", required_argument, NULL, CONNECT},
    {"operation", required_argument, NULL, OPERATION},
    {"size", required_argument, NULL, SIZE},
    {"outstanding", required_argument, NULL, OUTSTANDING},
    {"iterations", required_argument, NULL, ITERATIONS},
    {"warmup", required_argument, NULL, WARMUP},
    {"max-seconds", required_argument, NULL, LIMIT},
    {"cpu", required_argument, NULL, CPU},
    {"samples", required_argument, NULL, SAMPLES},
    {0},
};

static void parse_option(int option, char *text, struct options *options)
{
    struct plan *plan = &options->plan;
    switch (option) {
    case LISTEN: options->host = text; break;
    case CONNECT: parse_address(text, options); break;
    case OPERATION: plan->operation = parse_operation(text); break;
    case SIZE:
        plan->size = (uint64_t)number("size", text, 8, (double)MAX_SIZE, true);
        if (plan->size % 8)
            usage("--size %s: expected a multiple of 8", text);
        break;
    case OUTSTANDING: plan->outstanding = (uint32_t)number("outstanding", text, 1, MAX_OUTSTANDING, true); break;
    case ITERATIONS: plan->iterations = (uint64_t)number("iterations", text, 1, MAX_ITERATIONS, true); break;
    case WARMUP: plan->warmup = (uint64_t)number("warmup", text, 0, MAX_ITERATIONS, true); break;
    case LIMIT: plan->max_seconds = number("max-seconds", text, 0.001, MAX_SECONDS, false); break;
    case CPU: options->cpu = (int)number("cpu", text, 0, CPU_SETSIZE - 1, true); break;
    case SAMPLES: options->samples = text; break;
    default: usage("see the head of fabric.c for the options");
    }
}

/* Each command takes exactly the options of `wanted`, all of them. */
static void parse_options(int argc, char **argv, unsigned wanted, struct options *options)
{
    unsigned given = 0;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == '?' || !(wanted & BIT(option)))
            usage("%s: option not known here, or without its value", argv[optind - 1]);
        parse_option(option, optarg, options);
        given |= BIT(option);
    }
    if (optind < argc)
        usage("%s: not an option", argv[optind]);
    for (const struct option *each = long_options; each->name; each++)
        if (wanted & ~given & BIT(each->val))
            usage("--%s is missing", each->name);
}

int main(int argc, char **argv)
{
    struct options options = {0};
    const char *command = argc > 1 ? argv[1] : "";
    if (!strcmp(command, "serve")) {
        parse_options(argc - 1, argv + 1, BIT(LISTEN) | BIT(CPU), &options);
        serve(&options);
    } else if (!strcmp(command, "measure")) {
        parse_options(argc - 1, argv + 1, SAMPLING | BIT(CONNECT) | BIT(OPERATION) | BIT(SIZE), &options);
        measure(&options);
    } else if (!strcmp(command, "null")) {
        parse_options(argc - 1, argv + 1, SAMPLING, &options);
        measure_nothing(&options);
    } else {
        usage("expected one of: serve, measure, null");
    }
    if (fflush(stdout))
        fail("cannot write the result: %s", strerror(errno));
    return 0;
}
