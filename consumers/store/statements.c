/*
 * The SQL that stores rows in one table, by its mode.  Rows that may meet rows
 * of the table go through a temporary table of the transaction.  Nothing
 * depends on the session, so a pooler may stand between.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/statements_impl.h"


#define STATEMENT_PLAIN_WAIT  "100"      /* ms; "deadlock_timeout" is 1 s */


static int statement_parts(statement_parts_t *parts);
static void statement_words(statements_t *statements,
    const statement_parts_t *parts, bool tuples);
static void statement_stage(const statement_parts_t *parts, buf_t *sql);
static void statement_same(const statement_parts_t *parts, bool types,
    buf_t *sql);
static void statement_plain(const statement_parts_t *parts,
    const char *format, buf_t *sql);
static void statement_insert(const statement_parts_t *parts, buf_t *sql);
static void statement_upsert(const statement_parts_t *parts,
    const char *where, buf_t *sql);
static void statement_delete(const statement_parts_t *parts, buf_t *sql);


int
statements_prepare(statements_t *statements, const target_t *target,
    bool tuples, unsigned number)
{
    int                rc;
    size_t             i;
    const conf_t      *conf;
    statement_parts_t  parts = { 0 };

    conf = target->conf;
    parts.target = target;
    parts.conf = conf;
    parts.relation = statements->relation;

    statements->staged = conf->mode != CONF_MODE_APPEND || target->by_insert;
    statements->gone = conf->mode == CONF_MODE_UPSERT_DELETE;
    statements->absent = conf->mode == CONF_MODE_UPDATE;

    snprintf(statements->relation, sizeof(statements->relation),
             STATEMENTS_STAGE "%u", number);

    for (i = 0; i < STATEMENTS; i++) {
        statements->sql[i].len = 0;
    }

    rc = statement_parts(&parts);

    if (rc == 0) {
        statement_words(statements, &parts, tuples);
    }

    for (i = 0; i < LISTS; i++) {
        buf_free(&parts.list[i]);
    }

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


void
statement_item(buf_t *list, const char *between, const char *fmt,
    const char *name)
{
    if (list->len) {
        buf_add(list, between, strlen(between));
    }

    sql_format(list, fmt, name, name);
}


/*
 * A column of the temporary table.  One that a record does not mention is null
 * there, which its domain may forbid.
 */

static void
statement_column(buf_t *list, const target_t *target, size_t i)
{
    const char  *name;

    name = target->columns[i].name;

    if (target->defaults[i] == NULL || target->elements[i]) {
        statement_item(list, ",", "%I", name);

    } else {
        sql_format(list, list->len ? ",%I::%s AS %I" : "%I::%s AS %I", name,
                   target->bases[i], name);
    }
}


static int
statement_parts(statement_parts_t *parts)
{
    size_t                i;
    buf_t                *list;
    const char           *name;
    const conf_t         *conf;
    const conf_column_t  *column;

    conf = parts->conf;
    list = parts->list;

    for (i = 0; i < LISTS; i++) {
        buf_add(&list[i], "", 0);
    }

    for (i = 0; i < parts->target->ncolumns; i++) {
        column = &parts->target->columns[i];
        name = column->name;

        if (column->from == CONF_FROM_IDENTITY) {
            continue;
        }

        statement_item(&list[LIST_COLUMNS], ",", "%I", name);
        statement_item(&list[LIST_NULLS], ",", "NULL", name);
        statement_column(&list[LIST_STAGE], parts->target, i);

        statement_item(&list[LIST_TYPES], ",", "(%L::pg_catalog.name,", name);
        buf_addf(&list[LIST_TYPES], "%" PRIu32 ")", parts->target->oids[i]);

        if (conf->mode != CONF_MODE_IGNORE && !conf_is_key(&conf->key, name)) {
            statement_item(&list[LIST_SETS], ",", "%I=EXCLUDED.%I", name);
            statement_item(&list[LIST_UPDATES], ",", "%I=s.%I", name);
        }
    }

    for (i = 0; i < conf->key.n; i++) {
        name = conf->key.names[i];
        statement_item(&list[LIST_KEY], ",", "%I", name);
        statement_item(&list[LIST_ORDER], ",",
                       target_is_text(parts->target, name)
                       ? "s.%I COLLATE pg_catalog.\"C\"" : "s.%I", name);
        statement_item(&list[LIST_NOT_NULL], ",", " ALTER %I SET NOT NULL",
                       name);
        buf_addf(&list[LIST_OLD], i ? " AND " : "");
        target_compare(&list[LIST_OLD], parts->target, name, "t", "s", false);
        buf_addf(&list[LIST_LATER], i ? " AND " : "");
        target_compare(&list[LIST_LATER], parts->target, name, "d", "s",
                       false);
    }

    sql_format(&list[LIST_CONFLICT], conf->key.n ? " ON CONFLICT (%s) DO %s%s"
                                                 : " ON CONFLICT %sDO %s%s",
               list[LIST_KEY].data,
               list[LIST_SETS].len ? "UPDATE SET " : "NOTHING",
               list[LIST_SETS].data);

    if (list[LIST_SETS].len && conf->newer) {
        sql_format(&list[LIST_CONFLICT], " WHERE sluice_row.%I IS NULL OR ",
                   conf->newer);
        target_compare(&list[LIST_CONFLICT], parts->target, conf->newer,
                       "EXCLUDED", "sluice_row", true);
    }

    for (i = 0; i < LISTS; i++) {
        if (buf_failed(&list[i])) {
            return -1;
        }
    }

    return 0;
}


static void
statement_words(statements_t *statements, const statement_parts_t *parts,
    bool tuples)
{
    int            i;
    buf_t         *sql;
    const char    *columns;
    const conf_t  *conf;

    conf = parts->conf;
    columns = parts->list[LIST_COLUMNS].data;
    sql = statements->sql;

    if (statements->staged) {
        statement_stage(parts, &sql[STATEMENT_STAGE]);
    }

    for (i = STATEMENT_COPY; i <= STATEMENT_COPY + tuples; i++) {
        if (!statements->staged && (i == STATEMENT_COPY_TUPLES
                                    || conf->columns_auto))
        {
            sql_format(&sql[i], "LOCK TABLE ONLY %s IN ROW EXCLUSIVE MODE;",
                       parts->target->name);
        }

        statement_same(parts, i == STATEMENT_COPY_TUPLES, &sql[i]);

        if (statements->staged) {
            sql_format(&sql[i], "COPY pg_temp.%s (" STATEMENT_PLACE
                       ",%s%s%s) FROM STDIN", parts->relation,
                       statements->gone ? STATEMENT_GONE "," : "",
                       parts->target->nkeeps ? STATEMENT_MENTIONS "," : "",
                       columns);
        } else {
            sql_format(&sql[i], "COPY %s (%s) FROM STDIN",
                       parts->target->name, columns);
        }
    }

    if (tuples) {
        buf_addf(&sql[STATEMENT_COPY_TUPLES], " (FORMAT binary)");
    }

    statement_same(parts, true, &sql[STATEMENT_SAME]);

    if (parts->target->nkeeps || statements->absent) {
        statement_lock(parts, &sql[STATEMENT_LOCK]);

    } else if (parts->target->plain) {
        statement_plain(parts, "", &sql[STATEMENT_PLAIN]);
    }

    if (sql[STATEMENT_PLAIN].len && tuples) {
        statement_plain(parts, " (FORMAT binary)",
                        &sql[STATEMENT_PLAIN_TUPLES]);
    }

    switch (conf->mode) {

    case CONF_MODE_APPEND:
        if (!statements->staged) {
            break;
        }
        /* fall through */

    case CONF_MODE_IGNORE:
        statement_insert(parts, &sql[STATEMENT_APPLY]);
        break;

    case CONF_MODE_UPSERT_DELETE:
        statement_delete(parts, &sql[STATEMENT_APPLY_DELETE]);
        /* fall through */

    case CONF_MODE_UPSERT:
        statement_upsert(parts, "", &sql[STATEMENT_APPLY]);
        statement_known(parts, tuples, &sql[STATEMENT_APPLY_KNOWN]);
        break;

    case CONF_MODE_UPDATE:
        statement_update(parts, &sql[STATEMENT_APPLY]);
        break;
    }
}


/*
 * Columns have the table's types.  work_mem is raised so that a batch of usual
 * size is sorted in memory.  Two null keys are equal in ORDER BY and different
 * in the table, so a null key is refused.
 */

static void
statement_stage(const statement_parts_t *parts, buf_t *sql)
{
    sql_format(sql, "SELECT pg_catalog.set_config('work_mem', '32MB', true)"
               " WHERE pg_catalog.pg_size_bytes(pg_catalog.current_setting("
               "'work_mem'))" SQL_OP("<") "33554432;"
               "CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT 0::int"
               " AS " STATEMENT_PLACE ",%s%s%s FROM %s WITH NO DATA;",
               parts->relation, parts->conf->mode == CONF_MODE_UPSERT_DELETE
               ? "false AS " STATEMENT_GONE "," : "",
               parts->target->nkeeps ? "''::pg_catalog.bytea AS "
                                       STATEMENT_MENTIONS "," : "",
               parts->list[LIST_STAGE].data, parts->target->name);

    if (parts->conf->mode != CONF_MODE_IGNORE && parts->conf->key.n) {
        sql_format(sql, "ALTER TABLE pg_temp.%s%s;", parts->relation,
                   parts->list[LIST_NOT_NULL].data);
    }
}


/*
 * A tuple says nothing of its types: a table that was altered under a running
 * daemon would take its bytes for something else.  With "auto" a column that
 * was added would stay empty, and with "keep" a default would be that of
 * yesterday.  So the table is locked, as COPY does it, and
 * compared with what was found.  A column that is missing is left to COPY,
 * whose error says more.
 */

static void
statement_same(const statement_parts_t *parts, bool types, buf_t *sql)
{
    buf_t        block = { 0 };
    const char  *name;

    name = parts->target->name;
    buf_addf(&block, "BEGIN IF false");

    if (parts->conf->columns_auto || parts->target->nkeeps) {
        sql_format(&block, " OR " TARGET_VERSION_OF("pg_catalog.to_regclass("
                   "%L)") SQL_OP("<>") "%s", name, parts->target->version);

    } else if (types) {
        sql_format(&block, " OR EXISTS (SELECT FROM pg_catalog.pg_attribute"
                   " JOIN (VALUES %s) c (name, type) ON attname" SQL_OP("=")
                   "name WHERE attrelid" SQL_OP("=")
                   "pg_catalog.to_regclass(%L) AND NOT attisdropped"
                   " AND atttypid" SQL_OP("<>") "type)",
                   parts->list[LIST_TYPES].data, name);
    }

    if (!parts->target->unlogged) {
        sql_format(&block, " OR EXISTS (SELECT FROM pg_catalog.pg_class"
                   " WHERE oid" SQL_OP("=") "pg_catalog.to_regclass(%L)"
                   " AND relpersistence" SQL_OP("=") "'u')", name);
    }

    buf_addf(&block, " THEN RAISE EXCEPTION 'the table has changed' USING"
             " ERRCODE='SL002';END IF;END");
    sql_do(sql, &block);
    buf_add(sql, ";", 1);
}


/*
 * Rows with new keys need no temporary table.  They come in any order, so two
 * daemons may wait for each other's keys: this one gives way before PostgreSQL
 * looks for a deadlock.
 */

static void
statement_plain(const statement_parts_t *parts, const char *format,
    buf_t *sql)
{
    const char  *columns;

    columns = parts->list[LIST_COLUMNS].data;

    sql_format(sql, "SET LOCAL lock_timeout=" STATEMENT_PLAIN_WAIT ";");
    statement_nothing(parts, sql);

    statement_same(parts, format[0] != '\0', sql);

    sql_format(sql, "COPY %s (%s) FROM STDIN%s", parts->target->name, columns,
               format);
}


/*
 * The first row of each key stays; without a key there is no order to lock in.
 * Appended rows go this way if the table takes no COPY.
 */

static void
statement_insert(const statement_parts_t *parts, buf_t *sql)
{
    const char  *columns;

    columns = parts->list[LIST_COLUMNS].data;

    sql_format(sql, ";INSERT INTO %s (%s)%s SELECT %s FROM pg_temp.%s"
               " s ORDER BY %s%ss." STATEMENT_PLACE "%s",
               parts->target->name, columns, statement_overriding(parts),
               columns, parts->relation, parts->list[LIST_ORDER].data,
               parts->list[LIST_ORDER].len ? "," : "",
               parts->conf->mode == CONF_MODE_APPEND
               ? "" : parts->list[LIST_CONFLICT].data);
}


/* The last row of each key, in the keys' order: all daemons lock alike. */

static void
statement_upsert(const statement_parts_t *parts, const char *where,
    buf_t *sql)
{
    const char  *columns, *order;

    if (parts->target->nkeeps) {
        statement_keep(parts, where, sql);
        return;
    }

    columns = parts->list[LIST_COLUMNS].data;
    order = parts->list[LIST_ORDER].data;

    sql_format(sql, ";INSERT INTO %s AS sluice_row (%s)%s SELECT %s FROM"
               " (SELECT DISTINCT ON (%s) s.* FROM pg_temp.%s s%s ORDER BY"
               " %s", parts->target->name, columns,
               statement_overriding(parts), columns, order,
               parts->relation, where, order);

    if (parts->conf->newer) {
        sql_format(sql, ",s.%I DESC NULLS LAST", parts->conf->newer);
    }

    sql_format(sql, ",s." STATEMENT_PLACE " DESC) s ORDER BY %s%s", order,
               parts->list[LIST_CONFLICT].data);
}


/*
 * The effect is that of one record after the other: rows before a key's last
 * tombstone are deleted with it.
 */

static void
statement_delete(const statement_parts_t *parts, buf_t *sql)
{
    buf_t        where = { 0 };
    const char  *key, *old;

    key = parts->list[LIST_KEY].data;
    old = parts->list[LIST_OLD].data;

    if (parts->target->nkeeps == 0) {
        statement_lock(parts, sql);
    }

    sql_format(sql, ";DELETE FROM %s t USING (SELECT DISTINCT %s FROM"
               " pg_temp.%s WHERE " STATEMENT_GONE ") s WHERE %s",
               parts->target->name, key, parts->relation, old);

    sql_format(&where, " WHERE NOT s." STATEMENT_GONE " AND NOT EXISTS"
               " (SELECT FROM pg_temp.%s d WHERE d." STATEMENT_GONE " AND d."
               STATEMENT_PLACE SQL_OP(">") "s." STATEMENT_PLACE " AND %s)",
               parts->relation, parts->list[LIST_LATER].data);

    /* without memory PostgreSQL refuses the text */
    statement_upsert(parts, buf_failed(&where) ? "(invalid)" : where.data,
                     sql);
    buf_free(&where);
}
