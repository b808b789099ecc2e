/* The DDL and the grants that a configuration needs. */

#include "conf/types.h"
#include "postgres/ddl.h"
#include "postgres/guard.h"
#include "postgres/partition.h"


/* The rights that a daemon needs on a table of schema "sluice". */

typedef struct {
    const char  *table;
    const char  *privileges;
} ddl_grant_t;


static void ddl_target(buf_t *sql, const conf_t *conf, const char *role);
static void ddl_partitions(buf_t *sql, const conf_t *conf, const char *role);
static void ddl_grants(buf_t *sql, const conf_t *conf, const char *role);
static void ddl_missing_type(buf_t *sql, const char *type);


/* Its rights on the target, by mode. */
static const char *const  ddl_modes[] = {
    "INSERT", "SELECT, INSERT", "SELECT, INSERT, UPDATE",
    "SELECT, INSERT, UPDATE, DELETE", "SELECT, UPDATE"
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
    case CONF_FROM_ELEMENT:
    case CONF_FROM_PARTITION:
        return "integer";
    case CONF_FROM_OFFSET:
    case CONF_FROM_IDENTITY:
        return "bigint";
    case CONF_FROM_TIMESTAMP:
        return "timestamptz";
    case CONF_FROM_HEADERS:
    case CONF_FROM_REST:
        return "jsonb";
    default:
        return "text";
    }
}


static void
ddl_type_name(buf_t *sql, const type_parts_t *parts)
{
    if (parts->schema[0]) {
        sql_format(sql, "%I.", parts->schema);
    }

    sql_format(sql, "%I", parts->name);
}


void
ddl_types(buf_t *sql, const conf_t *conf, const char *role)
{
    buf_t         name, block;
    size_t        i;
    const char   *type;
    type_parts_t  parts;

    for (i = 0; i < conf->ncolumns; i++) {
        type = conf->columns[i].type;

        if (type == NULL || type_is_word(type)
            || type_parse(type, &parts) == -1)
        {
            continue;
        }

        memset(&name, 0, sizeof(buf_t));
        memset(&block, 0, sizeof(buf_t));
        ddl_type_name(&name, &parts);
        sql_format(&block, "DECLARE t pg_catalog.oid; p pg_catalog.text;"
                   " w pg_catalog.text; BEGIN t := pg_catalog.to_regtype(%L);"
                   " IF t IS NULL THEN RAISE EXCEPTION USING MESSAGE = ",
                   buf_failed(&name) ? "" : name.data);
        ddl_missing_type(&block, type);
        buf_addf(&block, ", ERRCODE = 'SL005'; END IF;"
                 " p := pg_catalog.current_setting('search_path');"
                 " PERFORM pg_catalog.set_config('search_path',"
                 " 'pg_catalog,pg_temp', true); w := (");
        guard_type(&block, "t", role);
        buf_addf(&block, "); PERFORM pg_catalog.set_config('search_path', p,"
                 " true); IF w IS NOT NULL THEN RAISE EXCEPTION USING"
                 " MESSAGE = w, ERRCODE = 'SL005'; END IF; END");
        sql_do(sql, &block);
        buf_addf(sql, ";\n");
        buf_free(&name);
    }
}


/* As a literal. */

static void
ddl_missing_type(buf_t *sql, const char *type)
{
    buf_t        text = { 0 };
    const char  *near;

    near = type_nearest(type);
    buf_addf(&text, "type \"%s\" does not exist", type);

    if (near) {
        buf_addf(&text, ", did you mean \"%s\"?", near);
    }

    buf_addf(&text, "%s CREATE TYPE makes it, or CREATE EXTENSION if it is an "
             "extension's", near ? "" : ":");
    sql_format(sql, "%L", buf_failed(&text) ? "" : text.data);
    buf_free(&text);
}


/* The list's types need no quotes; others are names of the catalogue. */

static void
ddl_column(buf_t *sql, const conf_column_t *column)
{
    type_parts_t  parts;

    sql_format(sql, "%I ", column->name);

    if (column->type == NULL || type_is_word(column->type)) {
        sql_format(sql, "%s", column->type ? column->type : ddl_type(column));

    } else if (type_parse(column->type, &parts) == 0) {
        ddl_type_name(sql, &parts);
        sql_format(sql, "%s%s", parts.modifier, parts.arrays);
    }

    if (column->from == CONF_FROM_IDENTITY) {
        buf_addf(sql, " GENERATED ALWAYS AS IDENTITY");
    }
}


void
ddl_table(buf_t *sql, const conf_t *conf)
{
    size_t                i;
    const char           *key;
    const conf_column_t  *column;

    key = "PRIMARY KEY";
    sql_format(sql, "CREATE TABLE IF NOT EXISTS %T (", conf);

    for (i = 0; i < conf->ncolumns; i++) {
        column = &conf->columns[i];

        buf_addf(sql, i ? ",\n    " : "\n    ");
        ddl_column(sql, column);

        if (column->from == CONF_FROM_IDENTITY) {
            buf_addf(sql, " PRIMARY KEY");
            key = "UNIQUE";

        } else if (column->required) {
            buf_addf(sql, " NOT NULL");
        }
    }

    for (i = 0; i < conf->key.n; i++) {
        buf_addf(sql, i ? ", " : ",\n    %s (", key);
        sql_format(sql, "%I", conf->key.names[i]);
    }

    buf_addf(sql, conf->key.n ? ")\n)" : "\n)");

    if (conf->partition_by) {
        sql_format(sql, " PARTITION BY RANGE (%I)", conf->partition_column);

    } else if (conf->mode >= CONF_MODE_UPSERT) {
        /* room on each page for a row's next version, which needs no index
           then */
        buf_addf(sql, " WITH (fillfactor = 90)");
    }
}


/*
 * Rows that are already there could not satisfy NOT NULL, so it is left out;
 * the daemon itself checks "required".
 */

void
ddl_add_column(buf_t *sql, const char *name, const conf_column_t *column)
{
    sql_format(sql, "ALTER TABLE %s ADD COLUMN IF NOT EXISTS ", name);
    ddl_column(sql, column);
}


void
ddl_search_path(buf_t *sql, const char *role)
{
    if (strcmp(role, "sluice") == 0) {
        /* that schema is Sluice's own */
        buf_addf(sql, "search_path TO public;\n");
        return;
    }

    sql_format(sql, "search_path TO %I, public;\n", role);
}


void
ddl_script(buf_t *sql, const conf_t *conf, const char *role)
{
    size_t  i;

    buf_addf(sql, "%s\nBEGIN;\n", ddl_own_tables());

    if (role) {
        buf_addf(sql, "SET LOCAL ");
        ddl_search_path(sql, role);
    }

    for (i = 0; i < conf->ntargets; i++) {
        ddl_target(sql, conf->targets[i], role);
    }

    if (role) {
        ddl_grants(sql, conf, role);
    }

    for (i = 0; i < conf->ntargets; i++) {
        ddl_partitions(sql, conf->targets[i], role);
    }

    buf_addf(sql, "COMMIT;\n");
}


/* They change the search_path, by which the table is found. */

static void
ddl_partitions(buf_t *sql, const conf_t *conf, const char *role)
{
    if (conf->partition_by == CONF_PERIOD_NONE) {
        return;
    }

    if (role) {
        buf_addf(sql, "SET LOCAL ");
        ddl_search_path(sql, role);
    }

    target_begin(sql, conf);
    partition_make(sql, conf, NULL, "{}");
    buf_addf(sql, ";\n");
}


static void
ddl_target(buf_t *sql, const conf_t *conf, const char *role)
{
    buf_t   name = { 0 };
    size_t  i;

    if (conf->create_table || conf->evolve == CONF_EVOLVE_ADD) {
        ddl_types(sql, conf, role);
    }

    if (conf->create_table) {
        if (conf->table_schema) {
            sql_format(sql, "CREATE SCHEMA IF NOT EXISTS %I;\n",
                       conf->table_schema);
        }
        ddl_table(sql, conf);
        buf_addf(sql, ";\n");
    }

    sql_format(&name, "%T", conf);

    for (i = 0; conf->evolve == CONF_EVOLVE_ADD && i < conf->ncolumns; i++) {
        ddl_add_column(sql, buf_failed(&name) ? "" : name.data,
                       &conf->columns[i]);
        buf_addf(sql, ";\n");
    }

    buf_free(&name);
}


/*
 * The right to temporary tables is PUBLIC's unless an administrator revoked it.
 * The database is the current one, whose name is not known here.
 */

static void
ddl_grants(buf_t *sql, const conf_t *conf, const char *role)
{
    bool                temporary;
    buf_t               block;
    size_t              i;
    const conf_t       *target;
    const ddl_grant_t  *grant;

    sql_format(sql, "GRANT USAGE ON SCHEMA sluice TO %I;\n", role);

    for (grant = ddl_own; grant->table; grant++) {
        sql_format(sql, "GRANT %s ON sluice.%s TO %I;\n", grant->privileges,
                   grant->table, role);
    }

    for (i = 0, temporary = false; i < conf->ntargets; i++) {
        target = conf->targets[i];
        temporary |= target->mode != CONF_MODE_APPEND;

        if (target->table_schema) {
            sql_format(sql, "GRANT USAGE ON SCHEMA %I TO %I;\n",
                       target->table_schema, role);
        }

        sql_format(sql, "GRANT %s ON %T TO %I;\n", ddl_modes[target->mode],
                   target, role);
    }

    if (temporary) {
        memset(&block, 0, sizeof(buf_t));
        sql_format(&block, "BEGIN EXECUTE pg_catalog.format('GRANT TEMPORARY ON"
                   " DATABASE %%I TO %%I', pg_catalog.current_database(), %L);"
                   " END", role);
        sql_do(sql, &block);
        buf_addf(sql, ";\n");
    }
}
