/* Builds SQL from names and values, each quoted. */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/sql.h"


/*
 * Doubles what ends the quoted text.  Every session's client_encoding is UTF8,
 * and PostgreSQL refuses a string with bytes that are no UTF-8 before it looks
 * for a quote in it.
 */

static void
sql_quote(buf_t *sql, const char *s, char quote)
{
    buf_add(sql, &quote, 1);

    for ( /* void */ ; *s; s++) {
        if (*s == quote || (*s == '\\' && quote == '\'')) {
            buf_add(sql, s, 1);
        }
        buf_add(sql, s, 1);
    }

    buf_add(sql, &quote, 1);
}


static void
sql_literal(buf_t *sql, const char *s)
{
    /* means the same with any standard_conforming_strings */
    buf_add(sql, " E", strchr(s, '\\') ? 2 : 0);
    sql_quote(sql, s, '\'');
}


static void
sql_name(buf_t *sql, const char *s)
{
    sql_quote(sql, s, '"');
}


static void
sql_table(buf_t *sql, const conf_t *conf)
{
    if (conf->table_schema) {
        sql_name(sql, conf->table_schema);
        buf_add(sql, ".", 1);
    }

    sql_name(sql, conf->table_name);
}


/* to_regclass() would look into schema sluice, and for temporary tables. */

static void
sql_oid(buf_t *sql, const conf_t *conf)
{
    buf_t  table;

    if (conf->table_schema) {
        memset(&table, 0, sizeof(buf_t));
        sql_table(&table, conf);
        buf_addf(sql, "pg_catalog.to_regclass(");
        sql_literal(sql, buf_failed(&table) ? "" : table.data);
        buf_addf(sql, ")");
        buf_free(&table);
        return;
    }

    buf_addf(sql, "(SELECT x.oid FROM pg_catalog.unnest(pg_catalog."
             "current_schemas(false)) WITH ORDINALITY u(s,n)"
             " JOIN pg_catalog.pg_namespace m ON m.nspname" SQL_OP("=") "u.s"
             " JOIN pg_catalog.pg_class x ON x.relnamespace" SQL_OP("=")
             "m.oid WHERE u.s" SQL_OP("<>") "'sluice' AND x.relname"
             SQL_OP("="));
    sql_literal(sql, conf->table_name);
    buf_addf(sql, " ORDER BY u.n LIMIT 1)");
}


void
sql_format(buf_t *sql, const char *fmt, ...)
{
    va_list      args;
    const char  *p;

    va_start(args, fmt);

    for (p = strchr(fmt, '%'); p; p = strchr(fmt, '%')) {
        buf_add(sql, fmt, (size_t) (p - fmt));
        fmt = p + 2;

        switch (p[1]) {

        case 's':
            p = va_arg(args, const char *);
            buf_add(sql, p, strlen(p));
            break;

        case 'I':
            sql_name(sql, va_arg(args, const char *));
            break;

        case 'L':
            sql_literal(sql, va_arg(args, const char *));
            break;

        case 'T':
            sql_table(sql, va_arg(args, const conf_t *));
            break;

        case 'O':
            sql_oid(sql, va_arg(args, const conf_t *));
            break;

        default:
            buf_add(sql, p + 1, 1);
            break;
        }
    }

    buf_add(sql, fmt, strlen(fmt));
    va_end(args);
}


void
sql_do(buf_t *sql, buf_t *block)
{
    buf_addf(sql, "DO ");
    sql_literal(sql, block->data ? block->data : "");
    buf_free(block);
}


void
sql_begin(buf_t *sql)
{
    buf_addf(sql, "BEGIN ISOLATION LEVEL READ COMMITTED;"
             "SET LOCAL lock_timeout=%d;"
             "SET LOCAL idle_in_transaction_session_timeout='15s';"
             "SET LOCAL statement_timeout='60s';"
             "SET LOCAL timezone='UTC';"
             "SET LOCAL datestyle='ISO,YMD';"
             "SET LOCAL intervalstyle='postgres';"
             "SET LOCAL array_nulls=on;", SQL_LOCK_TIMEOUT);
}


void
sql_path(buf_t *sql)
{
    buf_addf(sql, "SELECT pg_catalog.set_config('search_path',"
             "pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.quote_ident("
             "s) FROM pg_catalog.unnest(pg_catalog.current_schemas(false))"
             " WITH ORDINALITY u(s,n) WHERE s" SQL_OP("<>") "'sluice' AND s"
             SQL_OP("<>") "'pg_catalog' ORDER BY n),','),true);");
}


int64_t
sql_number(const PGresult *res, int row, int column)
{
    return strtoll(PQgetvalue(res, row, column), NULL, 10);
}
