#include "plan.h"
#include "fail.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define BIT(option) (1u << (option))
#define SAMPLING (BIT(OUTSTANDING) | BIT(ITERATIONS) | BIT(WARMUP) | BIT(LIMIT) | BIT(CPU) | BIT(SAMPLES))

const char *const operation_names[] = {"put", "get", "message", "null"};

/* The options with their bounds. */
enum { LISTEN, CONNECT, OPERATION, SIZE, OUTSTANDING, ITERATIONS, WARMUP, LIMIT, CPU, SAMPLES, PORT, OPTIONS = PORT };
static const struct {
    const char *name;
    double least, most;
} options_known[] = {
    [LISTEN] = {.name = "listen"},
    [CONNECT] = {.name = "connect"},
    [OPERATION] = {.name = "operation"},
    [SIZE] = {"size", 8, 1 << 28},
    [OUTSTANDING] = {"outstanding", 1, 1024},
    [ITERATIONS] = {"iterations", 1, 20000000},
    [WARMUP] = {"warmup", 0, 20000000},
    [LIMIT] = {"max-seconds", 0.001, 600},
    [CPU] = {"cpu", 0, 1023},
    [SAMPLES] = {.name = "samples"},
    [PORT] = {"connect: port", 1, 65535}, /* a part of --connect */
};

/* Each command takes exactly these options, all of them. */
static const struct {
    const char *name;
    unsigned takes;
} commands[] = {
    [SERVE] = {"serve", BIT(LISTEN) | BIT(CPU)},
    [MEASURE] = {"measure", SAMPLING | BIT(CONNECT) | BIT(OPERATION) | BIT(SIZE)},
    [MEASURE_NOTHING] = {"null", SAMPLING},
};

static bool within(int option, double value)
{
    return value >= options_known[option].least && value <= options_known[option].most;
}

bool plan_in_bounds(const struct plan *plan)
{
    return plan->operation <= MESSAGE && within(SIZE, (double)plan->size) && plan->size % 8 == 0 &&
           within(OUTSTANDING, plan->outstanding) && within(ITERATIONS, (double)plan->iterations) &&
           within(WARMUP, (double)plan->warmup) && within(LIMIT, plan->max_seconds);
}

static void collect(int argc, char **argv, unsigned takes, char *text[OPTIONS])
{
    struct option known[OPTIONS + 1] = {0};
    int option;
    for (option = 0; option < OPTIONS; option++)
        known[option] = (struct option){options_known[option].name, required_argument, NULL, option};
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == '?' || !(takes & BIT(option)))
            usage("%s: option not known here, or without its value", argv[optind - 1]);
        text[option] = optarg;
    }
    if (optind < argc)
        usage("%s: not an option", argv[optind]);
    for (option = 0; option < OPTIONS; option++)
        if (takes & BIT(option) && !text[option])
            usage("--%s is missing", known[option].name);
}

static double number(int option, const char *text)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    bool whole = option != LIMIT;
    if (errno || end == text || *end || !within(option, value) || (whole && value != (double)(uint64_t)value))
        usage("--%s %s: expected a %snumber from %.15g to %.15g", options_known[option].name, text,
              whole ? "whole " : "", options_known[option].least, options_known[option].most);
    return value;
}

static uint32_t parse_operation(const char *text)
{
    for (uint32_t i = PUT; i <= MESSAGE; i++)
        if (!strcmp(text, operation_names[i]))
            return i;
    usage("--operation %s: expected put, get or message", text);
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

struct options parse_options(int argc, char **argv)
{
    struct options options = {0};
    struct plan *plan = &options.plan;
    char *text[OPTIONS] = {0};
    while (options.command < COMMANDS && (argc < 2 || strcmp(argv[1], commands[options.command].name) != 0))
        options.command++;
    if (options.command == COMMANDS)
        usage("expected one of: serve, measure, null");
    collect(argc - 1, argv + 1, commands[options.command].takes, text);
    options.host = text[LISTEN];
    options.samples = text[SAMPLES];
    options.cpu = (int)number(CPU, text[CPU]);
    if (options.command == SERVE)
        return options;

    plan->operation = NOTHING;
    plan->outstanding = (uint32_t)number(OUTSTANDING, text[OUTSTANDING]);
    plan->iterations = (uint64_t)number(ITERATIONS, text[ITERATIONS]);
    plan->warmup = (uint64_t)number(WARMUP, text[WARMUP]);
    plan->max_seconds = number(LIMIT, text[LIMIT]);
    if (options.command == MEASURE) {
        parse_address(text[CONNECT], &options);
        plan->operation = parse_operation(text[OPERATION]);
        plan->size = (uint64_t)number(SIZE, text[SIZE]);
        if (plan->size % 8)
            usage("--size %s: expected a multiple of 8", text[SIZE]);
    }
    return options;
}
