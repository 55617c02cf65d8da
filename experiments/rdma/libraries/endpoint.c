#define _GNU_SOURCE
#include "endpoint.h"
#include "fail.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API FI_VERSION(1, 15)
#define CLOSING_S 5
#define OUR_KEY 21u /* where the application chooses the key */

void check_fi(long status, const char *what)
{
    if (status < 0)
        fail("%s: %s", what, fi_strerror((int)-status));
}

static struct fi_info *wanted(const char *provider, bool hmem)
{
    struct fi_info *hints = fi_allocinfo();
    if (!hints)
        fail("no memory");
    hints->caps = FI_MSG | FI_RMA | FI_READ | FI_REMOTE_READ | (hmem ? FI_HMEM : 0);
    hints->mode = FI_CONTEXT | FI_CONTEXT2;
    hints->ep_attr->type = FI_EP_RDM;
    hints->domain_attr->mr_mode =
        FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY | (hmem ? FI_MR_HMEM : 0);
    hints->domain_attr->threading = FI_THREAD_DOMAIN; /* one thread: no locks */
    hints->fabric_attr->prov_name = strdup(provider);
    return hints;
}

static void open_queues(struct endpoint *e)
{
    struct fi_cq_attr queue = {.format = FI_CQ_FORMAT_CONTEXT};
    struct fi_cntr_attr counter = {.events = FI_CNTR_EVENTS_COMP};
    struct fi_av_attr addresses = {.type = FI_AV_TABLE};
    check_fi(fi_cq_open(e->domain, &queue, &e->completions, NULL), "opening a completion queue");
    check_fi(fi_cntr_open(e->domain, &counter, &e->counter, NULL), "opening a counter");
    check_fi(fi_av_open(e->domain, &addresses, &e->addresses, NULL), "opening a table of addresses");
    check_fi(fi_ep_bind(e->ep, &e->completions->fid, FI_TRANSMIT | FI_RECV), "binding the completion queue");
    check_fi(fi_ep_bind(e->ep, &e->counter->fid, FI_READ), "binding the counter");
    check_fi(fi_ep_bind(e->ep, &e->addresses->fid, 0), "binding the table of addresses");
}

static struct fid_ep *opened;

/* Closing removes the files of shared memory. It may wait for a peer that is gone, but not for long. */
static void close_opened(void)
{
    (void)alarm(CLOSING_S);
    (void)fi_close(&opened->fid);
}

void open_endpoint(struct endpoint *e, const char *provider, const char *address, bool hmem)
{
    struct fi_info *hints = wanted(provider, hmem);
    const char *node = *address ? address : NULL;
    int status = fi_getinfo(API, node, NULL, node ? FI_SOURCE : 0, hints, &e->info);
    if (status)
        fail("libfabric's provider %s%s is not usable here: %s", provider, hmem ? " with memory of a GPU" : "",
             fi_strerror(-status));
    fi_freeinfo(hints);
    check_fi(fi_fabric(e->info->fabric_attr, &e->fabric, NULL), "opening the fabric");
    check_fi(fi_domain(e->fabric, e->info, &e->domain, NULL), "opening the domain");
    check_fi(fi_endpoint(e->domain, e->info, &e->ep, NULL), "creating an endpoint");
    opened = e->ep;
    if (atexit(close_opened))
        fail("cannot arrange for the end");
    open_queues(e);
    check_fi(fi_enable(e->ep), "enabling the endpoint");
}

bool uses_addresses(const struct endpoint *e)
{
    return e->info->domain_attr->mr_mode & FI_MR_VIRT_ADDR;
}

struct fid_mr *register_memory(struct endpoint *e, void *memory, size_t length, uint64_t access, enum place place)
{
    struct fid_mr *region;
    struct iovec range = {memory, length};
    struct fi_mr_attr attributes = {
        .mr_iov = &range,
        .iov_count = 1,
        .access = access,
        .requested_key = access & FI_REMOTE_READ ? OUR_KEY : OUR_KEY + 1,
        .iface = place == IN_GPU ? FI_HMEM_CUDA : FI_HMEM_SYSTEM,
    };
    check_fi(fi_mr_regattr(e->domain, &attributes, 0, &region),
             place == IN_GPU ? "registering memory of the GPU" : "registering memory");
    return region;
}
