/* The SQL that stores rows whose keys are mostly there. */

#include "store/statements_impl.h"


/* Of the rows of STATEMENT_APPLY_KNOWN: not STATEMENTS_PASSED. */
#define STATEMENT_LAST   "s." STATEMENT_PLACE SQL_OP(">=") "0"


/*
 * The INSERT stores nothing.  It makes PostgreSQL look for the key's unique
 * index as for a merge, and fails without one.
 */

void
statement_nothing(const statement_parts_t *parts, buf_t *sql)
{
    sql_format(sql, "INSERT INTO %s AS sluice_row (%s)%s SELECT %s WHERE"
               " false%s;", parts->target->name,
               parts->list[LIST_COLUMNS].data, statement_overriding(parts),
               parts->list[LIST_NULLS].data,
               parts->list[LIST_CONFLICT].data);
}


/*
 * Rows whose keys are there are updated; where not all were, the others are
 * merged: those of which this transaction wrote no version, whatever another
 * one has committed meanwhile.  An UPDATE neither makes a row to insert nor
 * locks the old one before.  A nested loop takes the rows in the order in which
 * they came.
 */

void
statement_known(const statement_parts_t *parts, bool tuples, buf_t *sql)
{
    size_t         i;
    buf_t          block = { 0 };
    const char    *name, *old, *columns;
    const conf_t  *conf;

    /* what is left: a nested loop that looks rows of the table up by key */
    static const char *const  off[] = {
        "enable_hashjoin", "enable_mergejoin", "enable_material",
        "enable_bitmapscan", "enable_seqscan", "jit"
    };

    conf = parts->conf;

    if (!tuples || !parts->target->known || parts->target->nkeeps
        || conf->newer || parts->list[LIST_UPDATES].len == 0)
    {
        return;
    }

    name = parts->target->name;
    old = parts->list[LIST_OLD].data;
    columns = parts->list[LIST_COLUMNS].data;

    buf_addf(&block, "#variable_conflict use_column\nDECLARE \"#n\" bigint;"
             "BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_attribute"
             " JOIN (VALUES ");

    for (i = 0; i < conf->key.n; i++) {
        sql_format(&block, i ? ",(%L::pg_catalog.name,%L)"
                             : "(%L::pg_catalog.name,%L)", conf->key.names[i],
                   target_shape(parts->target, conf->key.names[i]));
    }

    sql_format(&block, ") c (name, shape) ON attname" SQL_OP("=") "name"
               " WHERE attrelid" SQL_OP("=") "pg_catalog.to_regclass(%L)"
               " AND NOT attisdropped AND pg_catalog.concat(atttypmod, ' ',"
               " attcollation)" SQL_OP("<>") "shape) THEN RAISE EXCEPTION"
               " 'the table has changed' USING ERRCODE='SL002';END IF;", name);

    sql_format(&block, "UPDATE ONLY %s AS t SET %s FROM pg_temp.%s s WHERE "
               STATEMENT_LAST " AND %s;GET DIAGNOSTICS \"#n\"=ROW_COUNT;"
               "IF \"#n\"" SQL_OP("<>") "(SELECT pg_catalog.count(*) FROM"
               " pg_temp.%s s WHERE " STATEMENT_LAST ") THEN INSERT INTO"
               " %s AS sluice_row (%s)%s SELECT %s FROM pg_temp.%s s WHERE "
               STATEMENT_LAST " AND NOT EXISTS (SELECT FROM ONLY %s t WHERE"
               " %s AND t.xmin" SQL_OP("=") "pg_catalog.pg_current_xact_id()"
               "::pg_catalog.xid)%s;END IF;END", name,
               parts->list[LIST_UPDATES].data, parts->relation, old,
               parts->relation, name, columns, statement_overriding(parts),
               columns, parts->relation, name, old,
               parts->list[LIST_CONFLICT].data);

    buf_addf(sql, ";");
    statement_nothing(parts, sql);

    for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
        buf_addf(sql, "SET LOCAL %s=off;", off[i]);
    }

    sql_do(sql, &block);

    for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
        buf_addf(sql, ";SET LOCAL %s TO DEFAULT", off[i]);
    }
}
