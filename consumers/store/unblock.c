/*
 * Ends backends that block this daemon: those that a gone or stopped daemon of
 * the same group left.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "postgres/sql.h"
#include "store/unblock.h"


#define UNBLOCK_AFTER  2000    /* ms a query has waited */
#define UNBLOCK_AGAIN  1000    /* ms between two attempts */


struct unblock_s {
    size_t       ntopics;
    offsets_t   *offsets;
    const char  *name;
    pg_t        *pg;
    buf_t        sql;
    bool         claiming;
    int64_t      next;       /* ms, of the next attempt */
    uint64_t     count;
};


static void unblock_on_ready(void *data, const char *error,
    const char *sqlstate);
static void unblock_on_reply(void *data, const pg_reply_t *reply);


unblock_t *
unblock_create(const conf_t *conf, offsets_t *offsets, const char *name)
{
    unblock_t  *unblock;

    unblock = calloc(1, sizeof(unblock_t));
    if (unblock == NULL) {
        return NULL;
    }

    unblock->ntopics = conf_topics(conf);
    unblock->offsets = offsets;
    unblock->name = name;
    unblock->pg = pg_create(conf, "sluice:unblock", unblock_on_ready, unblock);

    if (unblock->pg == NULL) {
        free(unblock);
        return NULL;
    }

    return unblock;
}


void
unblock_destroy(unblock_t *unblock)
{
    if (unblock == NULL) {
        return;
    }

    pg_destroy(unblock->pg);
    buf_free(&unblock->sql);
    free(unblock);
}


pg_t *
unblock_pg(unblock_t *unblock)
{
    return unblock->pg;
}


uint64_t
unblock_count(const unblock_t *unblock)
{
    return unblock->count;
}


int64_t
unblock_tick(unblock_t *unblock, int64_t now, int64_t since, bool claiming)
{
    int64_t  due;

    if (since == 0) {
        unblock->next = 0;
        return -1;
    }

    due = since + UNBLOCK_AFTER;

    if (unblock->next > due) {
        due = unblock->next;
    }

    if (now < due) {
        return due - now;
    }

    unblock->next = now + UNBLOCK_AGAIN;
    unblock->claiming = claiming;

    if (pg_state(unblock->pg) == PG_CLOSED) {
        pg_connect(unblock->pg);
    }

    return UNBLOCK_AGAIN;
}


/*
 * A blocking backend of the same group and role is ended if its daemon owns no
 * partition any more.  While this daemon claims, the backend is ended in any
 * case: the group gave the partitions to this daemon, whatever sluice.offsets
 * still says.  The own session is found by its name, as a pooler's process ids
 * are not the server's.
 */

static void
unblock_on_ready(void *data, const char *error, const char *sqlstate)
{
    char        prefix[OFFSETS_PREFIX];
    buf_t      *sql;
    size_t      i;
    unblock_t  *unblock = data;

    if (error) {
        log_debug("could not look for a blocking backend: %s", error);
        return;
    }

    snprintf(prefix, sizeof(prefix), "%s", unblock->name);

    sql = &unblock->sql;
    sql->len = 0;
    sql_format(sql, "BEGIN;SET LOCAL " SQL_PATH
               "SELECT b.pid, b.application_name,"
               " pg_terminate_backend(b.pid) FROM pg_stat_activity me"
               " CROSS JOIN LATERAL unnest(pg_blocking_pids(me.pid)) x(pid)"
               " JOIN pg_stat_activity b ON b.pid=x.pid"
               " WHERE me.wait_event_type='Lock' AND me.application_name=%L"
               " AND b.usename=current_user AND b.pid<>me.pid"
               " AND left(b.application_name,24)=%L"
               " AND (%s OR b.application_name=%L"
               " OR NOT EXISTS (SELECT FROM sluice.offsets WHERE (",
               unblock->name, prefix, unblock->claiming ? "true" : "false",
               unblock->name);

    for (i = 0; i < unblock->ntopics; i++) {
        buf_addf(sql, "%s%s", i ? " OR " : "",
                 offsets_where(unblock->offsets, i));
    }

    buf_addf(sql, ") AND owner=b.application_name));COMMIT");

    if (buf_failed(sql)) {
        pg_close(unblock->pg);
        return;
    }

    pg_query(unblock->pg, sql->data, NULL, unblock_on_reply, unblock);
}


static void
unblock_on_reply(void *data, const pg_reply_t *reply)
{
    int         row;
    unblock_t  *unblock = data;

    if (reply->sqlstate[0]) {
        log_warnx("could not look for a blocking backend: %s (%s)",
                  reply->reason, reply->sqlstate);
    }

    for (row = 0; reply->rows && row < PQntuples(reply->rows); row++) {
        unblock->count++;
        log_warnx("ended backend %s of \"%s\": it held a lock that this "
                  "daemon waits for", PQgetvalue(reply->rows, row, 0),
                  PQgetvalue(reply->rows, row, 1));
    }

    pg_close(unblock->pg);
}
