/*
 * Deletes expired keys and dead letters in steps.  Steps go through the pages
 * of sluice.seen, round and round: an index on the expiry would cost every
 * record a tenth of its time.
 */

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "postgres/sql.h"
#include "store/prune.h"


#define PRUNE_ROWS   5000     /* of each kind in one step */
#define PRUNE_EVERY  10000    /* ms, while there is nothing to do */
#define PRUNE_AGAIN  20       /* ms, while there is more */

#define PRUNE_PAGES  512      /* of sluice.seen in one step */
#define PRUNE_PAGE   1000     /* ms between two such steps, at least */
#define PRUNE_TURNS  4        /* rounds in "dedupe.window" */

/* the pause after a step, as a multiple of its time: batches are stored then */
#define PRUNE_REST_MORE  2
#define PRUNE_REST       9

#define PRUNE_LAST_PAGE  INT64_C(4294967295)


struct prune_s {
    const conf_t     *conf;
    const offsets_t  *offsets;
    int64_t           since;      /* ms, monotonic, when this step began */
    int64_t           next;       /* the same, when the next one is due */
    int64_t           page;       /* of sluice.seen, the next one */
    bool              begun;      /* at a random page */
    buf_t             sql;
    log_limit_t       failed;
    outcome_pt        done;
    void             *data;
};


/* The columns of a step's answer. */
enum {
    PRUNE_KEYS = 0,     /* deleted */
    PRUNE_DEAD,
    PRUNE_LAST,         /* page of a deleted key */
    PRUNE_TABLE         /* pages of all keys */
};


static void prune_keys(const prune_t *prune, buf_t *sql);
static void prune_dead(const prune_t *prune, buf_t *sql);
static void prune_on_reply(void *data, const pg_reply_t *reply);
static int64_t prune_turn(prune_t *prune, const PGresult *res);


prune_t *
prune_create(const conf_t *conf, const offsets_t *offsets)
{
    prune_t  *prune;

    prune = calloc(1, sizeof(prune_t));

    if (prune) {
        prune->conf = conf;
        prune->offsets = offsets;
    }

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


int64_t
prune_due_in(const prune_t *prune, int64_t now)
{
    if (prune->conf->dedupe_header == NULL && prune->conf->dead_keep == 0) {
        return -1;
    }

    return prune->next > now ? prune->next - now : 0;
}


void
prune_step(prune_t *prune, pg_t *pg, outcome_pt done, void *data)
{
    buf_t  *sql;

    prune->done = done;
    prune->data = data;
    prune->since = clock_ms();
    sql = &prune->sql;
    sql->len = 0;

    buf_addf(sql, "BEGIN ISOLATION LEVEL READ COMMITTED;"
             "SET LOCAL statement_timeout='10s';"
             "SET LOCAL lock_timeout='1s';SET LOCAL " SQL_PATH "WITH s AS (");
    prune_keys(prune, sql);
    buf_addf(sql, "), d AS (");
    prune_dead(prune, sql);
    buf_addf(sql, ") SELECT (SELECT count(*) FROM s), (SELECT count(*)"
             " FROM d), (SELECT max((ctid::text::point)[0])::bigint FROM s),"
             " %s;COMMIT", prune->conf->dedupe_header
             ? "pg_relation_size('sluice.seen')"
               " / current_setting('block_size')::bigint" : "0");

    /* without memory the server reports an error, and a step follows */
    pg_query(pg, buf_failed(sql) ? "(invalid)" : sql->data, NULL,
             prune_on_reply, prune);
}


/* Rows that another daemon or a command holds are skipped, not waited for. */

static void
prune_keys(const prune_t *prune, buf_t *sql)
{
    int64_t  end;

    if (prune->conf->dedupe_header == NULL) {
        buf_addf(sql, "SELECT NULL::tid AS ctid WHERE false");
        return;
    }

    end = prune->page + PRUNE_PAGES;

    buf_addf(sql, "DELETE FROM sluice.seen WHERE ctid = ANY (ARRAY(SELECT"
             " ctid FROM sluice.seen WHERE ctid >= '(%" PRId64 ",0)'"
             " AND ctid < '(%" PRId64 ",0)' AND expires_at <= now()"
             " LIMIT %d FOR UPDATE SKIP LOCKED)) RETURNING ctid",
             prune->page, end < PRUNE_LAST_PAGE ? end : PRUNE_LAST_PAGE,
             PRUNE_ROWS);
}


static void
prune_dead(const prune_t *prune, buf_t *sql)
{
    size_t  i;

    if (prune->conf->dead_keep == 0) {
        buf_addf(sql, "SELECT NULL::tid AS ctid WHERE false");
        return;
    }

    sql_format(sql, "DELETE FROM sluice.dead_letters WHERE ctid = ANY (ARRAY("
               "SELECT ctid FROM sluice.dead_letters WHERE cluster_id=%L"
               " AND group_id=%L AND topic IN (",
               offsets_cluster(prune->offsets), prune->conf->group);

    for (i = 0; i < conf_topics(prune->conf); i++) {
        sql_format(sql, i ? ",%L" : "%L", conf_topic(prune->conf, i));
    }

    buf_addf(sql, ") AND created_at < now() - %" PRId64 " * interval '1 ms'"
             " ORDER BY created_at LIMIT %d FOR UPDATE SKIP LOCKED))"
             " RETURNING 1", prune->conf->dead_keep, PRUNE_ROWS);
}


/*
 * After a failure the next step takes other pages, as these may always fail.
 * Only a lost connection is reported to the daemon.
 */

static void
prune_on_reply(void *data, const pg_reply_t *reply)
{
    int64_t     now, took, wait;
    prune_t    *prune = data;
    outcome_t   outcome;

    sqlstate_outcome(&outcome, reply, "could not delete expired rows");
    now = clock_ms();
    took = now - prune->since;
    wait = PRUNE_EVERY;

    if (outcome.action == SQLSTATE_OK && reply->rows) {
        wait = prune_turn(prune, reply->rows);

    } else {
        prune->page += PRUNE_PAGES;

        if (outcome.action != SQLSTATE_RECONNECT) {
            log_limited(&prune->failed, "%s", outcome.reason);
            outcome.action = SQLSTATE_OK;
        }
    }

    took *= wait == PRUNE_AGAIN ? PRUNE_REST_MORE : PRUNE_REST;
    prune->next = now + (wait > took ? wait : took);
    prune->done(prune->data, &outcome);
}


/*
 * Chooses the next pages; returns ms until their step.  A daemon begins at a
 * random page: so the last ones are reached even if it restarts often.
 */

static int64_t
prune_turn(prune_t *prune, const PGresult *res)
{
    int64_t  pages, wait;

    wait = sql_number(res, 0, PRUNE_DEAD) == PRUNE_ROWS ? PRUNE_AGAIN
                                                        : PRUNE_EVERY;

    if (prune->conf->dedupe_header == NULL) {
        return wait;
    }

    if (sql_number(res, 0, PRUNE_KEYS) == PRUNE_ROWS) {
        prune->page = sql_number(res, 0, PRUNE_LAST);
        return PRUNE_AGAIN;
    }

    pages = sql_number(res, 0, PRUNE_TABLE);

    if (!prune->begun && pages > PRUNE_PAGES) {
        prune->page = random() % pages;
        prune->begun = true;
        return PRUNE_AGAIN;
    }

    prune->page += PRUNE_PAGES;

    if (prune->page >= pages) {
        prune->page = 0;
    }

    if (wait == PRUNE_AGAIN) {
        return wait;
    }

    wait = prune->conf->dedupe_window / PRUNE_TURNS
           / (pages / PRUNE_PAGES + 1);

    return wait < PRUNE_PAGE ? PRUNE_PAGE
           : wait > PRUNE_EVERY ? PRUNE_EVERY : wait;
}
