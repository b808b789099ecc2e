/* What the service manager is told: sd_notify(3)'s protocol. */

#ifndef SLUICE_NOTIFY_H
#define SLUICE_NOTIFY_H


#include <stdint.h>


typedef struct {
    int       fd;            /* -1: nobody wants to be told */
    int64_t   watchdog;      /* ms between two signs of life; 0: none wanted */
    int64_t   next;          /* ms, monotonic, of the next one */
    char      status[256];   /* as last sent */
} notify_t;


/*
 * Takes NOTIFY_SOCKET (a path, or '@' and an abstract name), WATCHDOG_USEC
 * and WATCHDOG_PID of the environment.  A socket that cannot be reached is
 * logged, and nothing is sent.
 */
void notify_open(notify_t *notify);
void notify_close(notify_t *notify);

/* Lines such as "READY=1".  Never blocks; what does not fit is lost. */
void notify_send(notify_t *notify, const char *lines);

/* STATUS=..., if it differs from the last. */
void notify_status(notify_t *notify, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Says that a reload begins; "READY=1" ends it. */
void notify_reloading(notify_t *notify);

/* A sign of life, if one is due.  Returns ms until the next, -1: none. */
int64_t notify_watchdog(notify_t *notify, int64_t now);


#endif
