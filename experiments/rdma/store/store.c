/* store: an object store whose objects are read one-sidedly.
 *
 *   store serve   --listen ADDR --cpu N --size BYTES [--preload N] [--capacity N] [--heap-mib N]
 *                 [--waiting poll|sleep] [--fault none|truncate|geometry|deregister] [--patience F]
 *                 [--log FILE] [--sync yes|no] [--replicas ADDR:PORT,...]
 *   store measure --connect ADDR:PORT --path memcpy|get|cached|lookup|message|together|null|bound --size BYTES
 *                 --objects N
 *                 --iterations N [--warmup N] [--outstanding K] [--max-seconds S] --cpu N [--samples FILE] [--seed N]
 *                 [--targets N] [--validate yes|no] [--writer none|same-size|resize] [--lease S]
 *                 [--batch K] [--counters FOLDER[:FOLDER...]] [--handle-errors yes|no]
 *                 [--patience F]
 *   store shell   --connect ADDR:PORT --path cached|lookup|message --cpu N [--lease S] [--handle-errors yes|no]
 *                 [--patience F] COMMAND...
 *   store put     --connect ADDR:PORT --size BYTES --objects N --iterations N [--warmup N] [--max-seconds S] --cpu N
 *                 --samples FILE [--seed N] [--lease S] [--handle-errors yes|no] [--patience F]
 *   store spin    --cpu N --max-seconds S
 *
 * `serve` prints {"event":"ready","port":N,...} and serves until it is stopped; with --preload it holds so many objects
 * of --size bytes, and --fault makes it a server that one must not believe, for tests. `measure` prints
 * {"event":"measuring"} when it begins and one JSON object when it ends; samples (float64, nanoseconds, in order) go to
 * FILE. Up to --targets objects are drawn at random, and read in this order, again and again. `put` times puts, and reads all objects
 * back. With --log, the server acknowledges a put once it is in FILE, and reads FILE when it starts; with --replicas, once
 * these servers have it. `spin` keeps a CPU busy.
 *
 * Which transport carries it is UCX's choice, guided by UCX_TLS and its kin in the environment. Where it can map the
 * server's memory, one-sided reads are loads from there; elsewhere ucp_get_nbx. With --handle-errors, UCX tells of peers
 * that are gone. With --counters, the result holds how much the numbers in these folders grew while measuring. Waiting for
 * the other side takes --patience times as long as usual. The peers are not authenticated, and
 * a client can write what it can read: this is for hosts that trust each other. */
#define _GNU_SOURCE
#include "clock.h"
#include "fail.h"
#include "measure.h"
#include "server.h"
#include "wire.h"
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
    patience = options.patience;
    pin(options.cpu);
    if (options.command == SERVE)
        serve(&options);
    else if (options.command == MEASURE)
        measure(&options);
    else if (options.command == SHELL)
        shell(&options);
    else if (options.command == PUT)
        put_objects(&options);
    else
        spin(options.max_seconds);
    if (fflush(stdout))
        fail("cannot write the result: %s", strerror(errno));
    return 0;
}
