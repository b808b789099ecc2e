/* The query that asks the catalogue for one table. */

#include "postgres/sql.h"
#include "postgres/target_impl.h"


/* What target_begin() leaves: the OID of the table, 0 for none. */
#define TARGET_OID  "current_setting('sluice.table')::oid"


/* The table, and all that inherits from it. */
#define TARGET_TREE                                                           \
    "(WITH RECURSIVE r(oid) AS (SELECT t::oid UNION SELECT inhrelid FROM r"   \
    " JOIN pg_catalog.pg_inherits ON inhparent = r.oid) SELECT r.oid FROM r)"


/* TARGET_BYTES to TARGET_RANGE; target_meet.c says what for. */
#define TARGET_MEETS                                                          \
    "b.oid = ANY ('{16,17,20,21,23,25,1043,1082,1083,1114,1184,2950}')"       \
    " AND (b.mod = -1 OR b.oid = 1043) AND (a.attcollation = 0 OR EXISTS"     \
    " (SELECT FROM pg_catalog.pg_collation WHERE oid = a.attcollation"        \
    " AND collisdeterministic)), concat(a.atttypmod, ' ', a.attcollation),"   \
    " a.atttypid <> b.oid OR EXISTS (SELECT FROM pg_catalog.pg_constraint"    \
    " WHERE conrelid = c.oid AND contype = 'c' AND a.attnum = ANY (conkey)),"  \
    " c.relkind = 'r', (SELECT k.attname FROM pg_catalog.pg_attribute k"      \
    " JOIN pg_catalog.pg_partitioned_table ON partrelid = k.attrelid"         \
    " WHERE partrelid = c.oid AND partstrat = 'r' AND partnatts = 1"          \
    " AND k.attnum = partattrs[0])"


static void target_deferrable(buf_t *sql, const conf_t *conf);
static void target_operators_query(buf_t *sql);


/* The base type of a domain, or of a domain of a domain, as "name". */

static void
target_base_query(buf_t *sql, const char *type, const char *name)
{
    sql_format(sql, " CROSS JOIN LATERAL (WITH RECURSIVE r(oid, mod, n) AS ("
               "SELECT %s, 0 UNION ALL SELECT u.typbasetype, u.typtypmod,"
               " r.n + 1 FROM r JOIN pg_catalog.pg_type u ON u.oid = r.oid"
               " WHERE u.typtype = 'd') SELECT r.oid, r.mod FROM r"
               " ORDER BY r.n DESC LIMIT 1) %s", type, name);
}


/*
 * TARGET_PLAIN: whether copying rows of new keys into a table does the same as
 * merging them.  Neither the table nor a partition has a trigger, the table
 * has no rule and no unique key that is checked later.  A merge, for keys that
 * exist, needs the right to make a temporary table.
 */

void
target_begin(buf_t *sql, const conf_t *conf)
{
    sql_format(sql, "SELECT pg_catalog.set_config('sluice.table', coalesce(%O"
               "::pg_catalog.oid::pg_catalog.text, '0'), true);SET LOCAL "
               SQL_PATH, conf);
}


void
target_query(buf_t *sql, const conf_t *conf)
{
    sql_format(sql, "SELECT a.attname, CASE WHEN e.typtype = 'd'"
               " THEN format_type(f.oid, f.mod) || '[]'"
               " ELSE format_type(b.oid, b.mod) END,"
               " a.attgenerated <> '' OR (a.attidentity = 'a' AND %s),"
               " CASE WHEN a.attidentity <> '' THEN 'v'"
               " WHEN d.adbin IS NULL THEN ''"
               " WHEN d.adbin::text ~ '{(SQLVALUEFUNCTION|NEXTVALUEEXPR|"
               "COERCEVIAIO) ' OR EXISTS (SELECT FROM regexp_matches("
               "d.adbin::text, ':(?:op)?funcid ([0-9]+)', 'g') m"
               " JOIN pg_catalog.pg_proc p ON p.oid = m[1]::oid"
               " WHERE p.provolatile <> 'i') THEN 'v' ELSE 'c' END,"
               " pg_get_expr(d.adbin, d.adrelid),"
               " row_security_active(c.oid) OR c.relkind IN ('v', 'f'),"
               " a.atttypid, a.attnotnull,"
               " (SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_trigger"
               " WHERE NOT tgisinternal AND tgrelid IN " TARGET_TREE ")"
               " AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite"
               " WHERE ev_class = t)"
               " AND NOT EXISTS (SELECT FROM pg_catalog.pg_index"
               " WHERE indrelid = t AND indisunique AND NOT indimmediate)"
               " AND has_database_privilege(current_database(), 'TEMPORARY')"
               " FROM (SELECT " TARGET_OID ") v(t)), ",
               conf->override_identity ? "false" : "true");
    target_deferrable(sql, conf);
    sql_format(sql, ", (SELECT EXISTS (SELECT FROM pg_catalog.pg_class"
               " WHERE relpersistence = 'u' AND oid IN " TARGET_TREE ")"
               " FROM (SELECT " TARGET_OID ") v(t)), "
               TARGET_VERSION_OF("c.oid")
               ", (SELECT p.prosrc FROM pg_catalog.pg_type y"
               " JOIN pg_catalog.pg_proc p ON p.oid = y.typreceive"
               " JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
               " AND l.lanname = 'internal'"
               " WHERE y.oid = coalesce(f.oid, b.oid)),"
               " coalesce(e.oid, 0), format('%%I.%%I', nspname,"
               " relname), CASE WHEN a.attidentity = ''"
               " AND c.relkind IN ('r', 'p') THEN coalesce("
               "pg_get_expr(d.adbin, d.adrelid), (SELECT"
               " pg_get_expr(z.typdefaultbin, 0) FROM pg_catalog.pg_type z"
               " WHERE z.oid = a.atttypid), 'NULL') END,"
               " (SELECT format('%%I.%%I', g.nspname, t.typname)"
               " FROM pg_catalog.pg_namespace g"
               " WHERE g.oid = t.typnamespace), o.*, " TARGET_MEETS
               " FROM pg_catalog.pg_class c"
               " JOIN pg_catalog.pg_namespace ON relnamespace"
               " = pg_namespace.oid LEFT JOIN pg_catalog.pg_attribute"
               " a ON a.attrelid = c.oid AND a.attnum > 0"
               " AND NOT a.attisdropped");
    target_base_query(sql, "a.atttypid, a.atttypmod", "b");
    sql_format(sql, " LEFT JOIN pg_catalog.pg_type t ON t.oid = b.oid"
               " LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem"
               " AND e.typarray = t.oid");
    target_base_query(sql, "e.oid, -1", "f");
    target_operators_query(sql);
    sql_format(sql, " LEFT JOIN pg_catalog.pg_attrdef d"
               " ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
               " WHERE c.oid = " TARGET_OID " ORDER BY a.attnum");
}


/*
 * The operators by which an index of the type "b" has it, as a row "o".  One of
 * another schema takes just its type, which the operands are cast to: for a
 * domain of it there may be anybody's.
 */

static void
target_operators_query(buf_t *sql)
{
    sql_format(sql, " LEFT JOIN LATERAL (SELECT max(op) FILTER (WHERE n = 3),"
               " max(op) FILTER (WHERE n = 4), max(typ) FROM (SELECT"
               " amopstrategy AS n, format(' OPERATOR(%%I.%%s) ', m.nspname,"
               " oprname) AS op, format('::%%I.%%I', l.nspname, typname) AS typ"
               " FROM pg_catalog.pg_opclass JOIN pg_catalog.pg_amop"
               " ON amopfamily = opcfamily AND amoplefttype = opcintype"
               " AND amoprighttype = opcintype JOIN pg_catalog.pg_operator p"
               " ON p.oid = amopopr JOIN pg_catalog.pg_namespace m"
               " ON m.oid = oprnamespace JOIN pg_catalog.pg_type y"
               " ON y.oid = opcintype JOIN pg_catalog.pg_namespace l"
               " ON l.oid = typnamespace WHERE opcintype = b.oid AND opcdefault"
               " AND opcmethod = 403 AND m.nspname <> 'pg_catalog') q) o"
               " ON true");
}


/*
 * Whether a unique index of just the key's columns is deferrable.  ON CONFLICT
 * takes it for the key's, and refuses each row.
 */

static void
target_deferrable(buf_t *sql, const conf_t *conf)
{
    size_t  i;

    if (conf->key.n == 0) {
        buf_addf(sql, "false");
        return;
    }

    sql_format(sql, "EXISTS (SELECT FROM pg_catalog.pg_index i"
               " WHERE indrelid = c.oid AND indisunique AND NOT indimmediate"
               " AND indpred IS NULL AND indexprs IS NULL AND NOT EXISTS"
               " (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = c.oid"
               " AND attnum = ANY ((indkey::smallint[])[0:indnkeyatts - 1])"
               " AND attname NOT IN (");

    for (i = 0; i < conf->key.n; i++) {
        sql_format(sql, i ? ",%L" : "%L", conf->key.names[i]);
    }

    buf_addf(sql, ")) AND indnkeyatts = %zu)", conf->key.n);
}
