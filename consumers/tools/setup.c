/* The subcommands print-ddl and setup: DDL and grants, shown or done. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/ddl.h"
#include "tools/setup.h"


#define SETUP_OPTIONS  64    /* of libpq; it knows 40 */


typedef struct {
    const char  *role;
    const char  *admin;
} setup_options_t;


static int setup_options(setup_options_t *options, const conf_t *conf,
    int argc, char **argv, char **user);
static PGconn *setup_connect(const conf_t *conf, const char *admin);
static int setup_missing(PGconn *conn, const conf_t *conf,
    const char *role);


const char  print_ddl_usage[] =
    "[--role ROLE]\n"
    "\n"
    "Prints the SQL that setup would run: sluice's own tables, the target\n"
    "where \"create_table\" asks for it, and the grants for ROLE, by default\n"
    "the user of \"postgres\".  Connects to nothing.\n";

const char  setup_usage[] =
    "[--role ROLE] [--admin CONNINFO]\n"
    "\n"
    "Makes what a daemon needs that may do no DDL, and grants ROLE, by\n"
    "default the user of \"postgres\", just what the daemon uses.  May be run\n"
    "again.  CONNINFO is laid over \"postgres\", as in --admin\n"
    "'user=postgres'; its password comes from .pgpass, a service file or\n"
    "PGPASSWORD.\n";


/* The user a conninfo names, to be freed; NULL: none. */

static char *
setup_user(const char *conninfo)
{
    char              *user;
    PQconninfoOption  *options, *o;

    user = NULL;
    options = PQconninfoParse(conninfo, NULL);

    for (o = options; o && o->keyword; o++) {
        if (strcmp(o->keyword, "user") == 0 && o->val && o->val[0]) {
            user = strdup(o->val);
        }
    }

    PQconninfoFree(options);

    return user;
}


static int
setup_options(setup_options_t *options, const conf_t *conf, int argc,
    char **argv, char **user)
{
    int  i;

    memset(options, 0, sizeof(setup_options_t));
    *user = NULL;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--role") == 0 && i + 1 < argc) {
            options->role = argv[++i];

        } else if (strcmp(argv[i], "--admin") == 0 && i + 1 < argc
                   && strcmp(argv[0], "setup") == 0)
        {
            options->admin = argv[++i];

        } else {
            return COMMAND_USAGE;
        }
    }

    if (options->role == NULL) {
        *user = setup_user(conf->postgres);
        options->role = *user;
    }

    return COMMAND_OK;
}


int
print_ddl_run(const conf_t *conf, int argc, char **argv)
{
    int              rc;
    char            *user;
    buf_t            sql;
    setup_options_t  options;

    if (setup_options(&options, conf, argc, argv, &user) != COMMAND_OK) {
        return COMMAND_USAGE;
    }

    memset(&sql, 0, sizeof(buf_t));
    ddl_script(&sql, conf, options.role);
    rc = buf_failed(&sql) ? COMMAND_FAILED : COMMAND_OK;

    if (rc == COMMAND_OK) {
        printf("%s", sql.data);
        if (options.role == NULL) {
            printf("-- no grants: \"postgres\" names no user, --role would\n");
        }
    }

    buf_free(&sql);
    free(user);

    return rc;
}


int
setup_run(const conf_t *conf, int argc, char **argv)
{
    int              rc;
    char            *user;
    buf_t            sql;
    size_t           i;
    PGconn          *conn;
    PGresult        *res;
    setup_options_t  options;

    if (setup_options(&options, conf, argc, argv, &user) != COMMAND_OK) {
        return COMMAND_USAGE;
    }

    rc = COMMAND_FAILED;
    memset(&sql, 0, sizeof(buf_t));
    conn = NULL;

    if (options.role == NULL) {
        fprintf(stderr, "\"postgres\" names no user: say --role ROLE\n");
        goto failed;
    }

    conn = setup_connect(conf, options.admin);
    if (conn == NULL) {
        goto failed;
    }

    for (i = 0; i < conf->ntargets; i++) {
        if (setup_missing(conn, conf->targets[i], options.role) == -1) {
            goto failed;
        }
    }

    ddl_script(&sql, conf, options.role);
    if (buf_failed(&sql)) {
        fprintf(stderr, "out of memory\n");
        goto failed;
    }

    res = PQexec(conn, sql.data);

    if (PQresultStatus(res) == PGRES_COMMAND_OK) {
        printf("database \"%s\": role \"%s\" may run this configuration\n",
               PQdb(conn), options.role);
        rc = COMMAND_OK;

    } else {
        fprintf(stderr, "could not set up: %s", PQerrorMessage(conn));
    }

    PQclear(res);

failed:

    PQfinish(conn);
    buf_free(&sql);
    free(user);

    return rc;
}


/* "already exists, skipping" is what running again means. */

static void
setup_quiet(void *data, const char *message)
{
    (void) data;
    (void) message;
}


/* The configuration's connection with the administrator's laid over it. */

static PGconn *
setup_connect(const conf_t *conf, const char *admin)
{
    int                n;
    char              *reason;
    PGconn            *conn;
    const char        *keys[SETUP_OPTIONS], *values[SETUP_OPTIONS];
    PQconninfoOption  *options, *o;

    conn = NULL;
    reason = NULL;
    options = admin ? PQconninfoParse(admin, &reason) : NULL;

    if (admin && options == NULL) {
        fprintf(stderr, "--admin: %s", reason ? reason : "out of memory\n");
        PQfreemem(reason);
        return NULL;
    }

    keys[0] = "dbname";
    values[0] = conf->postgres;
    n = 1;

    for (o = options; o && o->keyword && n < SETUP_OPTIONS - 4; o++) {
        if (o->val == NULL) {
            continue;
        }

        if (strcmp(o->keyword, "password") == 0) {
            fprintf(stderr, "--admin: a password does not belong on a command "
                    "line: use .pgpass, a service file or PGPASSWORD\n");
            goto failed;
        }

        keys[n] = o->keyword;
        values[n++] = o->val;

        /* the daemon's password is not the administrator's */
        if (strcmp(o->keyword, "user") == 0) {
            keys[n] = "password";
            values[n++] = "";
        }
    }

    keys[n] = "client_encoding";
    values[n++] = "UTF8";
    keys[n] = NULL;
    values[n] = NULL;

    conn = PQconnectdbParams(keys, values, 1);

    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "could not connect: %s", PQerrorMessage(conn));
        PQfinish(conn);
        conn = NULL;
    } else {
        PQsetNoticeProcessor(conn, setup_quiet, NULL);
    }

failed:

    PQconninfoFree(options);

    return conn;
}


/* Grants on a table that nobody makes would say so less well. */

static int
setup_missing(PGconn *conn, const conf_t *conf, const char *role)
{
    int        rc;
    buf_t      sql, table;
    PGresult  *res;

    if (conf->create_table) {
        return 0;
    }

    memset(&sql, 0, sizeof(buf_t));
    memset(&table, 0, sizeof(buf_t));
    sql_table(&table, conn, conf);
    buf_addf(&sql, "SET ");
    ddl_search_path(&sql, role);
    buf_addf(&sql, "SELECT to_regclass(");
    sql_literal(&sql, conn, buf_failed(&table) ? "" : table.data);
    buf_addf(&sql, ") IS NULL");

    res = PQexec(conn, buf_failed(&sql) ? "" : sql.data);
    rc = PQntuples(res) == 1 && PQgetvalue(res, 0, 0)[0] == 'f' ? 0 : -1;

    if (rc == -1) {
        fprintf(stderr, "table \"%s\" does not exist, and \"create_table\" is "
                "not set\n", conf->table);
    }

    PQclear(res);
    buf_free(&sql);
    buf_free(&table);

    return rc;
}
