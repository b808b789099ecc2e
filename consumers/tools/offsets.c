/* The subcommands offsets and lag: stored offsets beside the topic's log. */

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
    .topics = COMMAND_EACH,
    .size = sizeof(tool_t),
    .options = offsets_options,
    .run = offsets_show
};

static const command_t *const  offsets_parts[] = {
    &command_show, &command_reset, NULL
};

const command_t  command_offsets = {
    .name = "offsets",
    .help = "show the stored offsets, or continue elsewhere",
    .parts = offsets_parts,
    .usage =
    "show|reset ...\n"
    "\n"
    "  show [--json]          show the stored offsets beside the topic's log\n"
    "  reset TO [OPTION ...]  continue elsewhere; no daemon may be alive\n"
    "\n"
    "TO is one of\n"
    "  --to-offset N          this offset; it needs --partition if the topic\n"
    "                         has several partitions\n"
    "  --to-timestamp TIME    the first record at or after an RFC 3339 time\n"
    "  --to-earliest          the begin of the log\n"
    "  --to-latest            the end of the log\n"
    "\n"
    "  --partition N          only this partition; may be repeated\n"
    "  --into TABLE           set the offsets of another table, which the\n"
    "                         configuration will name\n"
    "  --allow-duplicates     go back although the table will hold rows\n"
    "                         twice, or in a topic that was created again, if\n"
    "                         its rows meet by a key of the events' own\n"
    "  --dry-run              print what would be done, change nothing\n"
    "  --json                 print JSON\n"
    "\n"
    "sluice.audit records what was skipped or is read again.\n"
};

const command_t  command_lag = {
    .name = "lag",
    .help = "show how many records are not yet in PostgreSQL",
    .open = TOOL_LOG_MUST,
    .topics = COMMAND_EACH,
    .size = sizeof(tool_t),
    .options = offsets_options,
    .run = lag_run,
    .usage =
    "[--json]\n"
    "\n"
    "Shows how many records of the topic are not yet in PostgreSQL, one line\n"
    "for each partition.\n"
};


/* A row for each partition that is stored (o), in the log (l), or both. */

#define OFFSETS_LIST(columns)                                                 \
    TOOL_WITH_LOG ", o AS (SELECT * FROM sluice.offsets WHERE " TOOL_OURS ")" \
    " SELECT coalesce(o.partition, l.partition) AS partition, o.next_offset," \
    columns " FROM o FULL JOIN log l ON l.partition = o.partition ORDER BY 1"

/* A timestamp that PostgreSQL does not have is shown as none. */
#define OFFSETS_LAST                                                          \
    " CASE WHEN o.last_timestamp BETWEEN -210866803200000"                    \
    " AND 9224318015999999 THEN to_timestamp(o.last_timestamp / 1000.0) END"  \
    " AS last_record"


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
