/* The tables of a configuration, ready to take records. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/catalog.h"
#include "record/headers.h"
#include "row/copy.h"
#include "row/row.h"
#include "row/tombstone.h"
#include "store/targets.h"


typedef struct {
    catalog_t     *catalog;
    row_plan_t    *plan;
    tombstone_t   *tombstone;    /* NULL: a null value is no tombstone */
    binary_t       binary;       /* no kinds: text has to do */
} table_t;


struct targets_s {
    const conf_t     *conf;
    conf_column_t     route_column;  /* what "route" asks for */
    row_plan_t       *route;         /* NULL: there is one table */
    char            **values;        /* of the routes, as COPY has them */
    buf_t             value;
    table_t          *list;
    size_t            n;
    retry_key_t      *retry_key;     /* NULL: nothing asks for it */
    char              retry[RETRY_KEY_LEN];

    pg_t             *pg;
    size_t            preparing;
    targets_done_pt   done;
    void             *data;
};


static void targets_on_prepared(void *data, const outcome_t *outcome);
static int table_plan(table_t *table, char *reason, size_t size);
static int targets_route_prepare(targets_t *targets, char *reason,
    size_t size);
static int targets_route(targets_t *targets, const record_t *record,
    targets_row_t *row);
static int targets_retry(targets_t *targets, record_t *record);


targets_t *
targets_create(const conf_t *conf)
{
    size_t      i;
    targets_t  *targets;

    targets = calloc(1, sizeof(targets_t));
    if (targets == NULL) {
        return NULL;
    }

    targets->conf = conf;
    targets->list = calloc(conf->ntargets, sizeof(table_t));

    if (targets->list == NULL) {
        free(targets);
        return NULL;
    }

    targets->n = conf->ntargets;

    for (i = 0; i < targets->n; i++) {
        targets->list[i].catalog = catalog_create(conf->targets[i]);

        if (targets->list[i].catalog == NULL) {
            targets_destroy(targets);
            return NULL;
        }
    }

    return targets;
}


void
targets_destroy(targets_t *targets)
{
    size_t  i;

    if (targets == NULL) {
        return;
    }

    for (i = 0; i < targets->n; i++) {
        catalog_destroy(targets->list[i].catalog);
        row_plan_free(targets->list[i].plan);
        tombstone_free(targets->list[i].tombstone);
        binary_free(&targets->list[i].binary);
    }

    for (i = 0; targets->values && i < targets->conf->nroutes; i++) {
        free(targets->values[i]);
    }

    retry_key_destroy(targets->retry_key);
    row_plan_free(targets->route);
    buf_free(&targets->value);
    free(targets->values);
    free(targets->list);
    free(targets);
}


int
targets_set_cluster(targets_t *targets, const char *cluster)
{
    const conf_t  *conf;

    conf = targets->conf;

    if (conf->dedupe_header == NULL) {
        return 0;
    }

    retry_key_destroy(targets->retry_key);
    targets->retry_key = retry_key_create(cluster, conf->group, conf->topic,
                                          conf->table);

    return targets->retry_key ? 0 : -1;
}


void
targets_prepare(targets_t *targets, pg_t *pg, targets_done_pt done,
    void *data)
{
    targets->pg = pg;
    targets->preparing = 0;
    targets->done = done;
    targets->data = data;

    catalog_prepare(targets->list[0].catalog, pg, targets_on_prepared,
                    targets);
}


static void
targets_on_prepared(void *data, const outcome_t *outcome)
{
    outcome_t   failed;
    targets_t  *targets = data;

    if (outcome->action != SQLSTATE_OK) {
        targets->done(targets->data, outcome);
        return;
    }

    if (table_plan(&targets->list[targets->preparing], failed.reason,
                    sizeof(failed.reason))
        == -1)
    {
        failed.action = SQLSTATE_HOLD;
        targets->done(targets->data, &failed);
        return;
    }

    if (++targets->preparing == targets->n) {
        failed = *outcome;
        if (targets_route_prepare(targets, failed.reason,
                                  sizeof(failed.reason))
            == -1)
        {
            failed.action = SQLSTATE_HOLD;
        }
        targets->done(targets->data, &failed);
        return;
    }

    catalog_prepare(targets->list[targets->preparing].catalog, targets->pg,
                    targets_on_prepared, targets);
}


static int
table_plan(table_t *table, char *reason, size_t size)
{
    row_spec_t       spec;
    const conf_t    *conf;
    const target_t  *target;

    target = catalog_target(table->catalog);
    conf = target->conf;

    spec.columns = target->columns;
    spec.types = target->types;
    spec.ncolumns = target->ncolumns;
    spec.format = conf->format;
    spec.nul = conf->nul;
    spec.where = &conf->where;
    spec.key = &conf->key;

    row_plan_free(table->plan);
    table->plan = row_plan_create(&spec, reason, size);

    if (table->plan == NULL) {
        return -1;
    }

    if (binary_prepare(&table->binary, target) == -1) {
        snprintf(reason, size, "out of memory");
        return -1;
    }

    if (conf->mode != CONF_MODE_UPSERT_DELETE) {
        return 0;
    }

    tombstone_free(table->tombstone);
    table->tombstone = tombstone_create(&spec, reason, size);

    return table->tombstone ? 0 : -1;
}


const target_t *
targets_found(const targets_t *targets, size_t target)
{
    return catalog_target(targets->list[target].catalog);
}


binary_t *
targets_binary(targets_t *targets, size_t target)
{
    binary_t  *binary;

    binary = &targets->list[target].binary;

    return binary->kinds ? binary : NULL;
}


int
targets_convert(targets_t *targets, const record_t *record,
    buf_t *text, targets_row_t *row)
{
    int       rc;
    table_t  *table;

    row->target = 0;
    row->tombstone = false;

    if (targets->route) {
        rc = targets_route(targets, record, row);
        if (rc != 0) {
            return rc;
        }
    }

    table = &targets->list[row->target];

    if (record->value == NULL && table->tombstone) {
        row->tombstone = true;
        return tombstone_convert(table->tombstone, record, text, &row->fault);
    }

    return row_convert(table->plan, record, text, &row->fault);
}


/*
 * The routing value is read as a column of text would be, so that it is found
 * in any format, and compared as COPY would have it, where null is not "".
 */

static int
targets_route_prepare(targets_t *targets, char *reason, size_t size)
{
    size_t         i;
    buf_t          value;
    row_spec_t     spec;
    const conf_t  *conf;

    static const char *const  types[] = { "text" };

    conf = targets->conf;

    if (conf->nroutes == 0 || targets->route) {
        return 0;
    }

    snprintf(reason, size, "out of memory");

    targets->values = calloc(conf->nroutes, sizeof(char *));
    if (targets->values == NULL) {
        return -1;
    }

    for (i = 0; i < conf->nroutes; i++) {
        memset(&value, 0, sizeof(buf_t));
        if (copy_add_text(&value, conf->routes[i].value,
                         strlen(conf->routes[i].value))
            == -1)
        {
            return -1;
        }
        buf_add(&value, "", 1);
        targets->values[i] = value.data;
    }

    targets->route_column.name = (char *) "route";
    targets->route_column.from = conf->route_header ? CONF_FROM_HEADER
                                                    : CONF_FROM_PATH;
    targets->route_column.header = conf->route_header;
    targets->route_column.pointer = conf->route_pointer;

    spec.columns = &targets->route_column;
    spec.types = types;
    spec.ncolumns = 1;
    spec.format = conf->format;
    spec.nul = conf->nul;
    /* records that "where" leaves out need no table */
    spec.where = &conf->where;
    spec.key = NULL;

    targets->route = row_plan_create(&spec, reason, size);

    return targets->route ? 0 : -1;
}


/* 0 with a target, or as targets_convert(). */

static int
targets_route(targets_t *targets, const record_t *record,
    targets_row_t *row)
{
    int            rc;
    size_t         i;
    const conf_t  *conf;

    conf = targets->conf;
    row->target = BATCH_NO_TARGET;
    targets->value.len = 0;

    rc = row_convert(targets->route, record, &targets->value, &row->fault);
    if (rc != 0) {
        return rc;
    }

    targets->value.data[targets->value.len - 1] = '\0';

    for (i = 0; i < conf->nroutes; i++) {
        if (strcmp(targets->values[i], targets->value.data) == 0) {
            row->target = conf->routes[i].target;
            return 0;
        }
    }

    switch (conf->route_default) {

    case CONF_ROUTE_FILTER:
        return ROW_FILTERED;

    case CONF_ROUTE_TABLE:
        for (i = 0; conf->targets[i] != conf; i++) { /* void */ }
        row->target = (uint16_t) i;
        return 0;

    default:
        break;
    }

    snprintf(row->fault.sqlstate, sizeof(row->fault.sqlstate), "22023");
    snprintf(row->fault.reason, RECORD_REASON, "\"route\" has no table for %s"
             "%.200s", strcmp(targets->value.data, "\\N") == 0
             ? "a record without the field" : "the value ",
             strcmp(targets->value.data, "\\N") == 0
             ? "" : targets->value.data);

    return 1;
}


int
targets_add(targets_t *targets, batch_t *batch, unsigned range,
    record_t *record)
{
    int             rc;
    size_t          text;
    batch_row_t    *last;
    targets_row_t   row;

    text = batch->text.len;
    rc = targets_convert(targets, record, &batch->text, &row);

    if (rc == -1) {
        return -1;
    }

    if (rc == ROW_FILTERED) {
        return batch_filter(batch, range, record);
    }

    if (targets_retry(targets, record) == -1) {
        batch->text.len = text;
        return -1;
    }

    if (batch_add(batch, range, record, text) == -1) {
        return -1;
    }

    last = &batch->rows[batch->nrows - 1];
    last->target = row.target;
    last->tombstone = row.tombstone;

    if (rc == 1) {
        return batch_fault(batch, batch->nrows - 1, row.fault.sqlstate,
                           row.fault.reason);
    }

    return 0;
}


/* An empty header is no key. */

static int
targets_retry(targets_t *targets, record_t *record)
{
    const record_header_t  *header;

    record->retry = NULL;

    if (targets->retry_key == NULL) {
        return 0;
    }

    header = headers_find(record, targets->conf->dedupe_header);
    if (header == NULL || header->len == 0) {
        return 0;
    }

    record->retry = targets->retry;

    return retry_key_hash(targets->retry_key, header->value, header->len,
                          (unsigned char *) targets->retry);
}
