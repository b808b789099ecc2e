/* The subcommand dead-letters: list, show, replay, purge. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/units.h"
#include "tools/dead_letters.h"


#define DEAD_LIMIT  100     /* rows to list */
#define DEAD_STEP   5000    /* rows to delete in one transaction */


typedef int (*dead_do_pt)(tool_t *tool, const dead_choice_t *choice);


static int dead_options(dead_choice_t *choice, tool_t *tool, int argc,
    char **argv, bool *raw);
static int dead_list(tool_t *tool, const dead_choice_t *choice);
static int dead_show(tool_t *tool, const dead_choice_t *choice);
static int dead_show_raw(tool_t *tool, const dead_choice_t *choice);
static int dead_purge(tool_t *tool, const dead_choice_t *choice);


const char  dead_letters_usage[] =
    "list|show|replay|purge [ID ...] [OPTION ...]\n"
    "\n"
    "  list                what there is, the oldest first, without payload\n"
    "  show ID ...         everything of them; --raw: the value's bytes\n"
    "  replay ID ...       into the table, as the configuration now says,\n"
    "                      in one transaction with the dead letters' removal;\n"
    "                      what cannot be a row stays and is said\n"
    "  purge ID ...        delete them\n"
    "\n"
    "  --all               instead of IDs, all of this group and topic\n"
    "  --sqlstate STATE    only those that failed with it\n"
    "  --older TIME        only those kept for longer, \"30d\"\n"
    "  --limit N           of list; 100\n"
    "  --json              for programs, of list and show\n"
    "\n"
    "Exit status of replay: 1 if one stays.\n";


static int
dead_options(dead_choice_t *choice, tool_t *tool, int argc, char **argv,
    bool *raw)
{
    int          i;
    int64_t      id;
    const char  *value;

    choice->limit = DEAD_LIMIT;
    choice->ids = argv + 2;

    for (i = 2; i < argc; i++) {
        value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--all") == 0) {
            choice->all = true;

        } else if (strcmp(argv[i], "--json") == 0) {
            tool->json = true;

        } else if (strcmp(argv[i], "--raw") == 0) {
            *raw = true;

        } else if (strcmp(argv[i], "--sqlstate") == 0 && value) {
            choice->sqlstate = argv[++i];

        } else if (strcmp(argv[i], "--older") == 0 && value
                   && conf_parse_time(value, &choice->older) == 0
                   && choice->older)
        {
            i++;

        } else if (strcmp(argv[i], "--limit") == 0 && value
                   && tool_number(value, &choice->limit) == 0)
        {
            i++;

        } else if (tool_number(argv[i], &id) == 0) {
            choice->ids[choice->nids++] = argv[i];

        } else {
            return -1;
        }
    }

    return 0;
}


int
dead_letters_run(const conf_t *conf, int argc, char **argv)
{
    int            rc;
    bool           raw;
    tool_t         tool;
    dead_do_pt     what;
    dead_choice_t  choice;

    memset(&tool, 0, sizeof(tool_t));
    memset(&choice, 0, sizeof(dead_choice_t));
    raw = false;

    what = argc < 2 ? NULL
           : strcmp(argv[1], "list") == 0 ? dead_list
           : strcmp(argv[1], "show") == 0 ? dead_show
           : strcmp(argv[1], "replay") == 0 ? dead_letters_replay
           : strcmp(argv[1], "purge") == 0 ? dead_purge : NULL;

    if (what == NULL || dead_options(&choice, &tool, argc, argv, &raw) == -1) {
        return COMMAND_USAGE;
    }

    /* nothing is chosen by accident */

    if (what != dead_list && choice.all == (choice.nids != 0)) {
        tool_error("say which: IDs, or --all");
        return COMMAND_USAGE;
    }

    if (raw) {
        if (what != dead_show || choice.nids != 1) {
            return COMMAND_USAGE;
        }
        what = dead_show_raw;
    }

    rc = tool_open(&tool, conf, TOOL_LOG_NONE, -1);
    if (rc == 0) {
        rc = what(&tool, &choice);
    }

    tool_close(&tool);

    return rc == 0 ? COMMAND_OK : COMMAND_FAILED;
}


void
dead_letters_where(const tool_t *tool, const dead_choice_t *choice,
    buf_t *sql)
{
    int  i;

    buf_addf(sql, " WHERE cluster_id=");
    sql_literal(sql, tool->conn, offsets_cluster(tool->offsets));
    buf_addf(sql, " AND group_id=");
    sql_literal(sql, tool->conn, tool->conf->group);
    buf_addf(sql, " AND topic=");
    sql_literal(sql, tool->conn, tool->conf->topic);

    if (choice->nids) {
        buf_addf(sql, " AND id IN (");
        for (i = 0; i < choice->nids; i++) {
            buf_addf(sql, "%s%s", i ? "," : "", choice->ids[i]);
        }
        buf_addf(sql, ")");
    }

    if (choice->sqlstate) {
        buf_addf(sql, " AND sqlstate=");
        sql_literal(sql, tool->conn, choice->sqlstate);
    }

    if (choice->older) {
        buf_addf(sql, " AND created_at < now() - %" PRId64
                 " * interval '1 ms'", choice->older);
    }
}


static int
dead_print(tool_t *tool, buf_t *sql)
{
    PGresult  *res;

    res = tool_query(tool, sql);
    if (res == NULL) {
        return -1;
    }

    tool_print(tool, res);
    PQclear(res);

    return 0;
}


static int
dead_list(tool_t *tool, const dead_choice_t *choice)
{
    buf_t  sql;

    memset(&sql, 0, sizeof(buf_t));
    buf_addf(&sql, "SELECT id, created_at AS at, table_name AS \"table\","
             " partition, \"offset\", sqlstate, reason"
             " FROM sluice.dead_letters");
    dead_letters_where(tool, choice, &sql);
    buf_addf(&sql, " ORDER BY id LIMIT %" PRId64, choice->limit);

    return dead_print(tool, &sql);
}


/* Bytes as text where all are printable ASCII, else as \x and hex. */

static void
dead_text(buf_t *sql, const char *column)
{
    buf_addf(sql, ", CASE WHEN encode(%s,'escape') ~ '[\\\\]'"
             " OR encode(%s,'escape') ~ '[[:cntrl:]]'"
             " THEN %s::text ELSE encode(%s,'escape') END AS %s",
             column, column, column, column, column);
}


static int
dead_show(tool_t *tool, const dead_choice_t *choice)
{
    buf_t  sql;

    memset(&sql, 0, sizeof(buf_t));
    buf_addf(&sql, "SELECT id, created_at AS at, table_name AS \"table\","
             " partition, \"offset\", \"timestamp\", sqlstate, reason,"
             " headers::text AS headers");
    dead_text(&sql, "key");
    dead_text(&sql, "value");
    buf_addf(&sql, " FROM sluice.dead_letters");
    dead_letters_where(tool, choice, &sql);
    buf_addf(&sql, " ORDER BY id");

    return dead_print(tool, &sql);
}


static int
dead_show_raw(tool_t *tool, const dead_choice_t *choice)
{
    int             rc;
    buf_t           sql;
    size_t          len;
    PGresult       *res;
    unsigned char  *value;

    memset(&sql, 0, sizeof(buf_t));
    buf_addf(&sql, "SELECT value FROM sluice.dead_letters");
    dead_letters_where(tool, choice, &sql);

    res = tool_query(tool, &sql);
    if (res == NULL) {
        return -1;
    }

    rc = -1;
    value = NULL;

    if (PQntuples(res) == 0) {
        tool_error("there is no dead letter %s", choice->ids[0]);

    } else if (PQgetisnull(res, 0, 0)) {
        tool_error("dead letter %s has no value, or it was not kept",
                   choice->ids[0]);

    } else {
        value = PQunescapeBytea((unsigned char *) PQgetvalue(res, 0, 0),
                                &len);
        if (value && fwrite(value, 1, len, stdout) == len) {
            rc = 0;
        }
    }

    PQfreemem(value);
    PQclear(res);

    return rc;
}


/* In steps, each a transaction: nobody waits for a large one. */

static int
dead_purge(tool_t *tool, const dead_choice_t *choice)
{
    int        n;
    buf_t      sql;
    int64_t    total;
    PGresult  *res;

    total = 0;

    do {
        memset(&sql, 0, sizeof(buf_t));
        buf_addf(&sql, "WITH gone AS (DELETE FROM sluice.dead_letters WHERE"
                 " ctid = ANY (ARRAY(SELECT ctid FROM sluice.dead_letters");
        dead_letters_where(tool, choice, &sql);
        buf_addf(&sql, " ORDER BY id LIMIT %d FOR UPDATE)) RETURNING 1)"
                 " SELECT count(*) FROM gone", DEAD_STEP);

        res = tool_query(tool, &sql);
        if (res == NULL) {
            return -1;
        }

        n = (int) sql_number(res, 0, 0);
        total += n;
        PQclear(res);

    } while (n == DEAD_STEP);

    printf("%" PRId64 " dead letters purged\n", total);

    return 0;
}
