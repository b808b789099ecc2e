/*
 * The SQL that stores rows in one table, by its mode.  Rows that may meet rows
 * of the table go through a temporary table of the transaction: nothing
 * depends on the session, so a pooler may stand between.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/statements.h"


/* Names no column of a table is likely to have. */
#define STATEMENT_PLACE  "\"#place\""    /* of the row in its batch */
#define STATEMENT_GONE   "\"#gone\""     /* whether it is a tombstone */

#define STATEMENT_PLAIN_WAIT  100        /* ms; "deadlock_timeout" is 1 s */


/* Names as the statements have them. */
typedef struct {
    const conf_t    *conf;
    const target_t  *target;
    PGconn          *conn;
    const tuples_t  *binary;      /* NULL: rows are sent as lines */
    const char      *relation;    /* the temporary table */
    buf_t            table;
    buf_t            columns;     /* those a row fills, with commas */
    buf_t            nulls;       /* NULL for each of them */
    buf_t            key;         /* its columns, with commas */
    buf_t            order;       /* the same of "s" */
    buf_t            newer;       /* column; or empty */
} statement_names_t;


static int statement_names(statement_names_t *names);
static void statement_names_free(statement_names_t *names);
static void statement_words(statements_t *statements,
    const statement_names_t *names);
static void statement_stage(const statement_names_t *names, buf_t *sql);
static void statement_types(const statement_names_t *names, buf_t *sql);
static void statement_plain(const statement_names_t *names, buf_t *plain,
    buf_t *plain_binary);
static void statement_insert(const statement_names_t *names, buf_t *sql);
static void statement_upsert(const statement_names_t *names,
    const char *where, buf_t *sql);
static void statement_delete(const statement_names_t *names, buf_t *sql);
static void statement_conflict(const statement_names_t *names, buf_t *sql);
static void statement_match(const statement_names_t *names, const char *a,
    const char *b, buf_t *sql);


static bool
statement_fills(const conf_column_t *column)
{
    return column->from != CONF_FROM_IDENTITY;
}


int
statements_prepare(statements_t *statements, PGconn *conn,
    const target_t *target, const tuples_t *binary, unsigned number)
{
    int                rc;
    size_t             i;
    const conf_t      *conf;
    statement_names_t  names;

    conf = target->conf;

    memset(&names, 0, sizeof(statement_names_t));
    names.conf = conf;
    names.target = target;
    names.conn = conn;
    names.binary = binary;
    names.relation = statements->relation;

    statements->staged = conf->mode != CONF_MODE_APPEND || target->by_insert;
    statements->gone = conf->mode == CONF_MODE_UPSERT_DELETE;

    if (statements->staged) {
        snprintf(statements->relation, sizeof(statements->relation),
                 "sluice_stage_%u", number);
    } else {
        snprintf(statements->relation, sizeof(statements->relation), "%s",
                 conf->table_name);
    }

    for (i = 0; i < STATEMENTS; i++) {
        statements->sql[i].len = 0;
    }

    rc = statement_names(&names);

    if (rc == 0) {
        statement_words(statements, &names);
    }

    statement_names_free(&names);

    for (i = 0; i < STATEMENTS; i++) {
        if (buf_failed(&statements->sql[i])) {
            rc = -1;
        }
    }

    return rc;
}


void
statements_free(statements_t *statements)
{
    size_t  i;

    for (i = 0; i < STATEMENTS; i++) {
        buf_free(&statements->sql[i]);
    }
}


static int
statement_names(statement_names_t *names)
{
    size_t           i;
    PGconn          *conn;
    const conf_t    *conf;
    const target_t  *target;

    conf = names->conf;
    conn = names->conn;
    target = names->target;
    sql_table(&names->table, conn, conf);

    /* what stays empty is text as well */
    buf_add(&names->columns, "", 0);
    buf_add(&names->nulls, "", 0);
    buf_add(&names->key, "", 0);
    buf_add(&names->order, "", 0);

    for (i = 0; i < target->ncolumns; i++) {
        if (statement_fills(&target->columns[i])) {
            buf_addf(&names->nulls, names->nulls.len ? ",NULL" : "NULL");
            buf_addf(&names->columns, names->columns.len ? "," : "");
            sql_name(&names->columns, conn, target->columns[i].name);
        }
    }

    for (i = 0; i < conf->key.n; i++) {
        buf_addf(&names->key, i ? "," : "");
        sql_name(&names->key, conn, conf->key.names[i]);
        buf_addf(&names->order, i ? ",s." : "s.");
        sql_name(&names->order, conn, conf->key.names[i]);
    }

    if (conf->newer) {
        sql_name(&names->newer, conn, conf->newer);
    }

    return buf_failed(&names->table) || buf_failed(&names->columns)
           || buf_failed(&names->nulls) || buf_failed(&names->key)
           || buf_failed(&names->order) || buf_failed(&names->newer) ? -1
                                                                     : 0;
}


static void
statement_names_free(statement_names_t *names)
{
    buf_free(&names->table);
    buf_free(&names->columns);
    buf_free(&names->nulls);
    buf_free(&names->key);
    buf_free(&names->order);
    buf_free(&names->newer);
}


static void
statement_words(statements_t *statements, const statement_names_t *names)
{
    buf_t         *sql, *binary;
    const conf_t  *conf;

    conf = names->conf;
    sql = statements->sql;

    if (statements->staged) {
        statement_stage(names, &sql[STATEMENT_STAGE]);
        buf_addf(&sql[STATEMENT_COPY], "COPY pg_temp.%s (" STATEMENT_PLACE
                 ",%s%s) FROM STDIN", names->relation,
                 statements->gone ? STATEMENT_GONE "," : "",
                 names->columns.data);
    } else {
        buf_addf(&sql[STATEMENT_COPY], "COPY %s (%s) FROM STDIN",
                 names->table.data, names->columns.data);
    }

    if (names->binary) {
        binary = &sql[STATEMENT_COPY_BINARY];

        if (!statements->staged) {
            buf_addf(binary, "LOCK TABLE ONLY %s IN ROW EXCLUSIVE MODE;",
                     names->table.data);
        }

        statement_types(names, binary);
        statements_add(statements, STATEMENT_COPY, binary);
        buf_addf(binary, " (FORMAT binary)");
    }

    if (names->target->plain) {
        statement_plain(names, &sql[STATEMENT_PLAIN],
                        &sql[STATEMENT_PLAIN_BINARY]);
    }

    switch (conf->mode) {

    case CONF_MODE_APPEND:
        if (!statements->staged) {
            break;
        }
        /* fall through */

    case CONF_MODE_IGNORE:
        statement_insert(names, &sql[STATEMENT_APPLY]);
        break;

    case CONF_MODE_UPSERT_DELETE:
        statement_delete(names, &sql[STATEMENT_APPLY_DELETE]);
        /* fall through */

    case CONF_MODE_UPSERT:
        statement_upsert(names, "", &sql[STATEMENT_APPLY]);
        break;
    }
}


/*
 * Types are the table's own.  A batch of usual size is sorted in memory, which
 * the server's default has no room for.  A key that is null would be equal to
 * another here and different in the table, so it is refused with its line.
 */

static void
statement_stage(const statement_names_t *names, buf_t *sql)
{
    size_t         i;
    const conf_t  *conf;

    conf = names->conf;

    buf_addf(sql, "SELECT set_config('work_mem', '32MB', true)"
             " WHERE pg_size_bytes(current_setting('work_mem')) < 32 << 20;"
             "CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT 0::int"
             " AS " STATEMENT_PLACE ",%s%s FROM %s WITH NO DATA;",
             names->relation, conf->mode == CONF_MODE_UPSERT_DELETE
             ? "false AS " STATEMENT_GONE "," : "", names->columns.data,
             names->table.data);

    if (conf->mode == CONF_MODE_IGNORE || conf->key.n == 0) {
        return;
    }

    for (i = 0; i < conf->key.n; i++) {
        buf_addf(sql, i ? ", ALTER " : "ALTER TABLE pg_temp.%s ALTER ",
                 names->relation);
        sql_name(sql, names->conn, conf->key.names[i]);
        buf_addf(sql, " SET NOT NULL");
    }

    buf_addf(sql, ";");
}


/*
 * A tuple says nothing of its types: those of a table that was altered under
 * a running daemon would take its bytes for something else.  So the table is
 * locked, as COPY does it, and looked at.
 */

static void
statement_types(const statement_names_t *names, buf_t *sql)
{
    size_t           i, n;
    buf_t            block;
    const target_t  *target;

    target = names->target;
    memset(&block, 0, sizeof(buf_t));

    buf_addf(&block, "BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_attribute"
             " JOIN (VALUES ");

    for (i = 0, n = 0; i < target->ncolumns; i++) {
        if (statement_fills(&target->columns[i])) {
            buf_addf(&block, n ? ",(" : "(");
            sql_literal(&block, names->conn, target->columns[i].name);
            buf_addf(&block, "::name,%" PRIu32 ")",
                     names->binary->oids[n++]);
        }
    }

    /* of a column that is missing COPY's error says more */

    buf_addf(&block, ") c (name, type) ON attname=name WHERE attrelid="
             "to_regclass(");
    sql_literal(&block, names->conn, names->table.data);
    buf_addf(&block, ") AND NOT attisdropped AND atttypid<>type) THEN"
             " RAISE EXCEPTION 'the table''s types have changed'"
             " USING ERRCODE='SL002';END IF;END");

    sql_do(sql, names->conn, &block);
    buf_addf(sql, ";");
}


/*
 * Rows of new keys need no temporary table.  They come in any order, so of
 * two daemons that wait for each other's keys this one gives way, before
 * PostgreSQL looks for a deadlock.  The INSERT stores nothing: PostgreSQL
 * looks for the key's unique index as for a merge, and refuses without one.
 */

static void
statement_plain(const statement_names_t *names, buf_t *plain,
    buf_t *plain_binary)
{
    buf_addf(plain, "SET LOCAL lock_timeout=%d;INSERT INTO %s AS sluice_row"
             " (%s) SELECT %s WHERE false", STATEMENT_PLAIN_WAIT,
             names->table.data, names->columns.data, names->nulls.data);
    statement_conflict(names, plain);
    buf_addf(plain, ";");

    if (names->binary) {
        buf_add(plain_binary, plain->data, plain->len);
        statement_types(names, plain_binary);
        buf_addf(plain_binary, "COPY %s (%s) FROM STDIN (FORMAT binary)",
                 names->table.data, names->columns.data);
    }

    buf_addf(plain, "COPY %s (%s) FROM STDIN", names->table.data,
             names->columns.data);
}


/*
 * Without a key there is no order to lock in; the first one stays.  Appended
 * rows go this way where the table takes no COPY.
 */

static void
statement_insert(const statement_names_t *names, buf_t *sql)
{
    buf_addf(sql, ";INSERT INTO %s (%s) SELECT %s FROM pg_temp.%s s ORDER BY "
             "%s%ss." STATEMENT_PLACE, names->table.data, names->columns.data,
             names->columns.data, names->relation, names->order.data,
             names->order.len ? "," : "");

    if (names->conf->mode != CONF_MODE_APPEND) {
        statement_conflict(names, sql);
    }
}


/* The last of each key, in the keys' order: all daemons lock alike. */

static void
statement_upsert(const statement_names_t *names, const char *where,
    buf_t *sql)
{
    buf_addf(sql, ";INSERT INTO %s AS sluice_row (%s) SELECT %s FROM (SELECT"
             " DISTINCT ON (%s) s.* FROM pg_temp.%s s%s ORDER BY %s",
             names->table.data, names->columns.data, names->columns.data,
             names->order.data, names->relation, where, names->order.data);

    if (names->newer.len) {
        buf_addf(sql, ",s.%s DESC NULLS LAST", names->newer.data);
    }

    buf_addf(sql, ",s." STATEMENT_PLACE " DESC) s ORDER BY %s",
             names->order.data);
    statement_conflict(names, sql);
}


static void
statement_conflict(const statement_names_t *names, buf_t *sql)
{
    size_t           i, n;
    const char      *name, *newer;
    const conf_t    *conf;
    const target_t  *target;

    conf = names->conf;
    target = names->target;

    buf_addf(sql, " ON CONFLICT %s%s%sDO ", conf->key.n ? "(" : "",
             names->key.data, conf->key.n ? ") " : "");

    for (i = 0, n = 0; conf->mode != CONF_MODE_IGNORE && i < target->ncolumns;
         i++)
    {
        name = target->columns[i].name;

        if (statement_fills(&target->columns[i])
            && !conf_is_key(&conf->key, name))
        {
            buf_addf(sql, n++ ? "," : "UPDATE SET ");
            sql_name(sql, names->conn, name);
            buf_addf(sql, "=EXCLUDED.");
            sql_name(sql, names->conn, name);
        }
    }

    if (n == 0) {
        buf_addf(sql, "NOTHING");

    } else if (names->newer.len) {
        newer = names->newer.data;
        buf_addf(sql, " WHERE sluice_row.%s IS NULL OR EXCLUDED.%s"
                 ">=sluice_row.%s", newer, newer, newer);
    }
}


/*
 * As if one by one: what stands before a key's last tombstone is deleted with
 * it.  Rows of the table are locked in the keys' order first, those to be
 * updated as well as those to be deleted.
 */

static void
statement_delete(const statement_names_t *names, buf_t *sql)
{
    buf_t  where;

    buf_addf(sql, ";SELECT count(*) FROM (SELECT FROM %s t JOIN (SELECT"
             " DISTINCT %s FROM pg_temp.%s) s ON ", names->table.data,
             names->key.data, names->relation);
    statement_match(names, "t", "s", sql);
    buf_addf(sql, " ORDER BY %s FOR UPDATE OF t) x;DELETE FROM %s t USING"
             " (SELECT DISTINCT %s FROM pg_temp.%s WHERE " STATEMENT_GONE
             ") s WHERE ", names->order.data, names->table.data,
             names->key.data, names->relation);
    statement_match(names, "t", "s", sql);

    memset(&where, 0, sizeof(buf_t));
    buf_addf(&where, " WHERE NOT s." STATEMENT_GONE " AND NOT EXISTS (SELECT"
             " FROM pg_temp.%s d WHERE d." STATEMENT_GONE " AND d."
             STATEMENT_PLACE ">s." STATEMENT_PLACE " AND ", names->relation);
    statement_match(names, "d", "s", &where);
    buf_addf(&where, ")");

    /* without memory a text that no server runs */
    statement_upsert(names, buf_failed(&where) ? "(invalid)" : where.data,
                     sql);
    buf_free(&where);
}


static void
statement_match(const statement_names_t *names, const char *a, const char *b,
    buf_t *sql)
{
    size_t         i;
    const conf_t  *conf;

    conf = names->conf;

    for (i = 0; i < conf->key.n; i++) {
        buf_addf(sql, "%s%s.", i ? " AND " : "", a);
        sql_name(sql, names->conn, conf->key.names[i]);
        buf_addf(sql, "=%s.", b);
        sql_name(sql, names->conn, conf->key.names[i]);
    }
}
