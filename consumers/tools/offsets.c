/* The subcommands offsets and lag: what is stored, beside the log. */

#include "tools/command.h"


static int offsets_show(tool_t *tool);
static int lag_run(tool_t *tool);


static const option_t  offsets_options[] = {
    OPTION("json", FLAG, tool_t, json),
    OPTION_END
};

static const command_t  command_show = {
    .name = "show",
    .open = TOOL_LOG_IF_UP,
    .size = sizeof(tool_t),
    .options = offsets_options,
    .run = offsets_show
};

static const command_t *const  offsets_parts[] = {
    &command_show, &command_reset, NULL
};

const command_t  command_offsets = {
    .name = "offsets",
    .help = "show what is stored, or go on elsewhere",
    .parts = offsets_parts,
    .usage =
    "show|reset ...\n"
    "\n"
    "  show [--json]          what is stored, beside what the log holds\n"
    "  reset TO [--dry-run]   go on elsewhere; no daemon may be alive\n"
    "\n"
    "TO is one of\n"
    "  --to-offset N          an offset; with --partition, or of a topic\n"
    "                         with one partition\n"
    "  --to-timestamp TIME    the first record at or behind an RFC 3339 time\n"
    "  --to-earliest          what the log begins with\n"
    "  --to-latest            behind its last record\n"
    "\n"
    "  --partition N          this one only; may be repeated\n"
    "  --into TABLE           for another table, which the configuration\n"
    "                         names from now on\n"
    "  --allow-duplicates     go back although rows will be there twice, or\n"
    "                         the topic was created again and the rows of its\n"
    "                         records meet by a key of their own\n"
    "  --dry-run              say what would be done, change nothing\n"
    "  --json                 for programs\n"
    "\n"
    "What is skipped or read again is kept in sluice.audit.\n"
};

const command_t  command_lag = {
    .name = "lag",
    .help = "records not yet in PostgreSQL, a partition a line",
    .open = TOOL_LOG_MUST,
    .size = sizeof(tool_t),
    .options = offsets_options,
    .run = lag_run,
    .usage =
    "[--json]\n"
    "\n"
    "Records that are in the topic and not yet in PostgreSQL, a partition a\n"
    "line.\n"
};


/* A line a partition that is stored ("o"), in the log ("l"), or both. */

#define OFFSETS_LIST(columns)                                                 \
    TOOL_WITH_LOG ", o AS (SELECT * FROM sluice.offsets WHERE " TOOL_OURS ")" \
    " SELECT coalesce(o.partition, l.partition) AS partition, o.next_offset," \
    columns " FROM o FULL JOIN log l ON l.partition = o.partition ORDER BY 1"

#define OFFSETS_LAST                                                          \
    " to_timestamp(o.last_timestamp / 1000.0) AS last_record"


static int
offsets_show(tool_t *tool)
{
    return tool_show(tool, tool_query(tool, OFFSETS_LIST(
        " l.low AS log_begin, l.high AS log_end, o.epoch, o.owner,"
        OFFSETS_LAST ", o.updated_at")));
}


static int
lag_run(tool_t *tool)
{
    return tool_show(tool, tool_query(tool, OFFSETS_LIST(
        " l.high AS log_end, greatest(l.high - coalesce(o.next_offset, l.low),"
        " 0) AS lag," OFFSETS_LAST)));
}
