/* store: an object store whose objects are read one-sidedly.
 *
 *   store serve   --listen ADDR --cpu N --size BYTES [--preload N] [--capacity N] [--heap-mib N]
 *                 [--waiting poll|sleep] [--fault none|truncate|geometry]
 *   store measure --connect ADDR:PORT --path memcpy|get|cached|lookup|message|null|bound --size BYTES
 *                 --objects N
 *                 --iterations N [--warmup N] [--outstanding K] [--max-seconds S] --cpu N [--samples FILE] [--seed N]
 *                 [--targets N] [--validate yes|no] [--writer none|same-size|resize] [--lease S]
 *   store shell   --connect ADDR:PORT --path cached|lookup|message --cpu N [--lease S] COMMAND...
 *   store spin    --cpu N --max-seconds S
 *
 * `serve` prints {"event":"ready","port":N,...} and serves until it is stopped; with --preload it holds so many objects
 * of --size bytes, and --fault makes it a server that one must not believe, for tests. `measure` prints
 * {"event":"measuring"} when it begins and one JSON object when it ends; samples (float64, nanoseconds, in order) go to
 * FILE. Up to --targets objects are drawn at random, and read in this order, again and again. `spin` keeps a CPU busy.
 *
 * Which transport carries it is UCX's choice, guided by UCX_TLS and its kin in the environment. Where it can map the
 * server's memory, one-sided reads are loads from there; elsewhere ucp_get_nbx. The peers are not authenticated, and
 * a client can write what it can read: this is for hosts that trust each other. */
#define _GNU_SOURCE
#include "clock.h"
#include "fail.h"
#include "measure.h"
#include "server.h"
#include <errno.h>
#include <sched.h>

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        fail("cannot pin to CPU %d: %s", cpu, strerror(errno));
}

static void spin(double limit)
{
    for (double until = seconds() + limit; seconds() < until;)
        ;
}

int main(int argc, char **argv)
{
    struct options options = parse_options(argc, argv);
    pin(options.cpu);
    if (options.command == SERVE)
        serve(&options);
    else if (options.command == MEASURE)
        measure(&options);
    else if (options.command == SHELL)
        shell(&options);
    else
        spin(options.max_seconds);
    if (fflush(stdout))
        fail("cannot write the result: %s", strerror(errno));
    return 0;
}
