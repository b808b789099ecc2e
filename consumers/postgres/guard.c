/* Whether what runs code with a role's rights is in trusted hands. */

#include "postgres/guard.h"


/* Begins a query: "x" has the role's name. */

static void
guard_role(buf_t *sql, const char *role)
{
    buf_addf(sql, "WITH x (name) AS (SELECT ");
    sql_format(sql, role ? "%L::name" : "current_user", role);
    buf_addf(sql, ")");
}


void
guard_own(buf_t *sql, const char *role)
{
    guard_role(sql, role);
    buf_addf(sql, " SELECT * FROM (%s) y", GUARD_OWN("(SELECT name FROM x)"));
}


bool
guard_is_needed(const conf_t *conf)
{
    return conf->table_schema == NULL || conf->create_table;
}


void
guard_table(buf_t *sql, const char *name, const char *role)
{
    guard_role(sql, role);
    buf_addf(sql, ", %s SELECT format('table %%s belongs to %%s, whose code"
             " would run with the rights of role \"%%s\". If it is the right"
             " one, \"table\" must have its schema, without"
             " \"create_table\" (see SECURITY.md)', c.oid::regclass, s.name,"
             " rolname) FROM me, pg_class c JOIN stranger s"
             " ON s.oid = relowner", GUARD_STRANGERS("(SELECT name FROM x)"));
    sql_format(sql, " WHERE c.oid = to_regclass(%L)", name);
}


/* A domain's CHECK is code. */

void
guard_type(buf_t *sql, const char *oid, const char *role)
{
    guard_role(sql, role);
    buf_addf(sql, ", %s SELECT format('type %%s belongs to %%s, whose code"
             " could run with the rights of role \"%%s\": give it"
             " another owner, or make the table yourself (see SECURITY.md)',"
             " y.oid::regtype, s.name, rolname) FROM me, pg_type y"
             " JOIN stranger s ON s.oid = typowner WHERE y.oid = %s LIMIT 1",
             GUARD_STRANGERS("(SELECT name FROM x)"), oid);
}
