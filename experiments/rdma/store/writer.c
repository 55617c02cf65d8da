/* The writer: puts at full speed from within the server, on behalf of the clients that asked for it. */
#include "content.h"
#include "fail.h"
#include "server.h"

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return mixed(*state);
}

static void write_one(struct server *s, const struct writing *wanted)
{
    char key[OBJECT_KEY + 1];
    uint64_t random = next_random(&s->random), size = wanted->size;
    if (wanted->resize && size > LINE && random >> 63)
        size -= LINE;
    object_key(key, (random & UINT32_MAX) * wanted->objects >> 32);
    if (put(s->table, key, OBJECT_KEY, size, fill_pattern, NULL) == STORED)
        s->mark.writes++;
    else
        s->mark.failed_writes++;
}

bool write_something(struct server *s)
{
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (s->peers[i].socket && s->peers[i].writing.objects) {
            write_one(s, &s->peers[i].writing);
            return true;
        }
    return false;
}

void populate(struct server *s)
{
    char key[OBJECT_KEY + 1];
    for (uint64_t i = 0; i < s->options->preload; i++) {
        object_key(key, i);
        enum status status = put(s->table, key, OBJECT_KEY, s->options->size, fill_pattern, NULL);
        if (status != STORED)
            fail("object %llu of %llu: %s", (unsigned long long)i, (unsigned long long)s->options->preload,
                 status_names[status]);
    }
}
