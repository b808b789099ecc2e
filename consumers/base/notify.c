/*
 * Messages to the service manager, by sd_notify(3)'s protocol.
 *
 * The function of that name in libsystemd blocks while the manager does not
 * read, and a daemon that is blocked stores no records.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/text.h"
#include "json/json.h"


static int64_t notify_period(void);


void
notify_open(notify_t *notify)
{
    size_t               len;
    const char          *name;
    struct sockaddr_un   sun;

    memset(notify, 0, sizeof(notify_t));
    notify->fd = -1;

    name = getenv("NOTIFY_SOCKET");
    if (name == NULL || name[0] == '\0') {
        return;
    }

    len = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || len < 2
        || len >= sizeof(sun.sun_path))
    {
        log_warnx("NOTIFY_SOCKET is neither a path nor an abstract name");
        return;
    }

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;
    memcpy(sun.sun_path, name, len);

    if (name[0] == '@') {
        sun.sun_path[0] = '\0';
    }

    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (notify->fd == -1
        || connect(notify->fd, (struct sockaddr *) &sun,
                   (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len))
           == -1)
    {
        log_warn("could not reach the service manager");
        notify_close(notify);
        return;
    }

    notify->watchdog = notify_period();
}


/* A third of the time the manager waits, so that two signs may come late. */

static int64_t
notify_period(void)
{
    int64_t      usec, pid;
    const char  *s;

    s = getenv("WATCHDOG_PID");

    if (s && (text_get_int(s, strlen(s), 8, &pid) != 0 || pid != getpid())) {
        return 0;
    }

    s = getenv("WATCHDOG_USEC");

    if (s == NULL || text_get_int(s, strlen(s), 8, &usec) != 0
        || usec < 3000)
    {
        return 0;
    }

    return usec / 3000;
}


void
notify_close(notify_t *notify)
{
    if (notify->fd != -1) {
        close(notify->fd);
        notify->fd = -1;
    }
}


void
notify_send(notify_t *notify, const char *lines)
{
    ssize_t  n;

    if (notify->fd == -1) {
        return;
    }

    n = send(notify->fd, lines, strlen(lines),
             MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n == -1 && errno != EAGAIN) {
        log_warn("could not send to the service manager");
        notify_close(notify);
    }
}


void
notify_status(notify_t *notify, const char *fmt, ...)
{
    char     text[sizeof(notify->status)];
    char     lines[sizeof(notify->status) + 16];
    va_list  ap;

    if (notify->fd == -1) {
        return;
    }

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);

    json_one_line(text, strlen(text));

    if (strcmp(text, notify->status) == 0) {
        return;
    }

    memcpy(notify->status, text, sizeof(text));
    snprintf(lines, sizeof(lines), "STATUS=%s", text);
    notify_send(notify, lines);
}


/* Type=notify-reload needs the time of the message. */

void
notify_reloading(notify_t *notify)
{
    char  lines[64];

    snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
             clock_us());
    notify_send(notify, lines);
}


int64_t
notify_watchdog(notify_t *notify, int64_t now)
{
    if (notify->fd == -1 || notify->watchdog == 0) {
        return -1;
    }

    if (now >= notify->next) {
        notify_send(notify, "WATCHDOG=1");
        notify->next = now + notify->watchdog;
    }

    return notify->next - now;
}
