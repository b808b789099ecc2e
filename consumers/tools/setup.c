/* The subcommands print-ddl and setup: show the DDL and grants, or run them. */

#include <stdio.h>
#include <string.h>

#include "postgres/ddl.h"
#include "postgres/guard.h"
#include "postgres/target.h"
#include "tools/command.h"


typedef struct {
    tool_t       tool;     /* "text" is the user of "postgres", if asked for */
    const char  *role;     /* NULL: that user */
    const char  *admin;    /* conninfo laid over "postgres", or NULL */
} setup_t;


static int print_ddl_run(tool_t *tool);
static int setup_run(tool_t *tool);
static const char *setup_role(tool_t *tool);
static int setup_connect(tool_t *tool, const char *admin);
static const char *setup_value(const PQconninfoOption *options,
    const char *keyword);
static void setup_quiet(void *data, const char *message);
static int setup_target(tool_t *tool, const conf_t *conf, const char *role);


static const option_t  setup_options[] = {
    OPTION("admin", TEXT, setup_t, admin),
    OPTION("role",  TEXT, setup_t, role),
    OPTION_END
};


const command_t  command_print_ddl = {
    .name = "print-ddl",
    .help = "print the DDL and grants that a configuration needs",
    .topics = COMMAND_ALL,
    .size = sizeof(setup_t),
    .options = setup_options + 1,
    .run = print_ddl_run,
    .usage =
    "[--role ROLE]\n"
    "\n"
    "Prints the SQL that setup would run: schema sluice, the table if\n"
    "\"create_table\" is set, and the grants for ROLE, by default the user of\n"
    "\"postgres\".  It connects to nothing.\n"
};

const command_t  command_setup = {
    .name = "setup",
    .help = "run the DDL and grants, as an administrator",
    .topics = COMMAND_ALL,
    .size = sizeof(setup_t),
    .options = setup_options,
    .run = setup_run,
    .usage =
    "[--role ROLE] [--admin CONNINFO]\n"
    "\n"
    "Creates what a daemon without the right to DDL needs, and grants ROLE\n"
    "just the rights that the daemon uses.  ROLE is by default the user of\n"
    "\"postgres\".  Setup may be run again.  Options in CONNINFO, such as\n"
    "'user=postgres', replace those of \"postgres\"; the password comes from\n"
    ".pgpass, a service file or PGPASSWORD.\n"
};


static int
print_ddl_run(tool_t *tool)
{
    int          rc;
    buf_t        sql = { 0 };
    const char  *role;

    role = setup_role(tool);
    ddl_script(&sql, tool->conf, role);
    rc = buf_failed(&sql) ? -1 : 0;

    if (rc == 0) {
        printf("%s", sql.data);
        if (role == NULL) {
            printf("-- no grants: \"postgres\" names no user, use --role "
                   "ROLE\n");
        }
    }

    buf_free(&sql);

    return rc;
}


static int
setup_run(tool_t *tool)
{
    int          rc;
    buf_t        sql = { 0 };
    size_t       i;
    const char  *role;

    role = setup_role(tool);

    if (role == NULL) {
        return report_error("\"postgres\" names no user: use --role ROLE");
    }

    rc = setup_connect(tool, ((setup_t *) tool)->admin);

    for (i = 0; rc == 0 && i < tool->conf->ntargets; i++) {
        rc = setup_target(tool, tool->conf->targets[i], role);
    }

    if (rc == -1) {
        return -1;
    }

    ddl_script(&sql, tool->conf, role);
    rc = tool_done(tool_script(tool, sql.data));
    buf_free(&sql);

    if (rc == 0) {
        rc = tool_guard(tool, NULL, role);
    }

    if (rc == 0) {
        printf("database \"%s\": role \"%s\" may run this configuration\n",
               PQdb(tool->conn), role);
    }

    return rc;
}


/* The role that gets the grants; NULL: none is named. */

static const char *
setup_role(tool_t *tool)
{
    const char        *user;
    PQconninfoOption  *options;

    if (((setup_t *) tool)->role) {
        return ((setup_t *) tool)->role;
    }

    options = PQconninfoParse(tool->conf->postgres, NULL);
    user = setup_value(options, "user");

    if (user) {
        buf_addf(&tool->text, "%s", user);
    }

    PQconninfoFree(options);

    return tool->text.data;
}


/* As the administrator, if there is one. */

static int
setup_connect(tool_t *tool, const char *admin)
{
    int                rc;
    char              *reason;
    PQconninfoOption  *options;

    reason = NULL;
    options = admin ? PQconninfoParse(admin, &reason) : NULL;
    rc = -1;

    if (admin && options == NULL) {
        report_error("--admin: %.*s", reason ? (int) strcspn(reason, "\n") : 0,
                     reason ? reason : "");
        PQfreemem(reason);

    } else if (setup_value(options, "password")) {
        report_error("--admin: a password does not belong on a command line: "
                     "use .pgpass, a service file or PGPASSWORD");

    } else {
        rc = tool_connect(tool, "sluice:setup", options);
        PQsetNoticeProcessor(tool->conn, setup_quiet, NULL);
    }

    PQconninfoFree(options);

    return rc;
}


/* NULL: a conninfo does not say it, or "options" is NULL. */

static const char *
setup_value(const PQconninfoOption *options, const char *keyword)
{
    for ( /* void */ ; options && options->keyword; options++) {
        if (strcmp(options->keyword, keyword) == 0) {
            return options->val && options->val[0] ? options->val : NULL;
        }
    }

    return NULL;
}


/* The server says that a table exists already, as it may. */

static void
setup_quiet(void *data, const char *message)
{
}


/*
 * A table that setup does not make must be there: the grants would fail in
 * less plain words.  One that is there must not be somebody's who put it in the
 * way.
 */

static int
setup_target(tool_t *tool, const conf_t *conf, const char *role)
{
    int        rc;
    buf_t      sql = { 0 };
    PGresult  *res;

    buf_addf(&sql, "BEGIN;SET LOCAL ");
    ddl_search_path(&sql, role);
    target_begin(&sql, conf);
    buf_addf(&sql, "SELECT format('%%I.%%I', nspname, relname) FROM pg_class c"
             " JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid"
             " = current_setting('sluice.table')::oid");
    res = tool_script(tool, sql.data);
    buf_free(&sql);
    rc = res ? 0 : -1;

    if (res && PQntuples(res) == 0 && !conf->create_table) {
        rc = report_error("table \"%s\" does not exist, and \"create_table\" "
                          "is not set", conf->table);
    }

    if (PQntuples(res) && guard_is_needed(conf)) {
        rc = tool_guard(tool, PQgetvalue(res, 0, 0), role);
    }

    PQclear(res);

    return rc == 0 ? tool_done(tool_script(tool, "COMMIT")) : -1;
}
