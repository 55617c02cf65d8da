#define _GNU_SOURCE
#include "fail.h"
#include "wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#define FRAME_MAGIC 0x62707374u

double patience = 1;

struct frame_header {
    uint32_t magic, type, length;
};

static struct addrinfo *resolve(const char *host, const char *port, int flags)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error)
        fail("address %s: %s", host, gai_strerror(error));
    return found;
}

/* A socket whose calls end within CONTROL_S; accepted ones inherit that. */
static int open_socket(const struct addrinfo *where)
{
    struct timeval longest = {.tv_sec = (time_t)CONTROL_S};
    int opened = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (opened < 0 || setsockopt(opened, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest) ||
        setsockopt(opened, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest) ||
        setsockopt(opened, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)))
        fail("socket: %s", strerror(errno));
    return opened;
}

int listen_at(const char *host, int *port)
{
    struct addrinfo *where = resolve(host, "0", AI_PASSIVE);
    int listener = open_socket(where);
    struct sockaddr_in6 name = {0}; /* IPv4 has its port at the same place */
    if (bind(listener, where->ai_addr, where->ai_addrlen) || listen(listener, 16) ||
        getsockname(listener, (struct sockaddr *)&name, &(socklen_t){sizeof name}))
        fail("cannot listen on %s: %s", host, strerror(errno));
    freeaddrinfo(where);
    *port = ntohs(name.sin6_port);
    return listener;
}

int connect_to(const char *host, const char *port)
{
    struct addrinfo *where = resolve(host, port, AI_NUMERICSERV);
    int server = open_socket(where);
    if (connect(server, where->ai_addr, where->ai_addrlen))
        fail("cannot connect to %s port %s: %s", host, port, strerror(errno == EINPROGRESS ? ETIMEDOUT : errno));
    freeaddrinfo(where);
    return server;
}

bool readable(int socket)
{
    return poll(&(struct pollfd){.fd = socket, .events = POLLIN}, 1, 0) > 0;
}

bool at_end(int socket)
{
    return recv(socket, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

bool send_frame(int socket, enum frame type, const void *payload, size_t length)
{
    struct frame_header header = {FRAME_MAGIC, type, (uint32_t)length};
    return send(socket, &header, sizeof header, MSG_NOSIGNAL | (length ? MSG_MORE : 0)) == (ssize_t)sizeof header &&
           send(socket, payload, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool receive_bytes(int socket, void *into, size_t length)
{
    return !length || recv(socket, into, length, MSG_WAITALL) == (ssize_t)length;
}

bool receive_frame(int socket, enum frame *type, void *payload, size_t limit, size_t *length)
{
    struct frame_header header;
    if (!receive_bytes(socket, &header, sizeof header) || header.magic != FRAME_MAGIC || header.length > limit)
        return false;
    *type = header.type;
    *length = header.length;
    return receive_bytes(socket, payload, header.length);
}
