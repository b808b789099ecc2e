/* Checks what the daemon adds to a table: "evolve" and "partitions". */

#include <string.h>

#include "conf/check.h"
#include "conf/types.h"


static int conf_check_evolve(conf_reader_t *cr, const conf_t *conf,
    uint32_t place);
static int conf_check_partitions(conf_reader_t *cr, const conf_t *conf,
    uint32_t place);
static const conf_column_t *conf_partitioned(const conf_t *conf);


int
conf_check_grow(conf_reader_t *cr, const conf_t *conf, uint32_t place)
{
    return conf_check_evolve(cr, conf, place) == -1
           || (conf->partition_by
               && conf_check_partitions(cr, conf, place) == -1) ? -1 : 0;
}


/* Of "auto"; columns that are listed say themselves what they are. */

static int
conf_check_evolve(conf_reader_t *cr, const conf_t *conf, uint32_t place)
{
    bool  grows;

    grows = conf->columns_auto && conf->evolve == CONF_EVOLVE_ADD;

    const conf_rule_t  rules[] = {
        { conf->evolve_type && !grows,
          "\"evolve_type\" goes with \"columns\" \"auto\" and \"evolve\" "
          "\"add\"" },

        { conf->evolve_type && !type_is_word(conf->evolve_type),
          "\"evolve_type\" must be a type that the manual lists" },

        { grows && conf->rest,
          "\"rest\" takes the fields that \"evolve\" would make columns "
          "of" },

        { grows && conf->on_missing == CONF_ON_REJECT,
          "with \"on_missing\" \"reject\" each record without a new field "
          "would be bad" },

        { grows && conf->format == CONF_FORMAT_DEBEZIUM,
          "\"evolve\" \"add\" cannot tell the types of debezium: list the "
          "columns" }
    };

    return conf_rules(cr, place, rules, sizeof(rules) / sizeof(rules[0]));
}


static int
conf_check_partitions(conf_reader_t *cr, const conf_t *conf, uint32_t place)
{
    bool                  identity;
    size_t                i;
    type_kind_t           kind;
    const conf_column_t  *column;

    if (place == 0) {
        place = json_member(&cr->doc, 0, "partitions", 10) - 1;
    }

    column = conf_partitioned(conf);
    kind = column == NULL || column->from == CONF_FROM_TIMESTAMP
           ? TYPE_TIMESTAMPTZ : TYPE_TEXT;

    if (column && column->type) {
        kind = type_kind(column->type);
    }

    for (i = 0, identity = false; i < conf->ncolumns; i++) {
        identity |= conf->columns[i].from == CONF_FROM_IDENTITY;
    }

    const conf_rule_t  rules[] = {
        { conf->create_table && conf->partition_column == NULL,
          "\"create_table\" needs \"partitions.column\"" },

        { conf->create_table && conf->partition_column && column == NULL,
          "\"partitions.column\" is not in \"columns\"" },

        { conf->create_table
          && (kind < TYPE_TIMESTAMPTZ || kind > TYPE_DATE),
          "\"partitions.column\" needs the type date, timestamp or "
          "timestamptz" },

        { kind == TYPE_DATE && conf->partition_by == CONF_PERIOD_HOUR,
          "a date has no hours: \"partitions.by\" takes day, week or month" },

        { conf->create_table && conf->partition_column && conf->key.n
          && !conf_is_key(&conf->key, conf->partition_column),
          "\"key\" needs \"partitions.column\" too: PostgreSQL keeps a key "
          "unique in each partition only" },

        { conf->create_table && identity,
          "a partitioned table has no identity column before PostgreSQL 17: "
          "leave it out, or create the table yourself" }
    };

    return conf_rules(cr, place, rules, sizeof(rules) / sizeof(rules[0]));
}


static const conf_column_t *
conf_partitioned(const conf_t *conf)
{
    size_t  i;

    for (i = 0; conf->partition_column && i < conf->ncolumns; i++) {
        if (strcmp(conf->columns[i].name, conf->partition_column) == 0) {
            return &conf->columns[i];
        }
    }

    return NULL;
}
