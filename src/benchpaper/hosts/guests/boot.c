/* The first program of an emulated guest, in its initial memory disk: loads the modules that reach this machine's
 * files, mounts those as the root, and becomes the program that the kernel's command line names.
 *
 * It is linked statically, because the guest has no library before it has a root. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOT "/files"
#define OPTIONS "trans=virtio,version=9p2000.L,cache=loose,msize=524288"

/* The keeper quotes this line of the console. */
static void need(int failed, const char *what)
{
    if (!failed)
        return;
    printf("benchpaper: the guest cannot reach its files: %s: %s\n", what, strerror(errno));
    (void)fflush(NULL);
    (void)reboot(RB_POWER_OFF);
    _exit(1);
}

static void load(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    need(file < 0 || syscall(SYS_finit_module, file, "", 0), path);
    (void)close(file);
}

int main(int count, char **words, char **environment)
{
    (void)count;
    struct dirent **modules;
    need(chdir("/modules"), "/modules");
    int total = scandir(".", &modules, NULL, alphasort); /* their names begin with their places */
    need(total < 0, "/modules");
    for (int i = 0; i < total; i++)
        if (modules[i]->d_name[0] != '.')
            load(modules[i]->d_name);
    need(mkdir(ROOT, 0755), ROOT);
    need(mount("root", ROOT, "9p", MS_RDONLY, OPTIONS), "its root over 9p");
    need(chdir(ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"), "its new root");
    /* The command line of the kernel is the keeper's. NOLINTNEXTLINE(clang-analyzer-optin.taint.GenericTaint) */
    (void)execve(words[1], words + 1, environment);
    need(1, words[1]);
}
