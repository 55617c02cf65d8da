/* The channel: a TCP connection beside the transport under test, with frames of {magic, type, length, payload}.
 * What arrives is checked for its type and length, and no call waits longer than STALL_S for the peer. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STALL_S 5.0
#define MAX_BLOB 65536u /* a worker address or a remote key; both take some hundred bytes */

enum frame { HELLO = 1, WORKER_ADDRESS, BUFFER, REMOTE_KEY, PROBED, CHECKED, START, STARTED, DONE, REPORT, BYE };

struct channel {
    int socket;
    const char *peer; /* what errors call the other side */
};

struct channel accept_client(const char *host); /* prints the port where it waits */
struct channel connect_to(const char *host, const char *port);
bool readable(const struct channel *c); /* a frame, or the end of the connection */
bool at_end(const struct channel *c);   /* of one that is readable */
void send_frame(const struct channel *c, enum frame type, const void *payload, size_t length);
void receive_frame(const struct channel *c, enum frame type, void *payload, size_t length);
void receive_blob(const struct channel *c, enum frame type, uint8_t blob[MAX_BLOB]);
enum frame receive_signal(const struct channel *c); /* a frame of any type, without payload */
