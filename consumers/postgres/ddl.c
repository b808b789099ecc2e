/* The DDL and the grants a configuration asks for. */

#include "postgres/ddl.h"


/* What a daemon does with each of sluice's tables, and no more. */

typedef struct {
    const char  *table;
    const char  *privileges;
} ddl_grant_t;


static void ddl_grants(buf_t *sql, PGconn *conn, const conf_t *conf,
    const char *role);
static void ddl_grant_target(buf_t *sql, PGconn *conn, const conf_t *conf,
    const char *role);
static void ddl_grant_temporary(buf_t *sql, PGconn *conn, const char *role);
static void ddl_to(buf_t *sql, PGconn *conn, const char *role);
static void ddl_target(buf_t *sql, PGconn *conn, const conf_t *conf);


/* On the target, by mode. */
static const char *const  ddl_modes[] = {
    "INSERT", "SELECT, INSERT", "SELECT, INSERT, UPDATE",
    "SELECT, INSERT, UPDATE, DELETE"
};


static const ddl_grant_t  ddl_own[] = {
    { "batches",      "SELECT, INSERT, UPDATE" },
    { "dead_letters", "SELECT, INSERT, UPDATE, DELETE" },
    { "meta",         "SELECT" },
    { "offsets",      "SELECT, INSERT, UPDATE" },
    { "seen",         "SELECT, INSERT, UPDATE, DELETE" },
    { NULL, NULL }
};


const char *
ddl_type(const conf_column_t *column)
{
    switch (column->from) {
    case CONF_FROM_PARTITION:
        return "integer";
    case CONF_FROM_OFFSET:
    case CONF_FROM_IDENTITY:
        return "bigint";
    case CONF_FROM_TIMESTAMP:
        return "timestamptz";
    case CONF_FROM_REST:
        return "jsonb";
    default:
        return "text";
    }
}


/* Types come from types.c's list, so nothing else can be in them. */

static void
ddl_column(buf_t *sql, PGconn *conn, const conf_column_t *column)
{
    sql_name(sql, conn, column->name);
    buf_addf(sql, " %s", column->type ? column->type : ddl_type(column));
}


void
ddl_table(buf_t *sql, PGconn *conn, const conf_t *conf)
{
    size_t                i;
    const char           *key;
    const conf_column_t  *column;

    key = "PRIMARY KEY";
    buf_addf(sql, "CREATE TABLE IF NOT EXISTS ");
    sql_table(sql, conn, conf);
    buf_addf(sql, " (");

    for (i = 0; i < conf->ncolumns; i++) {
        column = &conf->columns[i];

        buf_addf(sql, i ? ",\n    " : "\n    ");
        ddl_column(sql, conn, column);

        if (column->from == CONF_FROM_IDENTITY) {
            buf_addf(sql, " GENERATED ALWAYS AS IDENTITY PRIMARY KEY");
            key = "UNIQUE";

        } else if (column->required) {
            buf_addf(sql, " NOT NULL");
        }
    }

    for (i = 0; i < conf->key.n; i++) {
        buf_addf(sql, i ? ", " : ",\n    %s (", key);
        sql_name(sql, conn, conf->key.names[i]);
    }

    buf_addf(sql, conf->key.n ? ")\n)" : "\n)");
}


/*
 * Without NOT NULL, which the rows that are there could not satisfy: the
 * daemon itself sees to "required".
 */

void
ddl_add_column(buf_t *sql, PGconn *conn, const conf_t *conf,
    const conf_column_t *column)
{
    buf_addf(sql, "ALTER TABLE ");
    sql_table(sql, conn, conf);
    buf_addf(sql, " ADD COLUMN IF NOT EXISTS ");
    ddl_column(sql, conn, column);

    if (column->from == CONF_FROM_IDENTITY) {
        buf_addf(sql, " GENERATED ALWAYS AS IDENTITY");
    }
}


/* A name without a schema is to mean what it means to the daemon's role. */

void
ddl_search_path(buf_t *sql, PGconn *conn, const char *role)
{
    buf_addf(sql, "search_path TO ");
    sql_name(sql, conn, role);
    buf_addf(sql, ", public;\n");
}


void
ddl_script(buf_t *sql, PGconn *conn, const conf_t *conf, const char *role)
{
    size_t       i, len;
    const char  *own;

    /* a statement a line; no literal of it holds a semicolon */
    for (own = ddl_own_tables(); *own; own += len) {
        len = strcspn(own, ";");
        len += own[len] == ';';
        buf_add(sql, own, len);
        buf_addf(sql, own[len] ? "\n" : ";\n\nBEGIN;\n");
    }

    if (role) {
        buf_addf(sql, "SET LOCAL ");
        ddl_search_path(sql, conn, role);
    }

    for (i = 0; i < conf->ntargets; i++) {
        ddl_target(sql, conn, conf->targets[i]);
    }

    if (role) {
        ddl_grants(sql, conn, conf, role);
    }

    buf_addf(sql, "COMMIT;\n");
}


static void
ddl_target(buf_t *sql, PGconn *conn, const conf_t *conf)
{
    size_t  i;

    if (conf->create_table) {
        if (conf->table_schema) {
            buf_addf(sql, "CREATE SCHEMA IF NOT EXISTS ");
            sql_name(sql, conn, conf->table_schema);
            buf_addf(sql, ";\n");
        }
        ddl_table(sql, conn, conf);
        buf_addf(sql, ";\n");
    }

    for (i = 0; conf->evolve == CONF_EVOLVE_ADD && i < conf->ncolumns; i++) {
        ddl_add_column(sql, conn, conf, &conf->columns[i]);
        buf_addf(sql, ";\n");
    }
}


static void
ddl_grants(buf_t *sql, PGconn *conn, const conf_t *conf, const char *role)
{
    bool                temporary;
    size_t              i;
    const ddl_grant_t  *grant;

    buf_addf(sql, "GRANT USAGE ON SCHEMA sluice");
    ddl_to(sql, conn, role);

    for (grant = ddl_own; grant->table; grant++) {
        buf_addf(sql, "GRANT %s ON sluice.%s", grant->privileges,
                 grant->table);
        ddl_to(sql, conn, role);
    }

    for (i = 0, temporary = false; i < conf->ntargets; i++) {
        ddl_grant_target(sql, conn, conf->targets[i], role);
        temporary |= conf->targets[i]->mode != CONF_MODE_APPEND;
    }

    if (temporary) {
        ddl_grant_temporary(sql, conn, role);
    }
}


static void
ddl_grant_target(buf_t *sql, PGconn *conn, const conf_t *conf,
    const char *role)
{
    if (conf->table_schema) {
        buf_addf(sql, "GRANT USAGE ON SCHEMA ");
        sql_name(sql, conn, conf->table_schema);
        ddl_to(sql, conn, role);
    }

    buf_addf(sql, "GRANT %s ON ", ddl_modes[conf->mode]);
    sql_table(sql, conn, conf);
    ddl_to(sql, conn, role);
}


static void
ddl_to(buf_t *sql, PGconn *conn, const char *role)
{
    buf_addf(sql, " TO ");
    sql_name(sql, conn, role);
    buf_addf(sql, ";\n");
}


/*
 * PUBLIC has it unless it was taken away; the database is the one at hand.
 * The block is a literal as a whole, as no name can end that.
 */

static void
ddl_grant_temporary(buf_t *sql, PGconn *conn, const char *role)
{
    buf_t  name, block;

    memset(&name, 0, sizeof(buf_t));
    memset(&block, 0, sizeof(buf_t));

    sql_name(&name, conn, role);
    buf_addf(&block, "BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %%I "
             "TO %%s', current_database(), ");
    sql_literal(&block, conn, buf_failed(&name) ? "" : name.data);
    buf_addf(&block, "); END");

    buf_addf(sql, "DO ");
    sql_literal(sql, conn, buf_failed(&block) ? "" : block.data);
    buf_addf(sql, ";\n");

    buf_free(&name);
    buf_free(&block);
}
