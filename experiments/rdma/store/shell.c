/* The shell: puts, gets and discards one after the other, from the command line; one line of JSON for each.
 *
 *   put KEY VALUE   get KEY   discard KEY   fill KEY BYTES   hold KEY   again   wait SECONDS
 *
 * `hold` reads an object by its place in memory, and `again` reads it there once more, wherever it is by now. */
#define _GNU_SOURCE
#include "client.h"
#include "content.h"
#include "fail.h"
#include "measure.h"
#include "report.h"
#include <errno.h>
#include <stdlib.h>

struct shell {
    struct get get;
    struct client client;
    enum design design;
    struct place held;
    char key[65536]; /* also for keys that are too long */
};

static void print_get(struct shell *s, enum outcome found)
{
    printf("{\"outcome\":");
    print_string(outcome_texts[found], strlen(outcome_texts[found]));
    if (found == GOT) {
        printf(",\"version\":%llu,\"length\":%llu,\"value\":", (unsigned long long)s->get.version,
               (unsigned long long)s->get.value_length);
        print_string(s->get.value, s->get.value_length < 64 ? s->get.value_length : 64);
    }
    printf("}\n");
}

static void get(struct shell *s, const char *key, enum design design)
{
    if (snprintf(s->key, sizeof s->key, "%s", key) >= (int)sizeof s->key)
        usage("a key has at most %zu characters", sizeof s->key - 1);
    s->get.key = s->key;
    s->get.key_length = strlen(s->key);
    s->get.design = design;
    print_get(s, finish_get(&s->get));
}

static void submit(struct shell *s, const char *key, const char *value, size_t length, enum request_kind kind)
{
    enum status status = ABSENT;
    enum outcome found = send_put(&s->client, key, strlen(key), value, length, kind, &status);
    printf("{\"outcome\":\"%s\"}\n", found == GOT ? status_names[status] : outcome_texts[found]);
}

static void fill(struct shell *s, const char *key, const char *bytes)
{
    size_t length = strtoull(bytes, NULL, 10);
    char *value = calloc(1, length + 8);
    if (!value)
        fail("no memory for a value of %zu bytes", length);
    memset(value, 'x', length);
    submit(s, key, value, length, ASK_PUT);
    free(value);
}

static void wait_seconds(const char *text)
{
    double limit = strtod(text, NULL);
    for (double until = seconds() + limit; seconds() < until;)
        usleep(1000);
    printf("{\"outcome\":\"waited\"}\n");
}

/* Do the words of one command, and return how many they were. */
static int run(struct shell *s, char **words)
{
    int count = 0;
    while (count < 3 && words[count])
        count++;
    if (!strcmp(words[0], "put") && count == 3)
        submit(s, words[1], words[2], strlen(words[2]), ASK_PUT);
    else if (!strcmp(words[0], "fill") && count == 3)
        fill(s, words[1], words[2]);
    else if (!strcmp(words[0], "get") && count >= 2)
        get(s, words[1], s->design);
    else if (!strcmp(words[0], "hold") && count >= 2)
        get(s, words[1], CACHED);
    else if (!strcmp(words[0], "again"))
        print_get(s, finish_get(&s->get));
    else if (!strcmp(words[0], "discard") && count >= 2)
        submit(s, words[1], NULL, 0, ASK_DISCARD);
    else if (!strcmp(words[0], "wait") && count >= 2)
        wait_seconds(words[1]);
    else
        usage("%s: not a command of the shell, or without its words", words[0]);
    if (fflush(stdout))
        fail("standard output: %s", strerror(errno));
    return !strcmp(words[0], "again") ? 1 : !strcmp(words[0], "put") || !strcmp(words[0], "fill") ? 3 : 2;
}

void shell(const struct options *options)
{
    static const enum design designs[PATHS] = {[PATH_CACHED] = CACHED, [PATH_LOOKUP] = LOOKUP, [PATH_MESSAGE] = MESSAGE};
    struct shell *s = calloc(1, sizeof *s);
    char *buffer = aligned_alloc(LINE, (size_t)MAX_LINES * LINE);
    if (!s || !buffer)
        fail("no memory");
    if (!designs[options->path])
        usage("--path %s: expected one of: cached lookup message", path_names[options->path]);
    s->design = designs[options->path];
    open_client(&s->client, options);
    s->get = (struct get){.client = &s->client, .buffer = buffer, .buffer_lines = MAX_LINES, .known = &s->held};
    for (char **words = options->rest; *words;)
        words += run(s, words);
    close_client(&s->client);
    free(buffer);
    free(s);
}
