/* The names that a table may have in sluice.offsets, as SQL; owners' names. */

#include <inttypes.h>
#include <stdio.h>

#include "postgres/sql.h"
#include "store/offsets.h"


/*
 * Names that are in sluice.offsets as a string of the configuration has them,
 * or as SQL has them if no string can: "first" begins the string.
 */
#define OFFSETS_QUOTED(name)                                                  \
    "pg_catalog.concat('\"',pg_catalog.replace(" name "::pg_catalog.text,"    \
    "'\"','\"\"'),'\"')"
#define OFFSETS_KEY(first, string, quoted)                                    \
    "CASE WHEN pg_catalog.strpos(" first ",'.')" SQL_OP("=") "0"              \
    " AND pg_catalog.left(" first ",1)" SQL_OP("<>") "'\"'"                   \
    " THEN " string " ELSE " quoted " END"

/* The name without its schema. */
#define OFFSETS_BARE                                                          \
    OFFSETS_KEY("relname", "relname::pg_catalog.text",                        \
                OFFSETS_QUOTED("relname"))


void
offsets_prefix(const conf_t *conf, char *prefix)
{
    uint64_t     hash;
    const char  *p;

    hash = 0xcbf29ce484222325;

    for (p = conf->group; *p; p++) {
        hash = (hash ^ (unsigned char) *p) * 0x100000001b3;
    }

    /* the NUL between them */
    hash *= 0x100000001b3;

    for (p = conf->daemon_topic; *p; p++) {
        hash = (hash ^ (unsigned char) *p) * 0x100000001b3;
    }

    snprintf(prefix, OFFSETS_PREFIX, "sluice:%016" PRIx64 ":", hash);
}


/*
 * The keys of a table, as conf_set_table() makes them.  A name without a schema
 * may have meant another table when it was stored, if search_path holds another
 * one of that name.  Then it is taken only where the configuration has it.
 */

void
offsets_names(const conf_t *conf, buf_t *sql)
{
    sql_format(sql, "SELECT %L", conf->table);

    if (conf->table_name) {
        sql_format(sql, " UNION SELECT pg_catalog.unnest(ARRAY["
                   OFFSETS_KEY("nspname",
                               "pg_catalog.concat(nspname,'.',relname)",
                               "pg_catalog.concat(" OFFSETS_QUOTED("nspname")
                               ",'.'," OFFSETS_QUOTED("relname") ")") ","
                   " CASE WHEN nspname" SQL_OP("=") "ANY (p) AND NOT EXISTS"
                   " (SELECT FROM pg_catalog.pg_class x"
                   " JOIN pg_catalog.pg_namespace m ON m.oid" SQL_OP("=")
                   "x.relnamespace WHERE x.relname" SQL_OP("=") "c.relname"
                   " AND x.oid" SQL_OP("<>") "c.oid AND m.nspname" SQL_OP("=")
                   "ANY (p) AND m.nspname" SQL_OP("<>") "'sluice')"
                   " THEN " OFFSETS_BARE " END])"
                   " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
                   " ON n.oid" SQL_OP("=") "relnamespace CROSS JOIN LATERAL"
                   " (SELECT pg_catalog.current_schemas(false)) y(p)"
                   " WHERE c.oid" SQL_OP("=") "%O", conf);
    }
}


/*
 * Earlier versions took another spelling for another table: of several names
 * the one that is the furthest on counts, so that no record is stored again.
 */

void
offsets_name(const conf_t *conf, const char *cluster, buf_t *sql)
{
    sql_format(sql, "coalesce((SELECT table_name FROM sluice.offsets"
               " WHERE " OFFSETS_TOPIC " AND table_name" SQL_OP("=") "ANY (",
               cluster, conf->group, conf->topic);
    offsets_names(conf, sql);
    sql_format(sql, ") GROUP BY table_name ORDER BY pg_catalog.sum("
               "next_offset) DESC, table_name LIMIT 1), %L)", conf->table);
}


void
offsets_doubt(const conf_t *conf, const char *cluster, buf_t *sql)
{
    if (conf->table_name == NULL) {
        buf_addf(sql, "''");
        return;
    }

    sql_format(sql, "coalesce((SELECT CASE WHEN EXISTS (SELECT"
               " FROM sluice.offsets WHERE " OFFSETS_TOPIC " AND table_name"
               SQL_OP("=") OFFSETS_BARE ") AND"
               " pg_catalog.pg_table_is_visible(oid)"
               " THEN pg_catalog.concat('the offsets of table \"', relname,"
               " '\" may be its or those of another table of that name"
               " (\"offsets reset\" says where to go on)') ELSE '' END"
               " FROM pg_catalog.pg_class WHERE oid" SQL_OP("=") "%O), 'it does"
               " not exist')", cluster, conf->group, conf->topic, conf);
}
