/* The side that holds the objects. */
#define _GNU_SOURCE
#include "endpoint.h"
#include "fail.h"
#include "plan.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void on_stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static void print_name(struct endpoint *e)
{
    unsigned char name[MAX_NAME];
    size_t length = sizeof name;
    check_fi(fi_getname(&e->ep->fid, name, &length), "asking for the address");
    printf("\"name\":\"");
    for (size_t i = 0; i < length; i++)
        printf("%02x", name[i]);
    printf("\"");
}

static void fill(uint64_t *value, uint64_t number)
{
    for (size_t i = 0; i < plan.size / 8; i++)
        value[i] = word_of(number, i);
}

void hold(void)
{
    static struct endpoint e;
    pin();
    uint64_t *objects = pages(plan.size * plan.objects);
    for (size_t n = 0; n < plan.objects; n++)
        fill(objects + n * plan.size / 8, n);
    open_endpoint(&e, plan.provider, plan.address, false);
    struct fid_mr *region = register_memory(&e, objects, plan.size * plan.objects, FI_REMOTE_READ, IN_HOST);
    (void)signal(SIGTERM, on_stop);
    printf("{\"event\":\"ready\",\"pid\":%d,\"base\":%" PRIu64 ",\"key\":%" PRIu64 ",", (int)getpid(),
           uses_addresses(&e) ? (uint64_t)(uintptr_t)objects : 0, fi_mr_key(region));
    print_name(&e);
    printf("}\n");
    if (fflush(stdout))
        fail("standard output: %s", strerror(errno));
    for (struct fi_cq_entry entry; !stopped;) /* where the holder must answer, this does */
        if (fi_cq_read(e.completions, &entry, 1) == -FI_EAVAIL) {
            struct fi_cq_err_entry error = {0};
            (void)fi_cq_readerr(e.completions, &error, 0); /* a reader went away */
        }
}
