/* What is over goes: retries' keys and dead letters, in bounded steps. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "prune.h"


#define PRUNE_ROWS   5000     /* of each kind in one step */
#define PRUNE_EVERY  10000    /* ms, while there is nothing to do */
#define PRUNE_AGAIN  100      /* ms, while there is more */


struct prune_s {
    const conf_t     *conf;
    const offsets_t  *offsets;
    int64_t           next;       /* ms, monotonic, of the next step */
    buf_t             sql;
    log_limit_t       failed;
    prune_done_pt     done;
    void             *data;
};


static void prune_on_reply(void *data, const pg_reply_t *reply);


prune_t *
prune_create(const conf_t *conf, const offsets_t *offsets)
{
    prune_t  *prune;

    prune = calloc(1, sizeof(prune_t));
    if (prune == NULL) {
        return NULL;
    }

    prune->conf = conf;
    prune->offsets = offsets;

    return prune;
}


void
prune_destroy(prune_t *prune)
{
    if (prune) {
        buf_free(&prune->sql);
        free(prune);
    }
}


static bool
prune_has_work(const prune_t *prune)
{
    return prune->conf->dedupe_header || prune->conf->dead_keep;
}


bool
prune_is_due(const prune_t *prune, int64_t now)
{
    return prune_has_work(prune) && now >= prune->next;
}


int64_t
prune_due_in(const prune_t *prune, int64_t now)
{
    if (!prune_has_work(prune)) {
        return -1;
    }

    return prune->next > now ? prune->next - now : 0;
}


/* Rows another daemon prunes or a command holds are skipped, not waited for. */

static void
prune_seen(buf_t *sql)
{
    buf_addf(sql, "DELETE FROM sluice.seen WHERE ctid = ANY (ARRAY(SELECT"
             " ctid FROM sluice.seen WHERE expires_at <= now()"
             " ORDER BY expires_at LIMIT %d FOR UPDATE SKIP LOCKED))"
             " RETURNING 1", PRUNE_ROWS);
}


static void
prune_dead(const prune_t *prune, PGconn *conn, buf_t *sql)
{
    buf_addf(sql, "DELETE FROM sluice.dead_letters WHERE ctid = ANY (ARRAY("
             "SELECT ctid FROM sluice.dead_letters WHERE cluster_id=");
    sql_literal(sql, conn, offsets_cluster(prune->offsets));
    buf_addf(sql, " AND group_id=");
    sql_literal(sql, conn, prune->conf->group);
    buf_addf(sql, " AND topic=");
    sql_literal(sql, conn, prune->conf->topic);
    buf_addf(sql, " AND created_at < now() - %" PRId64 " * interval '1 ms'"
             " ORDER BY created_at LIMIT %d FOR UPDATE SKIP LOCKED))"
             " RETURNING 1", prune->conf->dead_keep, PRUNE_ROWS);
}


void
prune_step(prune_t *prune, pg_t *pg, prune_done_pt done, void *data)
{
    buf_t  *sql;

    static const char  nothing[] = "SELECT 1 WHERE false";

    prune->done = done;
    prune->data = data;
    sql = &prune->sql;
    sql->len = 0;

    buf_addf(sql, "BEGIN;SET LOCAL statement_timeout='10s';"
             "SET LOCAL lock_timeout='1s';WITH s AS (");

    if (prune->conf->dedupe_header) {
        prune_seen(sql);
    } else {
        buf_add(sql, nothing, sizeof(nothing) - 1);
    }

    buf_addf(sql, "), d AS (");

    if (prune->conf->dead_keep) {
        prune_dead(prune, pg_conn(pg), sql);
    } else {
        buf_add(sql, nothing, sizeof(nothing) - 1);
    }

    buf_addf(sql, ") SELECT (SELECT count(*) FROM s), (SELECT count(*)"
             " FROM d);COMMIT");

    /* without memory an error of the server, and another try */
    pg_query(pg, buf_failed(sql) ? "(invalid)" : sql->data, NULL,
             prune_on_reply, prune);

    if (buf_failed(sql)) {
        memset(sql, 0, sizeof(buf_t));
    }
}


/* A failure is said and tried again; only a lost connection is a trouble. */

static void
prune_on_reply(void *data, const pg_reply_t *reply)
{
    bool        more;
    prune_t    *prune = data;
    outcome_t   outcome;

    sql_outcome(&outcome, reply, "could not prune");
    more = false;

    if (outcome.action == SQLSTATE_OK && reply->rows) {
        more = sql_number(reply->rows, 0, 0) == PRUNE_ROWS
               || sql_number(reply->rows, 0, 1) == PRUNE_ROWS;

    } else if (outcome.action != SQLSTATE_RECONNECT) {
        log_limited(&prune->failed, "%s", outcome.reason);
        outcome.action = SQLSTATE_OK;
    }

    prune->next = log_clock() + (more ? PRUNE_AGAIN : PRUNE_EVERY);
    prune->done(prune->data, &outcome);
}
