/* What goes between client and server besides one-sided reads: a TCP connection for setting up and for counts, and
 * active messages over the transport under test. */
#pragma once
#include "layout.h"

extern double patience; /* how many times longer than usual to wait for the other side: an emulated machine is slow */
#define CONTROL_S (5.0 * patience) /* no call on the TCP connection waits longer */
#define MAX_BLOB 16384u

/* ---- the TCP connection: frames of {magic, type, length}, then the payload ---- */

enum frame { HELLO = 1, WELCOME, MARK, MARKED, WRITE };

struct welcome {
    struct geometry geometry;
    uint32_t address_length, key_length;
    uint8_t blobs[MAX_BLOB]; /* the worker's address, then the remote key */
};

/* What the server has done and used up to now. */
struct mark {
    double cpu_s;
    uint64_t requests, bytes, writes, failed_writes;
};

/* Write at full speed to the first `objects` objects, with values of `size` bytes, or also of less; 0 objects: stop. */
struct writing {
    uint64_t objects, size, resize;
};

bool send_frame(int socket, enum frame type, const void *payload, size_t length);
bool receive_frame(int socket, enum frame *type, void *payload, size_t limit, size_t *length); /* false: no valid frame */
int listen_at(const char *host, int *port);
int connect_to(const char *host, const char *port);
bool readable(int socket);
bool at_end(int socket); /* of one that is readable */

/* ---- active messages: a request is this, then the key, and the value as data; a reply has the entry as data ---- */

#define REQUEST_ID 0
#define REPLY_ID 1

/* ASK_MANY has no key of its own; its data is for each object a `struct wanted`, then its key. */
enum request_kind { ASK_GET, ASK_PUT, ASK_DISCARD, ASK_MANY, REQUEST_KINDS };

struct request {
    uint32_t kind, ticket, key_length, zero;
};

struct wanted {
    uint32_t ticket, key_length;
};

struct reply {
    uint32_t ticket, status;
    uint64_t lines;
};
