#define _GNU_SOURCE
#include "channel.h"
#include "fail.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ACCEPT_S 30.0 /* the longest wait of a server for its client */
#define MAGIC 0x62617266u

/* ---- connecting ---- */

static struct addrinfo *resolve(const char *host, const char *port, int flags)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error)
        fail("address %s: %s", host, gai_strerror(error));
    return found;
}

/* A socket whose connect, send and recv, each as a whole, end within STALL_S; accepted ones inherit that. */
static int open_socket(const struct addrinfo *where)
{
    struct timeval longest = {.tv_sec = (time_t)STALL_S};
    int opened = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (opened < 0 || setsockopt(opened, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest) ||
        setsockopt(opened, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest) ||
        setsockopt(opened, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)))
        fail("socket: %s", strerror(errno));
    return opened;
}

struct channel accept_client(const char *host)
{
    struct addrinfo *where = resolve(host, "0", AI_PASSIVE);
    struct pollfd listener = {.fd = open_socket(where), .events = POLLIN};
    struct sockaddr_in6 name = {0}; /* IPv4 has its port at the same place */
    if (bind(listener.fd, where->ai_addr, where->ai_addrlen) || listen(listener.fd, 1) ||
        getsockname(listener.fd, (struct sockaddr *)&name, &(socklen_t){sizeof name}))
        fail("cannot listen on %s: %s", host, strerror(errno));
    freeaddrinfo(where);
    printf("{\"event\":\"ready\",\"port\":%d}\n", ntohs(name.sin6_port));
    if (fflush(stdout))
        fail("standard output: %s", strerror(errno));
    if (poll(&listener, 1, (int)(ACCEPT_S * 1e3)) <= 0)
        fail("no client came within %g s", ACCEPT_S);
    int client = accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        fail("accept: %s", strerror(errno));
    close(listener.fd);
    return (struct channel){client, "client"};
}

struct channel connect_to(const char *host, const char *port)
{
    struct addrinfo *where = resolve(host, port, AI_NUMERICSERV);
    int server = open_socket(where);
    if (connect(server, where->ai_addr, where->ai_addrlen))
        fail("cannot connect to %s port %s: %s", host, port, strerror(errno == EINPROGRESS ? ETIMEDOUT : errno));
    freeaddrinfo(where);
    return (struct channel){server, "server"};
}

/* ---- bytes ---- */

bool readable(const struct channel *c)
{
    return poll(&(struct pollfd){.fd = c->socket, .events = POLLIN}, 1, 0) > 0;
}

bool at_end(const struct channel *c)
{
    return recv(c->socket, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

__attribute__((noreturn)) static void late(const struct channel *c)
{
    fail("the %s did not answer within %g s", c->peer, STALL_S);
}

__attribute__((noreturn)) static void lost(const struct channel *c)
{
    if (errno == EAGAIN)
        late(c);
    fail("the %s went away: %s", c->peer, strerror(errno));
}

static void send_bytes(const struct channel *c, const void *data, size_t length)
{
    ssize_t sent = send(c->socket, data, length, MSG_NOSIGNAL);
    if (sent < 0)
        lost(c);
    if (sent != (ssize_t)length)
        late(c); /* a call that ran out of time after some bytes returns their number */
}

/* Only the first call waits: it ends with all of the bytes unless the time or the connection is over. */
static void receive_bytes(const struct channel *c, void *data, size_t length)
{
    for (size_t got = 0; got < length;) {
        ssize_t n = recv(c->socket, (char *)data + got, length - got, got ? MSG_DONTWAIT : MSG_WAITALL);
        if (n < 0)
            lost(c);
        if (n == 0)
            fail("the %s closed the connection", c->peer);
        got += (size_t)n;
    }
}

/* ---- frames ---- */

struct header {
    uint32_t magic, type, length;
};

void send_frame(const struct channel *c, enum frame type, const void *payload, size_t length)
{
    send_bytes(c, &(struct header){MAGIC, type, (uint32_t)length}, sizeof(struct header));
    send_bytes(c, payload, length);
}

/* Receive the head of a frame whose payload is at most `limit` bytes. */
static struct header receive_header(const struct channel *c, size_t limit)
{
    struct header header;
    receive_bytes(c, &header, sizeof header);
    if (header.magic != MAGIC)
        fail("the %s sent something that is not fabric's protocol", c->peer);
    if (header.length > limit)
        fail("the %s sent %u bytes where at most %zu make sense", c->peer, header.length, limit);
    return header;
}

void receive_frame(const struct channel *c, enum frame type, void *payload, size_t length)
{
    struct header header = receive_header(c, length);
    if (header.type != type || header.length != length)
        fail("the %s sent frame %u of %u bytes, not frame %u of %zu bytes", c->peer, header.type, header.length, type,
             length);
    receive_bytes(c, payload, length);
}

void receive_blob(const struct channel *c, enum frame type, uint8_t blob[MAX_BLOB])
{
    struct header header = receive_header(c, MAX_BLOB);
    if (header.type != type || header.length == 0)
        fail("the %s sent frame %u of %u bytes, not frame %u", c->peer, header.type, header.length, type);
    receive_bytes(c, blob, header.length);
}

enum frame receive_signal(const struct channel *c)
{
    return receive_header(c, 0).type;
}
