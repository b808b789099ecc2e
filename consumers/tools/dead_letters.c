/* The subcommand dead-letters: list, show and purge; see dead_replay.c. */

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "tools/command.h"
#include "tools/dead_letters.h"


#define DEAD_STEP   "5000"    /* rows to delete in one transaction */


static int dead_choose(tool_t *tool);
static int dead_choose_some(tool_t *tool);
static int dead_list(tool_t *tool);
static int dead_show(tool_t *tool);
static int dead_show_raw(dead_t *dead);
static int dead_purge(tool_t *tool);


#define DEAD_OPTIONS                                                          \
    OPTION("all",      FLAG,   dead_t, all),                                  \
    OPTION("json",     FLAG,   dead_t, tool.json),                            \
    OPTION("limit",    NUMBER, dead_t, limit),                                \
    OPTION("older",    TIME,   dead_t, older),                                \
    OPTION("sqlstate", TEXT,   dead_t, sqlstate),                             \
    OPTION_END

static const option_t  dead_options[] = { DEAD_OPTIONS };

static const option_t  dead_list_options[] = {
    OPTION("pending",  FLAG,   dead_t, pending),
    DEAD_OPTIONS
};

static const option_t  dead_show_options[] = {
    OPTION("raw",      FLAG,   dead_t, raw),
    DEAD_OPTIONS
};

#define DEAD_PART(word, list, choose, do)                                     \
    { .name = word, .open = TOOL_POSTGRES, .size = sizeof(dead_t),            \
      .options = list, .most = INT_MAX, .check = choose, .run = do }

static const command_t  dead_list_part =
    DEAD_PART("list", dead_list_options, dead_choose, dead_list);
static const command_t  dead_purge_part =
    DEAD_PART("purge", dead_options, dead_choose_some, dead_purge);
static const command_t  dead_replay_part =
    DEAD_PART("replay", dead_options, dead_choose_some, dead_replay_run);
static const command_t  dead_show_part =
    DEAD_PART("show", dead_show_options, dead_choose_some, dead_show);

static const command_t *const  dead_parts[] = {
    &dead_list_part, &dead_purge_part, &dead_replay_part, &dead_show_part, NULL
};

const command_t  command_dead_letters = {
    .name = "dead-letters",
    .help = "list, show, replay or purge records that could not be rows",
    .parts = dead_parts,
    .usage =
    "list|show|replay|purge [ID ...] [OPTION ...]\n"
    "\n"
    "  list                list them, the oldest first, without payload\n"
    "  list --pending      list those that would come next: stores the\n"
    "                      records as a daemon would, and rolls that back\n"
    "  show ID ...         show everything of them; with --raw only the bytes\n"
    "                      of the value\n"
    "  replay ID ...       store them in the table as the configuration says\n"
    "                      now, and delete them in the same transaction;\n"
    "                      those that still cannot be rows stay, and the\n"
    "                      reason is printed\n"
    "  purge ID ...        delete them\n"
    "\n"
    "  --all               all of this group and topic, instead of IDs\n"
    "  --sqlstate STATE    only those that failed with this SQLSTATE\n"
    "  --older TIME        only those that are older, such as \"30d\"\n"
    "  --limit N           how many list shows at most; 100 by default\n"
    "  --json              list and show print JSON\n"
    "\n"
    "Exit status of replay: 1 if a dead letter stays.\n"
};


static int
dead_choose(tool_t *tool)
{
    int      i;
    dead_t  *dead = (dead_t *) tool;
    int64_t  id;

    if (dead->pending && (tool->noperands || dead->all || dead->older)) {
        return report_error("--pending lists what is no dead letter yet: it "
                            "has no ID and no age");
    }

    snprintf(dead->age, sizeof(dead->age), "%" PRId64, dead->older);
    buf_addf(&tool->text, "{");

    for (i = 0; i < tool->noperands; i++) {
        if (options_number(tool->operands[i], &id) == -1) {
            return report_error("\"%s\" is no dead letter's ID",
                                tool->operands[i]);
        }
        buf_addf(&tool->text, "%s%" PRId64, i ? "," : "", id);
    }

    buf_addf(&tool->text, "}");

    return dead->raw && tool->noperands != 1 ? -1 : 0;
}


/* IDs or --all, but not both: nothing is chosen by accident. */

static int
dead_choose_some(tool_t *tool)
{
    if (((dead_t *) tool)->all == (tool->noperands != 0)) {
        return report_error("IDs or --all are required, but not both");
    }

    return dead_choose(tool);
}


static int
dead_list(tool_t *tool)
{
    dead_t  *dead = (dead_t *) tool;

    if (dead->pending) {
        return dead_pending_run(tool);
    }

    return tool_show(tool, dead_query(dead, "SELECT id, created_at AS at,"
                     " table_name AS \"table\", partition, \"offset\","
                     " sqlstate, reason" DEAD_CHOICE
                     " ORDER BY id LIMIT $10::bigint",
                     dead->limit ? dead->limit : DEAD_LIMIT, NULL));
}


/* A column of bytes: as text if all are printable ASCII, else \x and hex. */

#define DEAD_TEXT(column)                                                     \
    ", CASE WHEN encode(" column ", 'escape') ~ '[\\\\]'"                     \
    " OR encode(" column ", 'escape') ~ '[[:cntrl:]]'"                        \
    " THEN " column "::text ELSE encode(" column ", 'escape') END AS " column


static int
dead_show(tool_t *tool)
{
    dead_t  *dead = (dead_t *) tool;

    if (dead->raw) {
        return dead_show_raw(dead);
    }

    return tool_show(tool, dead_query(dead, "SELECT id, created_at AS at,"
                     " table_name AS \"table\", partition, \"offset\","
                     " \"timestamp\", sqlstate, reason,"
                     " headers::text AS headers"
                     DEAD_TEXT("key") DEAD_TEXT("value") DEAD_CHOICE
                     " ORDER BY id", NULL, NULL));
}


static int
dead_show_raw(dead_t *dead)
{
    int             rc;
    size_t          len;
    PGresult       *res;
    unsigned char  *value;

    res = dead_query(dead, "SELECT value" DEAD_CHOICE, NULL, NULL);
    if (res == NULL) {
        return -1;
    }

    rc = -1;
    value = NULL;

    if (PQntuples(res) == 0) {
        report_error("there is no dead letter %s", dead->tool.operands[0]);

    } else if (PQgetisnull(res, 0, 0)) {
        report_error("dead letter %s has no value, or it was not kept",
                     dead->tool.operands[0]);

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


/* Each step is a transaction, so that no other session waits for long. */

static int
dead_purge(tool_t *tool)
{
    int64_t  n, total;

    total = 0;

    do {
        n = tool_number(dead_query((dead_t *) tool,
            "WITH gone AS (DELETE FROM sluice.dead_letters WHERE ctid = ANY"
            " (ARRAY(SELECT ctid" DEAD_CHOICE " ORDER BY id LIMIT " DEAD_STEP
            " FOR UPDATE)) RETURNING 1) SELECT count(*) FROM gone", NULL,
            NULL));

        if (n == -1) {
            return -1;
        }

        total += n;

    } while (n);

    printf("%" PRId64 " dead letters purged\n", total);

    return 0;
}
