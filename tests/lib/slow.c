/*
 * Preloaded into a broker by a test: a disk that is slow below one folder.
 *
 *   SLUICE_SLOW=FILE   while there is FILE, a write to a file whose name begins
 *                      with the text in it takes half a second more
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>


static const struct timespec  delay = { 0, 500 * 1000 * 1000 };


static void
wait_if_slow(int fd)
{
    int          control;
    char         link[32], begin[512], name[512];
    ssize_t      n, len;
    const char  *file;

    file = getenv("SLUICE_SLOW");

    if (file == NULL || (control = open(file, O_RDONLY|O_CLOEXEC)) == -1) {
        return;
    }

    n = read(control, begin, sizeof(begin));
    (void) close(control);

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, name, sizeof(name));

    if (n > 0 && len >= n && memcmp(name, begin, (size_t) n) == 0) {
        (void) nanosleep(&delay, NULL);
    }
}


ssize_t
write(int fd, const void *buf, size_t size)
{
    static ssize_t  (*next)(int fd, const void *buf, size_t size);

    if (next == NULL) {
        *(void **) &next = dlsym(RTLD_NEXT, "write");
    }

    wait_if_slow(fd);

    return next(fd, buf, size);
}
