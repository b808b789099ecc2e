/*
 * Whether the objects that run code with a role's rights are in hands that have
 * these rights anyway: schema sluice, and a table that was found by its name.
 *
 * All texts are for a search_path of pg_catalog alone (SQL_PATH).
 */

#ifndef SLUICE_GUARD_H
#define SLUICE_GUARD_H


#include "postgres/sql.h"


/*
 * Of a role that "me" selects from pg_roles: the roles that gain by code that
 * runs with its rights.  A superuser and the role's members have its rights;
 * the database's owner is trusted by all but superusers.
 */
#define GUARD_STRANGERS(me)                                                   \
    "me AS (SELECT oid, rolname, rolsuper FROM pg_roles WHERE rolname = " me  \
    "), stranger (oid, name) AS (SELECT 0::oid, 'PUBLIC' UNION ALL"           \
    " SELECT r.oid, 'role \"' || r.rolname || '\"' FROM pg_roles r, me"       \
    " WHERE NOT pg_has_role(r.oid, me.oid, 'MEMBER') AND (me.rolsuper"        \
    " OR NOT pg_has_role(r.oid, (SELECT datdba FROM pg_database"              \
    " WHERE datname = current_database()), 'MEMBER')))"

/*
 * A query of what is wrong with schema sluice for that role: no row, or one of
 * a text.
 */
#define GUARD_OWN(me)                                                         \
    "WITH " GUARD_STRANGERS(me)                                               \
    ", n AS (SELECT * FROM pg_namespace WHERE nspname = 'sluice')"            \
    ", c AS (SELECT c.*, relname IN ('audit', 'batches', 'dead_letters',"     \
    " 'meta', 'offsets', 'seen') AS ours FROM pg_class c, n"                  \
    " WHERE relnamespace = n.oid AND relkind IN ('r', 'p', 'v', 'm', 'f'))"   \
    ", wrong (n, why) AS (SELECT 1, 'it belongs to ' || s.name"               \
    " FROM n JOIN stranger s ON s.oid = nspowner"                             \
    " UNION ALL SELECT 2, s.name || ' may create objects in it'"              \
    " FROM n, aclexplode(nspacl) a JOIN stranger s ON s.oid = grantee"        \
    " WHERE privilege_type = 'CREATE'"                                        \
    " UNION ALL SELECT 3, format('%I belongs to %s', relname, s.name)"        \
    " FROM c JOIN stranger s ON s.oid = relowner"                             \
    " UNION ALL SELECT 4, format('function %s belongs to %s',"                \
    " p.oid::regprocedure, s.name) FROM n JOIN pg_proc p"                     \
    " ON pronamespace = n.oid JOIN stranger s ON s.oid = proowner"            \
    " UNION ALL SELECT 5, format('%I is no table', relname) FROM c"           \
    " WHERE ours AND relkind <> 'r'"                                          \
    " UNION ALL SELECT 6, format('rule \"%s\" changes %I', rulename, relname)"\
    " FROM c JOIN pg_rewrite ON ev_class = c.oid WHERE ours"                  \
    " AND relkind = 'r'"                                                      \
    " UNION ALL SELECT 7, format('row-level security of %I applies to role"   \
    " \"%s\"', relname, rolname) FROM c, me WHERE ours"                       \
    " AND relkind = 'r' AND row_security_active(c.oid)"                       \
    " UNION ALL SELECT 8, format('%I has an heir or inherits', relname)"      \
    " FROM c JOIN pg_inherits ON c.oid IN (inhrelid, inhparent) WHERE ours"   \
    " UNION ALL SELECT 9, format('trigger \"%s\" of %I runs a function of"    \
    " %s', tgname, relname, s.name) FROM c JOIN pg_trigger ON tgrelid = c.oid"\
    " JOIN pg_proc p ON p.oid = tgfoid JOIN stranger s ON s.oid = proowner"   \
    " UNION ALL SELECT 10, format('%s may create triggers on %I', s.name,"    \
    " relname) FROM c, aclexplode(relacl) a JOIN stranger s"                  \
    " ON s.oid = grantee WHERE privilege_type = 'TRIGGER')"                   \
    " SELECT 'schema \"sluice\": ' || why || '. Code could run with the"      \
    " rights of role \"' || rolname || '\" or hide what is stored (see"       \
    " SECURITY.md)' FROM wrong, me ORDER BY n, why LIMIT 1"


/* Appends that query.  "role" NULL: of the current role. */
void guard_own(buf_t *sql, const char *role);

/*
 * Whether the owner of the table of "conf" matters: it does not if the
 * configuration says which table that is, by its schema, and does not create
 * it.
 */
bool guard_is_needed(const conf_t *conf);

/* Appends such a query of the table "name", quoted and with its schema. */
void guard_table(buf_t *sql, const char *name, const char *role);

/* The same of the type whose OID the expression "oid" has. */
void guard_type(buf_t *sql, const char *oid, const char *role);


#endif
