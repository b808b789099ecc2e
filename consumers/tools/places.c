/* A record's place: as an operand, and in the columns of its row. */

#include <string.h>

#include "postgres/sql.h"
#include "tools/options.h"
#include "tools/places.h"


static int places_shared(tool_t *tool, bool *topics, bool *groups);


int
places_find(places_t *places, tool_t *tool)
{
    bool           topics, groups;
    const conf_t  *conf = tool->conf;

    memset(places, 0, sizeof(places_t));

    if (conf->nroutes) {
        places->why_not = "\"route\" has several tables";
        return 0;
    }

    if (conf->each) {
        places->why_not = "\"each\" makes several rows of a record";
        return 0;
    }

    places->partition = tool_column(conf, CONF_FROM_PARTITION);
    places->offset = tool_column(conf, CONF_FROM_OFFSET);
    places->topic = tool_column(conf, CONF_FROM_TOPIC);

    if (places->partition == NULL || places->offset == NULL) {
        places->why_not = "it has no columns for partition and offset";
        return 0;
    }

    if (places_shared(tool, &topics, &groups) == -1) {
        return -1;
    }

    if (groups || (topics && places->topic == NULL)) {
        places->why_not = "other topics or groups are stored in it too";
    }

    return 0;
}


/* Whether other topics, or other groups of this topic, fill the table. */

static int
places_shared(tool_t *tool, bool *topics, bool *groups)
{
    PGresult  *res;

    res = tool_query(tool, "SELECT count(*) FILTER (WHERE topic <> $3),"
                     " count(*) FILTER (WHERE topic = $3) FROM sluice.offsets"
                     " WHERE table_name = ANY ($5) AND NOT (cluster_id = $1"
                     " AND group_id = $2 AND topic = $3)");
    if (res == NULL) {
        return -1;
    }

    *topics = sql_number(res, 0, 0) != 0;
    *groups = sql_number(res, 0, 1) != 0;
    PQclear(res);

    return 0;
}


void
places_rows(const places_t *places, const tool_t *tool, buf_t *sql)
{
    if (places->why_not) {
        buf_addf(sql, "SELECT 0 AS p, 0::bigint AS o WHERE false");
        return;
    }

    sql_format(sql, "SELECT %I::integer AS p, %I::bigint AS o FROM %s"
               " WHERE %I IS NOT NULL", places->partition->name,
               places->offset->name, tool->place.data, places->offset->name);

    if (places->topic) {
        sql_format(sql, " AND %I = %L", places->topic->name,
                   tool->conf->topic);
    }
}


int
places_read(tool_t *tool, const char **partition, const char **offset)
{
    char     *s, *slash;
    size_t    len;
    int64_t   n;

    s = tool->operands[0];
    len = strlen(tool->conf->topic);

    if (strncmp(s, tool->conf->topic, len) != 0 || s[len] != '/') {
        return report_error("the configuration is for topic \"%s\"",
                            tool->conf->topic);
    }

    s += len + 1;
    slash = strchr(s, '/');

    if (slash == NULL) {
        return report_error("the argument must be TOPIC/PARTITION/OFFSET");
    }

    *slash = '\0';
    *partition = s;
    *offset = slash + 1;

    if (options_number(s, &n) == -1 || n > INT32_MAX
        || options_number(slash + 1, &n) == -1)
    {
        return report_error("\"%s/%s\" is no PARTITION/OFFSET", s, slash + 1);
    }

    return 0;
}
