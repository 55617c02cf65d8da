#define _GNU_SOURCE
#include "counters.h"
#include "fail.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void read_counter(struct counters *into, const char *folder, const char *name)
{
    char path[4600], text[64], *end = text;
    struct counter *next = &into->each[into->count];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail("cannot read %s: %s", path, strerror(errno));
    if (fgets(text, sizeof text, file))
        next->value = strtoull(text, &end, 10);
    (void)fclose(file);
    if (end == text) /* what is no number is no counter */
        return;
    (void)snprintf(next->name, sizeof next->name, "%s", name);
    into->count++;
}

static void read_folder(struct counters *into, const char *folder)
{
    DIR *open = opendir(folder);
    if (!open)
        fail("cannot read the counters in %s: %s", folder, strerror(errno));
    for (struct dirent *entry = readdir(open); entry && into->count < MAX_COUNTERS; entry = readdir(open))
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lifespan") != 0)
            read_counter(into, folder, entry->d_name);
    closedir(open);
}

void read_counters(struct counters *into, const char *folders)
{
    into->count = 0;
    while (*folders) {
        char folder[4200];
        size_t length = strcspn(folders, ":");
        if (length >= sizeof folder)
            usage("--counters: a path of more than %zu characters", sizeof folder - 1);
        memcpy(folder, folders, length);
        folder[length] = '\0';
        read_folder(into, folder);
        folders += length + (folders[length] == ':');
    }
}

void print_counted(const struct counters *before, const struct counters *after)
{
    const char *comma = "";
    putchar('{');
    for (unsigned i = 0; i < after->count; i++)
        for (unsigned j = 0; j < before->count; j++)
            if (!strcmp(after->each[i].name, before->each[j].name)) {
                printf("%s\"%s\":%" PRIu64, comma, after->each[i].name, after->each[i].value - before->each[j].value);
                comma = ",";
            }
    putchar('}');
}
