/* The subcommands print-ddl and setup: DDL and grants, shown or done. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/ddl.h"
#include "tools/command.h"


typedef struct {
    tool_t       tool;
    const char  *role;     /* NULL: the user of "postgres" */
    const char  *admin;    /* a connection, laid over "postgres" */
} setup_t;


static int print_ddl_run(tool_t *tool);
static int setup_run(tool_t *tool);
static int setup_do(tool_t *tool, const char *role, const char *admin);
static char *setup_role(const setup_t *setup);
static PQconninfoOption *setup_admin(const char *admin);
static int setup_missing(tool_t *tool, const conf_t *conf, const char *role);
static void setup_quiet(void *data, const char *message);


static const option_t  setup_options[] = {
    OPTION("admin", TEXT, setup_t, admin),
    OPTION("role",  TEXT, setup_t, role),
    OPTION_END
};


const command_t  command_print_ddl = {
    .name = "print-ddl",
    .help = "show the DDL and grants for a configuration",
    .size = sizeof(setup_t),
    .options = setup_options + 1,
    .run = print_ddl_run,
    .usage =
    "[--role ROLE]\n"
    "\n"
    "Prints the SQL that setup would run: sluice's own tables, the target\n"
    "where \"create_table\" asks for it, and the grants for ROLE, by default\n"
    "the user of \"postgres\".  Connects to nothing.\n"
};

const command_t  command_setup = {
    .name = "setup",
    .help = "do the DDL and grants, as an administrator",
    .size = sizeof(setup_t),
    .options = setup_options,
    .run = setup_run,
    .usage =
    "[--role ROLE] [--admin CONNINFO]\n"
    "\n"
    "Makes what a daemon needs that may do no DDL, and grants ROLE, by\n"
    "default the user of \"postgres\", just what the daemon uses.  May be run\n"
    "again.  CONNINFO is laid over \"postgres\", as in --admin\n"
    "'user=postgres'; its password comes from .pgpass, a service file or\n"
    "PGPASSWORD.\n"
};


static int
print_ddl_run(tool_t *tool)
{
    int    rc;
    char  *role;
    buf_t  sql;

    role = setup_role((setup_t *) tool);
    memset(&sql, 0, sizeof(buf_t));
    ddl_script(&sql, tool->conf, role);
    rc = buf_failed(&sql) ? -1 : 0;

    if (rc == 0) {
        printf("%s", sql.data);
        if (role == NULL) {
            printf("-- no grants: \"postgres\" names no user, --role would\n");
        }
    }

    buf_free(&sql);
    free(role);

    return rc;
}


static int
setup_run(tool_t *tool)
{
    int       rc;
    char     *role;
    setup_t  *setup;

    setup = (setup_t *) tool;
    role = setup_role(setup);
    rc = setup_do(tool, role, setup->admin);
    free(role);

    return rc;
}


static int
setup_do(tool_t *tool, const char *role, const char *admin)
{
    int                rc;
    buf_t              sql;
    size_t             i;
    PQconninfoOption  *over;

    if (role == NULL) {
        report_error("\"postgres\" names no user: say --role ROLE");
        return -1;
    }

    over = NULL;

    if (admin) {
        over = setup_admin(admin);
        if (over == NULL) {
            return -1;
        }
    }

    rc = tool_connect(tool, "sluice:setup", over);
    PQconninfoFree(over);
    PQsetNoticeProcessor(tool->conn, setup_quiet, NULL);

    for (i = 0; rc == 0 && i < tool->conf->ntargets; i++) {
        rc = setup_missing(tool, tool->conf->targets[i], role);
    }

    if (rc == -1) {
        return -1;
    }

    memset(&sql, 0, sizeof(buf_t));
    ddl_script(&sql, tool->conf, role);
    rc = tool_done(tool_script(tool, sql.data));
    buf_free(&sql);

    if (rc == 0) {
        printf("database \"%s\": role \"%s\" may run this configuration\n",
               PQdb(tool->conn), role);
    }

    return rc;
}


/* As given, or the user of the connection; freed by the caller.  NULL: none. */

static char *
setup_role(const setup_t *setup)
{
    char              *user;
    PQconninfoOption  *options, *o;

    if (setup->role) {
        return strdup(setup->role);
    }

    user = NULL;
    options = PQconninfoParse(setup->tool.conf->postgres, NULL);

    for (o = options; o && o->keyword; o++) {
        if (strcmp(o->keyword, "user") == 0 && o->val && o->val[0]) {
            user = strdup(o->val);
        }
    }

    PQconninfoFree(options);

    return user;
}


/* The administrator's connection; NULL where it is refused. */

static PQconninfoOption *
setup_admin(const char *admin)
{
    char              *reason;
    PQconninfoOption  *options, *o;

    reason = NULL;
    options = PQconninfoParse(admin, &reason);

    if (options == NULL) {
        report_error("--admin: %.*s", reason ? (int) strcspn(reason, "\n") : 0,
                     reason ? reason : "");
        PQfreemem(reason);
        return NULL;
    }

    for (o = options; o->keyword; o++) {
        if (strcmp(o->keyword, "password") == 0 && o->val) {
            report_error("--admin: a password does not belong on a command "
                         "line: use .pgpass, a service file or PGPASSWORD");
            PQconninfoFree(options);
            return NULL;
        }
    }

    return options;
}


/* The server says of each table that it exists already: that is expected. */

static void
setup_quiet(void *data, const char *message)
{
    (void) data;
    (void) message;
}


/* Whether a table that setup does not make is missing; -1: it is, or an
   error.  The grants would fail in less plain words. */

static int
setup_missing(tool_t *tool, const conf_t *conf, const char *role)
{
    buf_t    sql;
    int64_t  there;

    if (conf->create_table) {
        return 0;
    }

    memset(&sql, 0, sizeof(buf_t));
    buf_addf(&sql, "SET ");
    ddl_search_path(&sql, role);
    sql_format(&sql, "SELECT count(to_regclass(%R))", conf);
    there = tool_number(tool_script(tool, sql.data));
    buf_free(&sql);

    if (there == 0) {
        report_error("table \"%s\" does not exist, and \"create_table\" is "
                     "not set", conf->table);
    }

    return there == 1 ? 0 : -1;
}
