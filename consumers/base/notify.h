/* Messages to the service manager, by sd_notify(3)'s protocol. */

#ifndef SLUICE_NOTIFY_H
#define SLUICE_NOTIFY_H


#include <stdint.h>


typedef struct {
    int       fd;            /* -1: no manager asks for messages */
    int64_t   watchdog;      /* ms between two signs of life; 0: none wanted */
    int64_t   next;          /* ms, monotonic, of the next one */
    char      status[256];   /* as last sent */
} notify_t;


/*
 * Takes NOTIFY_SOCKET (a path, or '@' and an abstract name), WATCHDOG_USEC
 * and WATCHDOG_PID of the environment.  If the socket cannot be reached, that
 * is logged and nothing is sent.
 */
void notify_open(notify_t *notify);
void notify_close(notify_t *notify);

/*
 * Sends lines such as "READY=1".  Never blocks: a message that the manager's
 * queue has no room for is lost.
 */
void notify_send(notify_t *notify, const char *lines);

/* Sends STATUS=..., if it differs from the last. */
void notify_status(notify_t *notify, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Says that a reload begins; "READY=1" says that it ended. */
void notify_reloading(notify_t *notify);

/* Sends a sign of life, if one is due.  Returns ms until the next, or -1. */
int64_t notify_watchdog(notify_t *notify, int64_t now);


#endif
