/* The subcommand verify: proves that every offset is accounted for, once. */

#include <string.h>

#include "postgres/sql.h"
#include "tools/command.h"
#include "tools/places.h"
#include "tools/verify.h"


typedef struct {
    tool_t    tool;
    bool      ranges_only;
    bool      strict;        /* a missing dead letter is a fault */
    places_t  places;
} verify_t;


static int verify_run(tool_t *tool);
static PGresult *verify_problems(verify_t *verify, tool_t *tool);
static int verify_print(const verify_t *verify, const PGresult *problems,
    const PGresult *summary);
static int verify_json(const verify_t *verify, const PGresult *problems,
    const PGresult *summary);


static const option_t  verify_options[] = {
    OPTION("json",        FLAG, verify_t, tool.json),
    OPTION("ranges-only", FLAG, verify_t, ranges_only),
    OPTION("strict",      FLAG, verify_t, strict),
    OPTION_END
};

const command_t  command_verify = {
    .name = "verify",
    .help = "prove that every offset is accounted for, once",
    .open = TOOL_POSTGRES,
    .topics = COMMAND_EACH,
    .size = sizeof(verify_t),
    .options = verify_options,
    .run = verify_run,
    .usage =
    "[--ranges-only] [--strict] [--json]\n"
    "\n"
    "Proves from the stored ranges that every offset below the stored one is\n"
    "accounted for once: as a row, a dead letter, a filtered record, a\n"
    "duplicate or a gap.  If the table has columns for partition and offset,\n"
    "its rows are compared too.  Daemons may run meanwhile.\n"
    "\n"
    "  --ranges-only   do not compare the table's rows\n"
    "  --strict        a dead letter that was replayed or purged is a fault\n"
    "  --json          print JSON\n"
    "\n"
    "Exit status: 0 if that is proved, else 1.\n"
};


int
verify_prove(const conf_t *conf)
{
    int       rc;
    verify_t  verify = { 0 };

    tool_init(&verify.tool, conf);

    rc = tool_open(&verify.tool, TOOL_POSTGRES) == 0
         && verify_run(&verify.tool) == 0 ? COMMAND_OK : COMMAND_FAILED;
    tool_close(&verify.tool);

    return rc;
}


static int
verify_run(tool_t *tool)
{
    int        rc;
    verify_t  *verify = (verify_t *) tool;
    PGresult  *problems, *summary;

    /* the commits of daemons do not change this snapshot */

    if (tool_version(tool, "verify") == -1
        || tool_done(tool_script(tool, "BEGIN ISOLATION LEVEL REPEATABLE READ"
                                 " READ ONLY;SET LOCAL " SQL_PATH)) == -1
        || places_find(&verify->places, tool) == -1)
    {
        return -1;
    }

    if (verify->ranges_only) {
        verify->places.why_not = "--ranges-only was given";
    }

    problems = verify_problems(verify, tool);
    if (problems == NULL) {
        return -1;
    }

    rc = -1;
    summary = tool_query(tool, "SELECT * FROM sluice.verify_summary($1, $2,"
                         " $3, $4, $5) ORDER BY 1");
    if (summary) {
        rc = tool->json ? verify_json(verify, problems, summary)
                        : verify_print(verify, problems, summary);
        rc = PQntuples(problems) ? -1 : rc;
    }

    PQclear(problems);
    PQclear(summary);

    return rc;
}


static PGresult *
verify_problems(verify_t *verify, tool_t *tool)
{
    const places_t  *places = &verify->places;

    if (places->why_not) {
        return tool_query(tool, "SELECT * FROM sluice.verify($1, $2, $3, $4,"
                          " $5, $7::boolean) ORDER BY 1, 2, 3 LIMIT 100",
                          verify->strict ? "true" : "false");
    }

    return tool_query(tool, "SELECT * FROM sluice.verify($1, $2, $3, $4, $5,"
                      " $7::boolean) UNION ALL SELECT * FROM"
                      " sluice.verify_rows($1, $2, $3, $4, $5, $8::boolean,"
                      " $9::regclass, ARRAY[$10, $11, nullif($12, '')])"
                      " ORDER BY 1, 2, 3 LIMIT 100",
                      verify->strict ? "true" : "false",
                      tool->conf->mode == CONF_MODE_APPEND ? "true" : "false",
                      tool->place.data, places->partition->name,
                      places->offset->name,
                      places->topic ? places->topic->name : "");
}


static int
verify_print(const verify_t *verify, const PGresult *problems,
    const PGresult *summary)
{
    int   row, n;
    bool  began;

    n = PQntuples(problems);
    (void) report_rows(summary, false);

    for (row = 0, began = false; row < PQntuples(summary); row++) {
        began |= !PQgetisnull(summary, row, 1);
    }

    for (row = 0; row < n; row++) {
        if (PQgetisnull(problems, row, 0)) {
            printf("%s\n", PQgetvalue(problems, row, 3));
            continue;
        }
        printf("partition %s, offsets %s to %s: %s\n",
               PQgetvalue(problems, row, 0), PQgetvalue(problems, row, 1),
               PQgetvalue(problems, row, 2), PQgetvalue(problems, row, 3));
    }

    if (verify->places.why_not) {
        printf("The rows of table \"%s\" were not looked at: %s.\n",
               verify->tool.conf->table, verify->places.why_not);
    }

    if (n == 0 && !began) {
        printf("No record was stored yet, every partition is where it "
               "began.\n");
    }

    printf(n ? "Not proved.\n"
             : "Proved: every offset is accounted for, once.\n");

    return 0;
}


static int
verify_json(const verify_t *verify, const PGresult *problems,
    const PGresult *summary)
{
    cJSON  *json;

    json = cJSON_CreateObject();

    if (!cJSON_AddBoolToObject(json, "proved", PQntuples(problems) == 0)
        || !cJSON_AddBoolToObject(json, "rows_looked_at",
                                  verify->places.why_not == NULL)
        || !cJSON_AddItemToObject(json, "partitions", report_array(summary))
        || !cJSON_AddItemToObject(json, "problems", report_array(problems)))
    {
        cJSON_Delete(json);
        json = NULL;
    }

    return report_json(json);
}
