/* What makes a put outlast the server: a log, synced or not, and replicas in other processes. A put or a discard is
 * acknowledged, and seen by readers, only after both. */
#pragma once
#include "table.h"
#include "wire.h"

#define MAX_REPLICAS 4

struct durable;
struct options;

struct durable *open_durable(const struct options *options); /* NULL: nothing was asked for */
void replay(struct durable *d, struct table *table); /* the log's whole records; what follows them is cut off */
bool keep_durably(struct durable *d, enum request_kind kind, const char *key, size_t key_length, const void *value,
                  size_t length);
