/* How rows meet: modes and their keys, checked against the columns. */

#include <stdlib.h>
#include <string.h>

#include "conf/reader.h"


static int conf_check_column(conf_reader_t *cr, const conf_t *conf,
    uint32_t place, const char *key, const char *name);


/* Where a key of the whole configuration stands, for messages. */

uint32_t
conf_place(conf_reader_t *cr, const char *key)
{
    uint32_t  value;

    value = json_member(&cr->doc, 0, key, strlen(key));

    return value == JSON_NONE ? 0 : value - 1;
}


int
conf_check_mode(conf_reader_t *cr, const conf_t *conf, uint32_t place)
{
    size_t    i;
    uint32_t  key, newer;

    key = place ? place : conf_place(cr, "key");
    newer = place ? place : conf_place(cr, "newer");

    if (conf->key.n == 0 && conf->mode >= CONF_MODE_UPSERT) {
        return conf_fail(cr, place ? place : conf_place(cr, "mode"),
                         "this \"mode\" needs \"key\"");
    }

    if (conf->key.n && conf->mode == CONF_MODE_APPEND) {
        return conf_fail(cr, key, "\"key\" goes with "
                         "\"mode\" ignore, upsert and upsert_delete");
    }

    if (conf->newer && conf->mode < CONF_MODE_UPSERT) {
        return conf_fail(cr, newer, "\"newer\" goes with "
                         "\"mode\" upsert and upsert_delete");
    }

    for (i = 0; i < conf->key.n; i++) {
        if (conf_check_column(cr, conf, key, "key", conf->key.names[i])
            == -1)
        {
            return -1;
        }
    }

    return conf->newer == NULL
           ? 0 : conf_check_column(cr, conf, newer, "newer", conf->newer);
}


static int
conf_check_column(conf_reader_t *cr, const conf_t *conf, uint32_t place,
    const char *key, const char *name)
{
    size_t                i;
    const conf_column_t  *column;

    /* "auto": the table's, which are yet to be read */

    if (conf->columns_auto) {
        return 0;
    }

    for (i = 0; i < conf->ncolumns; i++) {
        column = &conf->columns[i];

        if (strcmp(column->name, name) == 0
            && column->from != CONF_FROM_IDENTITY)
        {
            return 0;
        }
    }

    return conf_fail(cr, place, "\"%s\" names \"%s\", which is "
                     "no column filled from the record", key, name);
}
