/* The proof of a configuration by rd_kafka_new() in a short-lived child. */

#include "kafka/ngx_kafka_conf.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>


#define NGX_KAFKA_PROOF_TIMEOUT  10     /* s, of the child */


/* What the child says, in memory it shares with its parent. */
typedef struct {
    ngx_uint_t   done;          /* all blocks are proved */
    ngx_uint_t   block;         /* the one at hand */
    char         reason[512];   /* against it */
} ngx_kafka_proof_t;


static void ngx_kafka_proof_child(ngx_cycle_t *cycle, ngx_kafka_conf_t **kcf,
    ngx_uint_t n, ngx_kafka_proof_t *proof);


ngx_int_t
ngx_kafka_conf_prove(ngx_cycle_t *cycle, ngx_kafka_conf_t **kcf, ngx_uint_t n)
{
    int                 status;
    pid_t               pid;
    ngx_uint_t          done;
    const char         *reason;
    ngx_kafka_proof_t  *proof;

    proof = mmap(NULL, sizeof(ngx_kafka_proof_t), PROT_READ|PROT_WRITE,
                 MAP_ANONYMOUS|MAP_SHARED, -1, 0);

    if (proof == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno, "mmap() failed");
        return NGX_ERROR;
    }

    status = 0;
    pid = fork();

    if (pid == 0) {
        ngx_kafka_proof_child(cycle, kcf, n, proof);
        _exit(0);
    }

    if (pid == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno, "fork() failed");
        (void) munmap(proof, sizeof(ngx_kafka_proof_t));
        return NGX_ERROR;
    }

    while (waitpid(pid, &status, 0) == -1 && ngx_errno == NGX_EINTR) {
        /* void */
    }

    done = proof->done;

    if (!done) {
        (void) ngx_kafka_conf_one_line((u_char *) proof->reason,
                                       sizeof(proof->reason), proof->reason);

        reason = proof->reason[0] ? proof->reason
                 : WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM
                 ? "librdkafka did not start in time"
                 : "librdkafka did not start";

        /* it may have ended behind the last block */
        ngx_kafka_conf_blame(cycle->log, kcf[ngx_min(proof->block, n - 1)],
                             reason);
    }

    (void) munmap(proof, sizeof(ngx_kafka_proof_t));

    return done ? NGX_OK : NGX_ERROR;
}


static void
ngx_kafka_proof_child(ngx_cycle_t *cycle, ngx_kafka_conf_t **kcf, ngx_uint_t n,
    ngx_kafka_proof_t *proof)
{
    char              errstr[sizeof(proof->reason)] = { 0 };
    sigset_t          set;
    rd_kafka_conf_t  *conf;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    /* the parent waits for its end; the master blocks this signal */

    (void) signal(SIGALRM, SIG_DFL);
    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGALRM);
    (void) sigprocmask(SIG_UNBLOCK, &set, NULL);
    (void) alarm(NGX_KAFKA_PROOF_TIMEOUT);

    /* a key file must be readable for the worker, not for root */

    if (geteuid() == 0
        && (setgid(ccf->group) == -1
            || initgroups(ccf->username, ccf->group) == -1
            || setuid(ccf->user) == -1))
    {
        ngx_sprintf((u_char *) proof->reason, "%s%Z",
                    "could not become the worker's user");
        return;
    }

    for (proof->block = 0; proof->block < n; proof->block++) {

        conf = ngx_kafka_conf_build(kcf[proof->block], 0, errstr,
                                    sizeof(errstr));

        if (conf == NULL
            || rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr))
               == NULL)
        {
            ngx_memcpy(proof->reason, errstr, sizeof(errstr));
            return;
        }
    }

    proof->done = 1;
}
