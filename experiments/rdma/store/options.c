#include "options.h"
#include "fail.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define BIT(option) (1u << (option))

const char *const path_names[] = {"memcpy", "get", "cached", "lookup", "message", "null", "bound", "together"};
const char *const fault_names[] = {"none", "truncate", "geometry", "deregister"};

/* The options with their bounds and defaults; a default of NULL: to be given. */
enum {
    LISTEN,
    CONNECT,
    PATH,
    SIZE,
    OUTSTANDING,
    ITERATIONS,
    WARMUP,
    LIMIT,
    CPU,
    SAMPLES,
    OBJECTS,
    PRELOAD,
    CAPACITY,
    HEAP,
    LEASE,
    SEED,
    WAITING,
    FAULT,
    VALIDATE,
    WRITER,
    TARGETS,
    COUNTERS,
    ERRORS,
    PATIENCE,
    LOG,
    SYNC,
    REPLICAS,
    BATCH,
    PORT,
    OPTIONS = PORT
};
static const struct {
    const char *name, *otherwise;
    double least, most;
} options_known[] = {
    [LISTEN] = {.name = "listen"},
    [CONNECT] = {.name = "connect"},
    [PATH] = {.name = "path"},
    [SIZE] = {"size", NULL, 8, 8 << 20},
    [OUTSTANDING] = {"outstanding", "1", 1, 64},
    [ITERATIONS] = {"iterations", NULL, 1, 1e11},
    [WARMUP] = {"warmup", "0", 0, 1e9},
    [LIMIT] = {"max-seconds", "10", 0.001, 3600},
    [CPU] = {"cpu", NULL, 0, 1023},
    [SAMPLES] = {.name = "samples", .otherwise = ""},
    [OBJECTS] = {"objects", NULL, 1, 1e9},
    [PRELOAD] = {"preload", "0", 0, 1e9},
    [CAPACITY] = {"capacity", "0", 0, 1e9},
    [HEAP] = {"heap-mib", "0", 0, 1 << 18},
    [LEASE] = {"lease", "2", 0.2, 600},
    [SEED] = {"seed", "1", 0, UINT32_MAX},
    [WAITING] = {.name = "waiting", .otherwise = "poll"},
    [FAULT] = {.name = "fault", .otherwise = "none"},
    [VALIDATE] = {.name = "validate", .otherwise = "yes"},
    [WRITER] = {.name = "writer", .otherwise = "none"},
    [TARGETS] = {"targets", "262144", 1, 1 << 22},
    [COUNTERS] = {.name = "counters", .otherwise = ""},
    [ERRORS] = {.name = "handle-errors", .otherwise = "no"},
    [PATIENCE] = {"patience", "1", 1, 100},
    [LOG] = {.name = "log", .otherwise = ""},
    [SYNC] = {.name = "sync", .otherwise = "yes"},
    [REPLICAS] = {.name = "replicas", .otherwise = ""},
    [BATCH] = {"batch", "1", 1, 256},
    [PORT] = {"connect: port", NULL, 1, 65535}, /* a part of --connect */
};

static const struct {
    const char *name;
    unsigned takes;
} commands[] = {
    [SERVE] = {"serve", BIT(LISTEN) | BIT(CPU) | BIT(SIZE) | BIT(PRELOAD) | BIT(CAPACITY) | BIT(HEAP) | BIT(WAITING) |
                            BIT(FAULT) | BIT(PATIENCE) | BIT(LOG) | BIT(SYNC) | BIT(REPLICAS)},
    [MEASURE] = {"measure", BIT(CONNECT) | BIT(PATH) | BIT(SIZE) | BIT(OUTSTANDING) | BIT(ITERATIONS) | BIT(WARMUP) |
                                BIT(LIMIT) | BIT(CPU) | BIT(SAMPLES) | BIT(OBJECTS) | BIT(LEASE) | BIT(SEED) |
                                BIT(VALIDATE) | BIT(WRITER) | BIT(TARGETS) | BIT(COUNTERS) | BIT(ERRORS) | BIT(PATIENCE) |
                                BIT(BATCH)},
    [SPIN] = {"spin", BIT(CPU) | BIT(LIMIT)},
    [SHELL] = {"shell", BIT(CONNECT) | BIT(PATH) | BIT(CPU) | BIT(LEASE) | BIT(ERRORS) | BIT(PATIENCE)},
    [PUT] = {"put", BIT(CONNECT) | BIT(SIZE) | BIT(OBJECTS) | BIT(ITERATIONS) | BIT(WARMUP) | BIT(LIMIT) | BIT(CPU) |
                        BIT(SAMPLES) | BIT(SEED) | BIT(LEASE) | BIT(ERRORS) | BIT(PATIENCE)},
};

static const char *const waiting_names[] = {"poll", "sleep"}, *const writer_names[] = {"none", "same-size", "resize"},
                         *const validate_names[] = {"yes", "no"}, *const errors_names[] = {"no", "yes"};

static void collect(int argc, char **argv, unsigned takes, char *text[OPTIONS])
{
    struct option known[OPTIONS + 1] = {0};
    int option;
    for (option = 0; option < OPTIONS; option++)
        known[option] = (struct option){options_known[option].name, required_argument, NULL, option};
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
        if (option == '?' || !(takes & BIT(option)))
            usage("%s: option not known here, or without its value", argv[optind - 1]);
        text[option] = optarg;
    }
    for (option = 0; option < OPTIONS; option++) {
        if (takes & BIT(option) && !text[option])
            text[option] = (char *)options_known[option].otherwise;
        if (takes & BIT(option) && !text[option])
            usage("--%s is missing", known[option].name);
    }
}

static double number(int option, const char *text)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    bool whole = option != LIMIT && option != LEASE && option != PATIENCE;
    bool within = value >= options_known[option].least && value <= options_known[option].most;
    if (errno || end == text || *end || !within || (whole && value != (double)(uint64_t)value))
        usage("--%s %s: expected a %snumber from %.15g to %.15g", options_known[option].name, text, whole ? "whole " : "",
              options_known[option].least, options_known[option].most);
    return value;
}

static unsigned chosen(int option, const char *text, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (!strcmp(text, names[i]))
            return i;
    (void)fprintf(stderr, "store: --%s %s: expected one of:", options_known[option].name, text);
    for (unsigned i = 0; i < count; i++)
        (void)fprintf(stderr, " %s", names[i]);
    (void)fputc('\n', stderr);
    exit(2);
}

/* Split ADDR:PORT, or [ADDR]:PORT, in place. */
static void parse_address(char *text, struct options *options)
{
    char *colon = strrchr(text, ':');
    if (!colon || colon == text || !colon[1])
        usage("--connect %s: expected ADDR:PORT", text);
    *colon = '\0';
    options->port = colon + 1;
    number(PORT, options->port);
    if (*text == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        text++;
    }
    options->host = text;
}

static void parse_texts(struct options *o, char *text[OPTIONS])
{
    o->host = text[LISTEN];
    o->samples = text[SAMPLES];
    o->counters = text[COUNTERS];
    o->log = text[LOG];
    o->replicas = text[REPLICAS];
    o->sync = text[SYNC] && chosen(SYNC, text[SYNC], errors_names, 2);
    if (text[CONNECT])
        parse_address(text[CONNECT], o);
    if (text[PATH])
        o->path = chosen(PATH, text[PATH], path_names, PATHS);
    if (text[WAITING])
        o->sleeping = chosen(WAITING, text[WAITING], waiting_names, 2);
    if (text[FAULT])
        o->fault = chosen(FAULT, text[FAULT], fault_names, FAULTS);
    if (text[VALIDATE])
        o->unvalidated = chosen(VALIDATE, text[VALIDATE], validate_names, 2);
    if (text[ERRORS])
        o->handle_errors = chosen(ERRORS, text[ERRORS], errors_names, 2);
    unsigned writer = text[WRITER] ? chosen(WRITER, text[WRITER], writer_names, 3) : 0;
    o->write = writer > 0;
    o->resize = writer == 2;
}

struct options parse_options(int argc, char **argv)
{
    struct options o = {0};
    char *text[OPTIONS] = {0};
    while (o.command < COMMANDS && (argc < 2 || strcmp(argv[1], commands[o.command].name) != 0))
        o.command++;
    if (o.command == COMMANDS)
        usage("expected one of: serve, measure, put, spin, shell");
    collect(argc - 1, argv + 1, commands[o.command].takes, text);
    o.rest = argv + 1 + optind;
    if (*o.rest && o.command != SHELL)
        usage("%s: not an option", *o.rest);
    parse_texts(&o, text);
    const struct {
        int option;
        uint64_t *into;
    } wholes[] = {
        {SIZE, &o.size},       {OUTSTANDING, &o.outstanding},
        {BATCH, &o.batch},     {ITERATIONS, &o.iterations},
        {WARMUP, &o.warmup},   {OBJECTS, &o.objects},
        {PRELOAD, &o.preload}, {CAPACITY, &o.capacity},
        {HEAP, &o.heap_mib},   {SEED, &o.seed},
        {TARGETS, &o.targets},
    };
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++)
        if (text[wholes[i].option])
            *wholes[i].into = (uint64_t)number(wholes[i].option, text[wholes[i].option]);
    o.cpu = (int)number(CPU, text[CPU]);
    o.max_seconds = text[LIMIT] ? number(LIMIT, text[LIMIT]) : 0;
    o.lease_s = text[LEASE] ? number(LEASE, text[LEASE]) : 2;
    o.patience = text[PATIENCE] ? number(PATIENCE, text[PATIENCE]) : 1;
    if (o.outstanding > 1 && o.batch > 1)
        usage("--outstanding and --batch: give one of them");
    if (o.size % 8)
        usage("--size %llu: expected a multiple of 8", (unsigned long long)o.size);
    return o;
}
