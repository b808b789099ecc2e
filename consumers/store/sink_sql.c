/*
 * The statements of one table, by its mode.  What may meet rows that are
 * there already goes through a temporary table of the transaction, so that
 * nothing depends on the session and a pooler may stand between.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/sink_impl.h"


/* Names no column of a table is likely to have. */
#define SINK_PLACE  "\"#place\""     /* of the row in its batch */
#define SINK_GONE   "\"#gone\""      /* whether it is a tombstone */

#define SINK_PLAIN_WAIT  100         /* ms; "deadlock_timeout" is 1 s */


static void sink_copy(buf_t *sql, PGconn *conn, const target_t *found);
static void sink_columns(buf_t *sql, PGconn *conn, const target_t *found);
static void sink_key(buf_t *sql, PGconn *conn, const conf_t *conf,
    const char *of);
static void sink_match(buf_t *sql, PGconn *conn, const conf_t *conf,
    const char *a, const char *b);
static void sink_types(buf_t *sql, PGconn *conn,
    const sink_target_t *target);
static void sink_plain(sink_target_t *target, PGconn *conn);
static void sink_stage(sink_target_t *target, PGconn *conn);
static void sink_into(buf_t *sql, PGconn *conn, const target_t *found,
    const char *as);
static void sink_upsert(buf_t *sql, PGconn *conn,
    const sink_target_t *target, const char *where);
static void sink_conflict(buf_t *sql, PGconn *conn, const target_t *found);
static void sink_delete(buf_t *sql, PGconn *conn,
    const sink_target_t *target);
static void sink_insert(buf_t *sql, PGconn *conn,
    const sink_target_t *target);


int
sink_target_prepare(sink_target_t *target, PGconn *conn, unsigned n)
{
    const conf_t  *conf;

    conf = target->conf;
    target->staged = conf->mode != CONF_MODE_APPEND
                     || target->found->by_insert;
    target->stage.len = 0;
    target->copy.len = 0;
    target->copy_binary.len = 0;
    target->apply.len = 0;
    target->apply_delete.len = 0;
    target->plain.len = 0;
    target->plain_binary.len = 0;

    if (target->staged) {
        snprintf(target->relation, sizeof(target->relation),
                 "sluice_stage_%u", n);
        sink_stage(target, conn);
        buf_addf(&target->copy, "COPY pg_temp.%s (" SINK_PLACE ",%s",
                 target->relation, conf->mode == CONF_MODE_UPSERT_DELETE
                 ? SINK_GONE "," : "");
        sink_columns(&target->copy, conn, target->found);
        buf_addf(&target->copy, ") FROM STDIN");

    } else {
        snprintf(target->relation, sizeof(target->relation), "%s",
                 conf->table_name);
        sink_copy(&target->copy, conn, target->found);
    }

    if (target->binary) {
        if (!target->staged) {
            buf_addf(&target->copy_binary, "LOCK TABLE ONLY ");
            sql_table(&target->copy_binary, conn, conf);
            buf_addf(&target->copy_binary, " IN ROW EXCLUSIVE MODE;");
        }

        sink_types(&target->copy_binary, conn, target);
        sink_add(&target->copy_binary, &target->copy);
        buf_addf(&target->copy_binary, " (FORMAT binary)");
    }

    if (target->found->plain) {
        sink_plain(target, conn);
    }

    switch (conf->mode) {

    case CONF_MODE_APPEND:
        if (target->staged) {
            sink_insert(&target->apply, conn, target);
        }
        break;

    case CONF_MODE_IGNORE:
        sink_insert(&target->apply, conn, target);
        break;

    case CONF_MODE_UPSERT_DELETE:
        sink_delete(&target->apply_delete, conn, target);
        /* fall through */

    case CONF_MODE_UPSERT:
        sink_upsert(&target->apply, conn, target, "");
        break;
    }

    return buf_failed(&target->stage) || buf_failed(&target->copy)
           || buf_failed(&target->copy_binary) || buf_failed(&target->plain)
           || buf_failed(&target->plain_binary)
           || buf_failed(&target->apply) || buf_failed(&target->apply_delete)
           ? -1 : 0;
}


static void
sink_columns(buf_t *sql, PGconn *conn, const target_t *found)
{
    size_t  i, n;

    for (i = 0, n = 0; i < found->ncolumns; i++) {
        if (found->columns[i].from != CONF_FROM_IDENTITY) {
            buf_addf(sql, n++ ? "," : "");
            sql_name(sql, conn, found->columns[i].name);
        }
    }
}


static void
sink_key(buf_t *sql, PGconn *conn, const conf_t *conf, const char *of)
{
    size_t  i;

    for (i = 0; i < conf->key.n; i++) {
        buf_addf(sql, "%s%s", i ? "," : "", of);
        sql_name(sql, conn, conf->key.names[i]);
    }
}


static void
sink_match(buf_t *sql, PGconn *conn, const conf_t *conf, const char *a,
    const char *b)
{
    size_t  i;

    for (i = 0; i < conf->key.n; i++) {
        buf_addf(sql, "%s%s.", i ? " AND " : "", a);
        sql_name(sql, conn, conf->key.names[i]);
        buf_addf(sql, "=%s.", b);
        sql_name(sql, conn, conf->key.names[i]);
    }
}


/*
 * A tuple says nothing of its types: those of a table that was altered under
 * a running daemon would take its bytes for something else.  So the table is
 * locked as COPY does, or by the statement before, and looked at.
 */

static void
sink_types(buf_t *sql, PGconn *conn, const sink_target_t *target)
{
    size_t           i, n;
    buf_t            block, table;
    const target_t  *found;

    found = target->found;
    memset(&block, 0, sizeof(buf_t));
    memset(&table, 0, sizeof(buf_t));
    sql_table(&table, conn, found->conf);

    buf_addf(&block, "BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_attribute"
             " JOIN (VALUES ");

    for (i = 0, n = 0; i < found->ncolumns; i++) {
        if (found->columns[i].from != CONF_FROM_IDENTITY) {
            buf_addf(&block, n ? ",(" : "(");
            sql_literal(&block, conn, found->columns[i].name);
            buf_addf(&block, "::name,%" PRIu32 ")",
                     target->binary->oids[n++]);
        }
    }

    /* of a column that has gone COPY's error says more */

    buf_addf(&block, ") c (name, type) ON attname=name WHERE attrelid="
             "to_regclass(");
    sql_literal(&block, conn, buf_failed(&table) ? "" : table.data);
    buf_addf(&block, ") AND NOT attisdropped AND atttypid<>type) THEN"
             " RAISE EXCEPTION 'the table''s types have changed'"
             " USING ERRCODE='SL002';END IF;END");

    buf_addf(sql, "DO ");
    sql_literal(sql, conn, buf_failed(&block) ? "" : block.data);
    buf_addf(sql, ";");

    buf_free(&block);
    buf_free(&table);
}


/*
 * Rows of new keys need no temporary table.  They come in any order, so of
 * two daemons that wait for each other's keys this one gives way, before
 * PostgreSQL looks for a deadlock.  The INSERT stores nothing: PostgreSQL
 * looks for the key's unique index as for a merge, and refuses without one.
 */

static void
sink_plain(sink_target_t *target, PGconn *conn)
{
    size_t           i, n;
    buf_t           *sql;
    const target_t  *found;

    sql = &target->plain;
    found = target->found;

    buf_addf(sql, "SET LOCAL lock_timeout=%d;INSERT INTO ",
             SINK_PLAIN_WAIT);
    sql_table(sql, conn, found->conf);
    buf_addf(sql, " AS sluice_row (");
    sink_columns(sql, conn, found);
    buf_addf(sql, ") SELECT ");

    for (i = 0, n = 0; i < found->ncolumns; i++) {
        if (found->columns[i].from != CONF_FROM_IDENTITY) {
            buf_addf(sql, n++ ? ",NULL" : "NULL");
        }
    }

    buf_addf(sql, " WHERE false");
    sink_conflict(sql, conn, found);
    buf_addf(sql, ";");

    if (target->binary) {
        sink_add(&target->plain_binary, sql);
        sink_types(&target->plain_binary, conn, target);
        sink_copy(&target->plain_binary, conn, found);
        buf_addf(&target->plain_binary, " (FORMAT binary)");
    }

    sink_copy(sql, conn, found);
}


static void
sink_copy(buf_t *sql, PGconn *conn, const target_t *found)
{
    buf_addf(sql, "COPY ");
    sql_table(sql, conn, found->conf);
    buf_addf(sql, " (");
    sink_columns(sql, conn, found);
    buf_addf(sql, ") FROM STDIN");
}


/*
 * Types are the table's own.  A batch of usual size is sorted in memory, which
 * the server's default has no room for.  A key that is null would be equal to
 * another here and different in the table, so it is refused with its line.
 */

static void
sink_stage(sink_target_t *target, PGconn *conn)
{
    size_t         i;
    buf_t         *sql;
    const conf_t  *conf;

    sql = &target->stage;
    conf = target->conf;

    buf_addf(sql, "SELECT set_config('work_mem', '32MB', true)"
             " WHERE pg_size_bytes(current_setting('work_mem')) < 32 << 20;"
             "CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT 0::int"
             " AS " SINK_PLACE ",%s", target->relation,
             conf->mode == CONF_MODE_UPSERT_DELETE ? "false AS " SINK_GONE ","
                                                   : "");
    sink_columns(sql, conn, target->found);
    buf_addf(sql, " FROM ");
    sql_table(sql, conn, conf);
    buf_addf(sql, " WITH NO DATA;");

    for (i = 0; conf->mode != CONF_MODE_IGNORE && i < conf->key.n; i++) {
        buf_addf(sql, i ? "," : "ALTER TABLE pg_temp.%s", target->relation);
        buf_addf(sql, " ALTER ");
        sql_name(sql, conn, conf->key.names[i]);
        buf_addf(sql, " SET NOT NULL");
    }

    buf_addf(sql, i ? ";" : "");
}


static void
sink_into(buf_t *sql, PGconn *conn, const target_t *found, const char *as)
{
    buf_addf(sql, ";INSERT INTO ");
    sql_table(sql, conn, found->conf);
    buf_addf(sql, "%s (", as);
    sink_columns(sql, conn, found);
    buf_addf(sql, ") SELECT ");
    sink_columns(sql, conn, found);
}


/* The last of each key, in the keys' order: all daemons lock alike. */

static void
sink_upsert(buf_t *sql, PGconn *conn, const sink_target_t *target,
    const char *where)
{
    const conf_t  *conf;

    conf = target->conf;

    sink_into(sql, conn, target->found, " AS sluice_row");
    buf_addf(sql, " FROM (SELECT DISTINCT ON (");
    sink_key(sql, conn, conf, "s.");
    buf_addf(sql, ") s.* FROM pg_temp.%s s%s ORDER BY ", target->relation,
             where);
    sink_key(sql, conn, conf, "s.");

    if (conf->newer) {
        buf_addf(sql, ",s.");
        sql_name(sql, conn, conf->newer);
        buf_addf(sql, " DESC NULLS LAST");
    }

    buf_addf(sql, ",s." SINK_PLACE " DESC) s ORDER BY ");
    sink_key(sql, conn, conf, "s.");
    sink_conflict(sql, conn, target->found);
}


static void
sink_conflict(buf_t *sql, PGconn *conn, const target_t *found)
{
    size_t         i, n;
    const char    *name;
    const conf_t  *conf;

    conf = found->conf;
    buf_addf(sql, " ON CONFLICT ");

    if (conf->key.n) {
        buf_addf(sql, "(");
        sink_key(sql, conn, conf, "");
        buf_addf(sql, ") ");
    }

    buf_addf(sql, "DO ");

    for (i = 0, n = 0; conf->mode != CONF_MODE_IGNORE && i < found->ncolumns;
         i++)
    {
        name = found->columns[i].name;

        if (conf_is_key(conf, name)
            || found->columns[i].from == CONF_FROM_IDENTITY)
        {
            continue;
        }

        buf_addf(sql, n++ ? "," : "UPDATE SET ");
        sql_name(sql, conn, name);
        buf_addf(sql, "=EXCLUDED.");
        sql_name(sql, conn, name);
    }

    if (n == 0) {
        buf_addf(sql, "NOTHING");
        return;
    }

    if (conf->newer) {
        buf_addf(sql, " WHERE sluice_row.");
        sql_name(sql, conn, conf->newer);
        buf_addf(sql, " IS NULL OR EXCLUDED.");
        sql_name(sql, conn, conf->newer);
        buf_addf(sql, ">=sluice_row.");
        sql_name(sql, conn, conf->newer);
    }
}


/*
 * As if one by one: whatever stands before a key's last tombstone is gone
 * with it.  Rows that are there are locked in the keys' order first, those to
 * be updated as well as those to be deleted.
 */

static void
sink_delete(buf_t *sql, PGconn *conn, const sink_target_t *target)
{
    buf_t          where;
    const conf_t  *conf;

    conf = target->conf;

    buf_addf(sql, ";SELECT count(*) FROM (SELECT FROM ");
    sql_table(sql, conn, conf);
    buf_addf(sql, " t JOIN (SELECT DISTINCT ");
    sink_key(sql, conn, conf, "");
    buf_addf(sql, " FROM pg_temp.%s) s ON ", target->relation);
    sink_match(sql, conn, conf, "t", "s");
    buf_addf(sql, " ORDER BY ");
    sink_key(sql, conn, conf, "s.");
    buf_addf(sql, " FOR UPDATE OF t) x;DELETE FROM ");
    sql_table(sql, conn, conf);
    buf_addf(sql, " t USING (SELECT DISTINCT ");
    sink_key(sql, conn, conf, "");
    buf_addf(sql, " FROM pg_temp.%s WHERE " SINK_GONE ") s WHERE ",
             target->relation);
    sink_match(sql, conn, conf, "t", "s");

    memset(&where, 0, sizeof(buf_t));
    buf_addf(&where, " WHERE NOT s." SINK_GONE " AND NOT EXISTS (SELECT FROM"
             " pg_temp.%s d WHERE d." SINK_GONE " AND d." SINK_PLACE ">s."
             SINK_PLACE " AND ", target->relation);
    sink_match(&where, conn, conf, "d", "s");
    buf_addf(&where, ")");

    if (buf_failed(&where)) {
        /* no such thing would run */
        buf_addf(sql, "(invalid)");
        return;
    }

    sink_upsert(sql, conn, target, where.data);
    buf_free(&where);
}


/*
 * Without a key there is no order to lock in; the first one stays.  What
 * is appended goes this way where the table takes no COPY.
 */

static void
sink_insert(buf_t *sql, PGconn *conn, const sink_target_t *target)
{
    const conf_t  *conf;

    conf = target->conf;

    sink_into(sql, conn, target->found, "");
    buf_addf(sql, " FROM pg_temp.%s s ORDER BY ", target->relation);
    sink_key(sql, conn, conf, "s.");
    buf_addf(sql, "%ss." SINK_PLACE, conf->key.n ? "," : "");

    if (conf->mode != CONF_MODE_APPEND) {
        sink_conflict(sql, conn, target->found);
    }
}
