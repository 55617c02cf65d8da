/* Readers that are to read at the same time begin together: each says that it is ready, and waits for SIGUSR1.
 *
 * The linker puts this in front of `mark` (--wrap=mark), which a reader calls right before and right after it measures.
 * What the server uses while readers wait for each other therefore counts for none of them. */
#define _GNU_SOURCE
#include "../store/client.h"
#include "../store/fail.h"
#include <errno.h>
#include <signal.h>

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
struct mark __real_mark(struct client *c);
struct mark __wrap_mark(struct client *c);

static sigset_t go;

/* Before UCX starts its threads, so that the signal waits until `sigwait` takes it. */
__attribute__((constructor)) static void hold_back(void)
{
    sigemptyset(&go);
    sigaddset(&go, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &go, NULL))
        fail("cannot hold back a signal: %s", strerror(errno));
}

struct mark __wrap_mark(struct client *c)
{
    static bool opened;
    int signal;
    if (!opened) {
        opened = true;
        printf("{\"event\":\"ready\"}\n");
        if (fflush(stdout) || sigwait(&go, &signal))
            fail("cannot wait for the other readers");
    }
    return __real_mark(c);
}
/* NOLINTEND(bugprone-reserved-identifier) */
