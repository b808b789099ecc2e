/* The proof of a configuration by rd_kafka_new() in a short-lived child. */

#include "kafka/ngx_kafka_conf.h"
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>


#define NGX_KAFKA_PROOF_TIMEOUT  10000     /* ms, of the child */


static void ngx_kafka_conf_child(ngx_cycle_t *cycle, ngx_kafka_conf_t **kcf,
    ngx_uint_t n, int fd);
static ssize_t ngx_kafka_conf_wait(int fd, u_char *buf, size_t size);


ngx_int_t
ngx_kafka_conf_prove(ngx_cycle_t *cycle, ngx_kafka_conf_t **kcf, ngx_uint_t n)
{
    int         fd[2], status;
    pid_t       pid;
    u_char      buf[1024] = { 0 };
    ssize_t     size;
    ngx_uint_t  i;

    if (pipe(fd) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno, "pipe() failed");
        return NGX_ERROR;
    }

    pid = fork();

    switch (pid) {

    case -1:
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno, "fork() failed");
        (void) close(fd[0]);
        (void) close(fd[1]);
        return NGX_ERROR;

    case 0:
        (void) close(fd[0]);
        ngx_kafka_conf_child(cycle, kcf, n, fd[1]);
        _exit(0);

    default:
        break;
    }

    (void) close(fd[1]);
    size = ngx_kafka_conf_wait(fd[0], buf, sizeof(buf) - 1);
    (void) close(fd[0]);

    (void) kill(pid, SIGKILL);

    while (waitpid(pid, &status, 0) == -1 && ngx_errno == NGX_EINTR) {
        /* void */
    }

    /* the first byte: 'k' all is well, 'f' failed, then index and reason */

    if (size > 0 && buf[0] == 'k') {
        return NGX_OK;
    }

    buf[size > 0 ? size : 0] = '\0';
    ngx_kafka_conf_one_line((char *) &buf[2]);
    i = size > 1 && buf[0] == 'f' ? buf[1] : 0;

    ngx_kafka_conf_blame(cycle->log, kcf[i],
                         size > 2 ? (char *) &buf[2]
                         : size == -1 ? "librdkafka did not start in time"
                         : "librdkafka did not start");
    return NGX_ERROR;
}


static void
ngx_kafka_conf_child(ngx_cycle_t *cycle, ngx_kafka_conf_t **kcf, ngx_uint_t n,
    int fd)
{
    char              buf[514];
    ssize_t           rv;
    ngx_uint_t        i;
    rd_kafka_conf_t  *conf;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    buf[0] = 'k';
    buf[1] = 0;
    buf[2] = '\0';

    /* a key file must be readable for the worker, not for root */

    if (geteuid() == 0
        && (setgid(ccf->group) == -1
            || initgroups(ccf->username, ccf->group) == -1
            || setuid(ccf->user) == -1))
    {
        ngx_sprintf((u_char *) buf, "f%c%s%Z", 0,
                    "could not become the worker's user");
        goto done;
    }

    for (i = 0; i < n; i++) {
        buf[1] = i;

        conf = ngx_kafka_conf_build(kcf[i], 0, &buf[2], sizeof(buf) - 2);

        if (conf == NULL
            || rd_kafka_new(RD_KAFKA_PRODUCER, conf, &buf[2], sizeof(buf) - 2)
               == NULL)
        {
            buf[0] = 'f';
            break;
        }
    }

done:

    do {
        rv = write(fd, buf, 2 + ngx_strlen(&buf[2]));
    } while (rv == -1 && ngx_errno == NGX_EINTR);
}


static ssize_t
ngx_kafka_conf_wait(int fd, u_char *buf, size_t size)
{
    int            rc;
    ssize_t        n;
    struct pollfd  pfd;

    pfd.fd = fd;
    pfd.events = POLLIN;

    do {
        rc = poll(&pfd, 1, NGX_KAFKA_PROOF_TIMEOUT);
    } while (rc == -1 && ngx_errno == NGX_EINTR);

    if (rc <= 0) {
        return -1;
    }

    /* one write() below PIPE_BUF arrives as one */

    do {
        n = read(fd, buf, size);
    } while (n == -1 && ngx_errno == NGX_EINTR);

    return n > 0 ? n : 0;
}
