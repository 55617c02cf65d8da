/* The server: a table, the clients' TCP connections, and active messages. One thread. */
#pragma once
#include "options.h"
#include "table.h"
#include "wire.h"
#include <ucp/api/ucp.h>

#define MAX_CLIENTS 16

struct peer {
    int socket; /* 0: none */
    struct writing writing;
};

struct server {
    const struct options *options;
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_mem_h memory;
    struct table *table;
    struct mark mark;
    struct peer peers[MAX_CLIENTS];
    int listener, events; /* `events` is readable when UCX has work, for a server that sleeps */
    uint64_t random;
};

void serve(const struct options *options);
bool write_something(struct server *s); /* for the clients that asked; false: nobody did */
void populate(struct server *s);
void open_messages(struct server *s);
