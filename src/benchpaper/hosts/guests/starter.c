/* Starts programs for a session of the agent in a guest (hosts/starter.py).
 *
 * A fork in User-Mode Linux maps every page of the process anew, even if it shares its memory: for
 * a Python of the agent's size that takes milliseconds. This process is small. The programs become
 * children of its parent, which waits for them.
 *
 * Standard input is a socket. A request is three numbers, then as many bytes: the path, the
 * arguments and the environment, each ended by a NUL. With it come the program's standard streams.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAMS = 3, STACK_BYTES = 1 << 16 };

struct request {
    uint32_t bytes, arguments, variables;
};

struct answer {
    int32_t pid, error;
};

struct program {
    char *path, **arguments, **variables;
    int streams[STREAMS];
    int error; /* of exec; it shares our memory until then */
};

static char stack[STACK_BYTES] __attribute__((aligned(16)));

static int become(void *pointer)
{
    struct program *program = pointer;
    setpgid(0, 0);
    for (int number = 0; number < STREAMS; number++)
        dup2(program->streams[number], number);
    execve(program->path, program->arguments, program->variables);
    program->error = errno;
    _exit(127);
}

/* Receive the numbers of a request, and the descriptors with them. Return 0 at the end. */
static int receive_head(struct request *request, int *streams)
{
    union {
        char bytes[CMSG_SPACE(STREAMS * sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec part = {request, sizeof *request};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t size = recvmsg(0, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (size != sizeof *request || head == NULL || head->cmsg_len != CMSG_LEN(STREAMS * sizeof(int)))
        return 0;
    memcpy(streams, CMSG_DATA(head), STREAMS * sizeof(int));
    return 1;
}

static int receive_bytes(char *data, size_t size)
{
    while (size > 0) {
        ssize_t count = recv(0, data, size, 0);
        if (count <= 0)
            return 0;
        data += count;
        size -= (size_t)count;
    }
    return 1;
}

/* Return a list of the next texts, ended by NULL, and move on behind them. */
static char **list(char **text, uint32_t count)
{
    char **items = (char **)calloc((size_t)count + 1, sizeof *items);
    for (uint32_t number = 0; items != NULL && number < count; number++) {
        items[number] = *text;
        *text += strlen(*text) + 1;
    }
    return items;
}

static struct answer start(const struct request *request, char *text, struct program *program)
{
    program->path = text;
    text += strlen(text) + 1;
    program->arguments = list(&text, request->arguments);
    program->variables = list(&text, request->variables);
    struct answer answer = {-1, ENOMEM};
    if (program->arguments != NULL && program->variables != NULL) {
        int flags = CLONE_VM | CLONE_VFORK | CLONE_PARENT | SIGCHLD;
        program->error = 0;
        answer.pid = clone(become, stack + STACK_BYTES, flags, program);
        answer.error = answer.pid < 0 ? errno : program->error;
    }
    free((void *)program->arguments);
    free((void *)program->variables);
    return answer;
}

int main(void)
{
    struct request request;
    struct program program;
    while (receive_head(&request, program.streams)) {
        char *text = malloc(request.bytes);
        if (text == NULL || !receive_bytes(text, request.bytes))
            return 1;
        struct answer answer = start(&request, text, &program);
        for (int number = 0; number < STREAMS; number++)
            close(program.streams[number]);
        free(text);
        if (send(0, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer)
            return 1;
    }
    return 0;
}
