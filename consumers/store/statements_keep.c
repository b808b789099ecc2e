/*
 * The SQL that changes rows by records that do not mention all of their
 * columns: what they do not mention stays as it is in the row of the table, and
 * is the column's default in a new one.
 *
 * INSERT alone cannot do that.  It checks NOT NULL before it looks for the row
 * that is there, and it does not know there what the record mentions.  So rows
 * that are there are updated and the others are added, in one statement: it
 * sees one state of the table, so each row is either of them.
 */

#include <stdio.h>

#include "store/statements_impl.h"


static void statement_there(const statement_parts_t *parts, buf_t *sql);
static void statement_merge(const statement_parts_t *parts, const char *where,
    buf_t *sql);
static void statement_from(const statement_parts_t *parts, const char *where,
    buf_t *sql);
static void statement_fields(const statement_parts_t *parts, bool columns,
    const char *row, buf_t *sql);
static void statement_newer(const statement_parts_t *parts, const char *row,
    const char *later, buf_t *sql);


/*
 * Rows of the table that will be changed or deleted are locked first, in the
 * keys' order: all daemons lock alike.
 */

void
statement_lock(const statement_parts_t *parts, buf_t *sql)
{
    sql_format(sql, ";SELECT pg_catalog.count(*) FROM (SELECT FROM %s t"
               " JOIN (SELECT DISTINCT %s FROM pg_temp.%s) s ON %s ORDER BY %s"
               " FOR UPDATE OF t) x", parts->target->name,
               parts->list[LIST_KEY].data, parts->relation,
               parts->list[LIST_OLD].data, parts->list[LIST_ORDER].data);
}


/*
 * Another daemon may add a row with that key meanwhile: ON CONFLICT then does
 * what UPDATE does.
 */

void
statement_keep(const statement_parts_t *parts, const char *where, buf_t *sql)
{
    size_t           i;
    const target_t  *target = parts->target;
    const char      *key, *old;

    key = parts->list[LIST_KEY].data;
    old = parts->list[LIST_OLD].data;

    statement_merge(parts, where, sql);
    statement_there(parts, sql);
    sql_format(sql, " INSERT INTO %s AS sluice_row (%s,", target->name, key);
    statement_fields(parts, true, NULL, sql);
    sql_format(sql, ")%s SELECT %s,", statement_overriding(parts),
               parts->list[LIST_ORDER].data);
    statement_fields(parts, false, NULL, sql);
    sql_format(sql, " FROM s WHERE NOT EXISTS (SELECT FROM %s t WHERE %s)"
               " ORDER BY %s ON CONFLICT (%s) DO UPDATE SET (", target->name,
               old, parts->list[LIST_ORDER].data, key);
    statement_fields(parts, true, "sluice_row", sql);
    sql_format(sql, ")=(SELECT ");
    statement_fields(parts, false, "sluice_row", sql);
    sql_format(sql, " FROM s WHERE ");

    for (i = 0; i < parts->conf->key.n; i++) {
        buf_addf(sql, i ? " AND " : "");
        target_compare(sql, target, parts->conf->key.names[i], "s",
                       "EXCLUDED", false);
    }

    sql_format(sql, ") WHERE true");
    statement_newer(parts, "sluice_row", "EXCLUDED", sql);
}


/* "u" updates the rows that are there. */

static void
statement_there(const statement_parts_t *parts, buf_t *sql)
{
    sql_format(sql, ",u AS (UPDATE %s t SET (", parts->target->name);
    statement_fields(parts, true, "t", sql);
    sql_format(sql, ")=ROW(");
    statement_fields(parts, false, "t", sql);
    sql_format(sql, ") FROM s WHERE %s", parts->list[LIST_OLD].data);
    statement_newer(parts, "t", "s", sql);
    buf_addf(sql, ")");
}


/*
 * The places of records without a row are told.  They are found in the same
 * state of the table as the rows, so each record is either.
 */

void
statement_update(const statement_parts_t *parts, buf_t *sql)
{
    statement_merge(parts, "", sql);

    if (parts->list[LIST_SETS].len) {
        statement_there(parts, sql);
    }

    sql_format(sql, " SELECT s." STATEMENT_PLACE " FROM pg_temp.%s s WHERE NOT"
               " EXISTS (SELECT FROM %s t WHERE %s)", parts->relation,
               parts->target->name, parts->list[LIST_OLD].data);
}


/*
 * The columns but the key's: their names; or their values out of "s", and for
 * one that "s" does not mention that of "row" or, without it, the default.
 */

static void
statement_fields(const statement_parts_t *parts, bool names, const char *row,
    buf_t *sql)
{
    size_t           i, bit, n;
    const char      *name;
    const target_t  *target;

    target = parts->target;

    for (i = 0, n = 0, bit = 0; i < target->ncolumns; i++) {
        name = target->columns[i].name;

        if (target->columns[i].from == CONF_FROM_IDENTITY
            || conf_is_key(&parts->conf->key, name))
        {
            continue;
        }

        buf_addf(sql, n++ ? "," : "");

        if (names) {
            sql_format(sql, "%I", name);

        } else if (target->defaults[i] == NULL) {
            sql_format(sql, "s.%I", name);

        } else {
            buf_addf(sql, "CASE WHEN s.\"#%zu\" THEN ", bit);
            sql_format(sql, "s.%I ELSE ", name);

            if (row) {
                sql_format(sql, "%s.%I END", row, name);
            } else {
                sql_format(sql, "(%s)::%s END", target->defaults[i],
                           target->bases[i]);
            }
        }

        bit += target->defaults[i] != NULL;
    }
}


static void
statement_newer(const statement_parts_t *parts, const char *row,
    const char *later, buf_t *sql)
{
    if (parts->conf->newer) {
        sql_format(sql, " AND (%s.%I IS NULL OR ", row, parts->conf->newer);
        target_compare(sql, parts->target, parts->conf->newer, later, row,
                       true);
        buf_addf(sql, ")");
    }
}


/*
 * "s": one row a key.  Each column is that of the last record that mentions it,
 * and "#n" says of the "n"th column that may be left as it is whether one does.
 * An array cannot be an element of an array, so it is one as a text.
 */

static void
statement_merge(const statement_parts_t *parts, const char *where, buf_t *sql)
{
    char                  mentions[96];
    size_t                i, bit;
    bool                  array;
    const char           *name, *order;
    const target_t       *target;
    const conf_column_t  *column;

    target = parts->target;
    order = parts->list[LIST_ORDER].data;
    sql_format(sql, ";WITH s AS MATERIALIZED (SELECT %s", order);

    for (i = 0, bit = 0; i < target->ncolumns; i++) {
        column = &target->columns[i];
        name = column->name;
        array = target->elements[i] != 0;

        if (column->from == CONF_FROM_IDENTITY
            || conf_is_key(&parts->conf->key, name))
        {
            continue;
        }

        sql_format(sql, ",(pg_catalog.array_agg(s.%I%s)", name,
                   array ? "::pg_catalog.text" : "");

        snprintf(mentions, sizeof(mentions), "pg_catalog.get_bit(s."
                 STATEMENT_MENTIONS ",%zu)" SQL_OP("=") "1", bit);

        if (target->defaults[i]) {
            sql_format(sql, " FILTER (WHERE %s)", mentions);
        }

        sql_format(sql, ")[1]%s%s AS %I", array ? "::" : "",
                   array ? target->bases[i] : "", name);

        if (target->defaults[i]) {
            buf_addf(sql, ",pg_catalog.bool_or(%s) AS \"#%zu\"", mentions,
                     bit++);
        }
    }

    sql_format(sql, " FROM (SELECT s.* FROM ");
    statement_from(parts, where, sql);
    sql_format(sql, " ORDER BY %s,s." STATEMENT_PLACE " DESC) s GROUP BY %s)",
               order, order);
}


/*
 * The records that take effect, as "s".  With "newer" these are the ones that
 * are not less than the row in the table and than all records before them: a
 * record that changes nothing must not lend its columns to a later one.
 */

static void
statement_from(const statement_parts_t *parts, const char *where, buf_t *sql)
{
    const char  *newer, *order;

    newer = parts->conf->newer;
    order = parts->list[LIST_ORDER].data;

    if (newer == NULL) {
        sql_format(sql, "pg_temp.%s s%s", parts->relation, where);
        return;
    }

    sql_format(sql, "(SELECT s.*,pg_catalog.max(s.\"#rank\") OVER (PARTITION"
               " BY %s ORDER BY s." STATEMENT_PLACE ") AS \"#top\" FROM (SELECT"
               " s.*,pg_catalog.rank() OVER (PARTITION BY %s ORDER BY s.%I"
               " NULLS FIRST) AS \"#rank\" FROM (SELECT s.* FROM pg_temp.%s"
               " s%s) s WHERE NOT EXISTS (SELECT FROM %s t WHERE %s"
               " AND t.%I IS NOT NULL AND (", order, order, newer,
               parts->relation, where, parts->target->name,
               parts->list[LIST_OLD].data, newer);
    target_compare(sql, parts->target, newer, "s", "t", true);
    sql_format(sql, ") IS NOT TRUE)) s) s WHERE s.\"#rank\"" SQL_OP("=")
               "s.\"#top\"");
}
