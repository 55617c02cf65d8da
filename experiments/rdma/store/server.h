/* The server: a table, the clients' TCP connections, and active messages. One thread.
 *
 * Each client has a UCX worker of its own. Over shared memory a worker has one queue for all that send to it, and a
 * sender that is killed between taking a place there and filling it leaves a hole, behind which nothing arrives any
 * more. So a client's death must not share a queue with the living. */
#pragma once
#include "durable.h"
#include "options.h"
#include "table.h"
#include "wire.h"
#include <ucp/api/ucp.h>

#define MAX_CLIENTS 16

struct arriving;

struct peer {
    int socket; /* 0: none */
    ucp_worker_h worker; /* NULL until it says hello */
    int events;          /* readable when UCX has work, for a server that sleeps */
    struct server *server;
    struct arriving *arriving; /* puts whose values are still to come */
    struct writing writing;
};

struct server {
    const struct options *options;
    ucp_context_h context;
    ucp_mem_h memory;
    struct table *table;
    struct durable *durable; /* NULL: in memory only */
    struct mark mark;
    struct peer peers[MAX_CLIENTS];
    int listener;
    uint64_t random;
};

void serve(const struct options *options);
bool write_something(struct server *s); /* for the clients that asked; false: nobody did */
void populate(struct server *s);
void open_messages(struct peer *peer);
void forget_messages(struct peer *peer); /* of a peer whose worker is gone */
