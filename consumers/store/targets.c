/* The tables of a configuration: prepares them and converts their records. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "postgres/catalog.h"
#include "record/headers.h"
#include "row/copy.h"
#include "row/tombstone.h"
#include "store/targets.h"


typedef struct {
    catalog_t    *catalog;
    row_plan_t   *plan;
    tombstone_t  *tombstone;    /* NULL: a null value is no tombstone */
    bool          each;         /* a record has several rows */
    unsigned      lines;        /* rows more that become lines */
} table_t;


/*
 * A value that only PostgreSQL can read makes a row a line, and so many behind
 * it, which may have such values too: a COPY has either tuples or lines.
 */
#define TARGETS_LINES  10000


/* A value of "route". */
typedef struct {
    size_t            value;        /* in "values" */
    uint32_t          hash;
    uint32_t          route;        /* from 1; 0: free */
} targets_slot_t;


struct targets_s {
    const conf_t     *conf;
    conf_column_t     route_column;  /* the value that "route" compares */
    row_plan_t       *route;         /* NULL: there is one table */
    buf_t             values;        /* of the routes, as COPY has them, each
                                        with a NUL */
    targets_slot_t   *slots;         /* of their hashes; a power of two, */
    size_t            nslots;        /* more than there are values */
    buf_t             value;
    buf_t             ends;         /* of the rows of a record, with "each" */
    table_t          *list;
    size_t            n;
    registry_t       *registry;      /* NULL: no frames */
    retry_key_t     **retry_keys;    /* by topic; NULL: no "dedupe" */
    char              retry[RETRY_LEN];

    pg_t             *pg;
    size_t            preparing;
    outcome_pt        done;
    void             *data;
};


static void targets_on_prepared(void *data, const outcome_t *outcome);
static int targets_plan(table_t *table, char *reason, size_t size);
static int targets_plan_route(targets_t *targets, char *reason, size_t size);
static int targets_hash_routes(targets_t *targets);
static size_t targets_slot(const targets_t *targets, const char *value,
    uint32_t *hash);
static int targets_row(targets_t *targets, table_t *table,
    const record_t *record, bool *tombstone, bool *tuple, buf_t *text,
    record_fault_t *fault);
static int targets_route(targets_t *targets, const record_t *record,
    uint16_t *target, record_fault_t *fault);
static int targets_retry(targets_t *targets, size_t topic, record_t *record);


targets_t *
targets_create(const conf_t *conf)
{
    char        err[CONF_ERROR_MAX];
    targets_t  *targets;

    targets = calloc(1, sizeof(targets_t));
    if (targets == NULL) {
        return NULL;
    }

    targets->conf = conf;
    targets->list = calloc(conf->ntargets, sizeof(table_t));

    while (targets->list && targets->n < conf->ntargets) {
        targets->list[targets->n].catalog
            = catalog_create(conf->targets[targets->n]);

        if (targets->list[targets->n].catalog == NULL) {
            break;
        }

        targets->n++;
    }

    if (conf->dedupe_header) {
        targets->retry_keys = calloc(conf_topics(conf) + 1,
                                     sizeof(retry_key_t *));
    }

    if (targets->n < conf->ntargets
        || (conf->dedupe_header && targets->retry_keys == NULL))
    {
        targets_destroy(targets);
        return NULL;
    }

    if (conf->registry_value || conf->registry_key) {
        targets->registry = registry_create(conf, err);

        if (targets->registry == NULL) {
            log_error("%s", err);
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
    }

    registry_destroy(targets->registry);

    for (i = 0; targets->retry_keys && i < conf_topics(targets->conf); i++) {
        retry_key_destroy(targets->retry_keys[i]);
    }

    free(targets->retry_keys);
    row_plan_free(targets->route);
    buf_free(&targets->values);
    buf_free(&targets->value);
    buf_free(&targets->ends);
    free(targets->slots);
    free(targets->list);
    free(targets);
}


int
targets_set_table(targets_t *targets, size_t topic, const char *cluster,
    const char *table)
{
    const conf_t  *conf;

    conf = conf_of_topic(targets->conf, topic);

    if (conf->dedupe_header == NULL) {
        return 0;
    }

    retry_key_destroy(targets->retry_keys[topic]);
    targets->retry_keys[topic] = retry_key_create(cluster, conf->group,
                                                  conf->topic, table);

    return targets->retry_keys[topic] ? 0 : -1;
}


void
targets_prepare(targets_t *targets, pg_t *pg, outcome_pt done,
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
    outcome_t   ended;
    targets_t  *targets = data;

    ended = *outcome;

    if (ended.action == SQLSTATE_OK
        && targets_plan(&targets->list[targets->preparing], ended.reason,
                        sizeof(ended.reason))
           == -1)
    {
        ended.action = SQLSTATE_HOLD;
    }

    if (ended.action == SQLSTATE_OK && ++targets->preparing < targets->n) {
        catalog_prepare(targets->list[targets->preparing].catalog,
                        targets->pg, targets_on_prepared, targets);
        return;
    }

    if (ended.action == SQLSTATE_OK
        && targets_plan_route(targets, ended.reason, sizeof(ended.reason))
           == -1)
    {
        ended.action = SQLSTATE_HOLD;
    }

    targets->done(targets->data, &ended);
}


void
targets_spec(const target_t *target, row_spec_t *spec)
{
    memset(spec, 0, sizeof(row_spec_t));
    spec->columns = target->columns;
    spec->types = target->types;
    spec->receives = target->receives;
    spec->arrays = target->elements;
    spec->keeps = target->nkeeps ? target->defaults : NULL;
    spec->ncolumns = target->ncolumns;
    spec->format = target->conf->format;
    spec->nul = target->conf->nul;
    spec->where = &target->conf->where;
    spec->each = target->conf->each;
    spec->each_bytes = (size_t) target->conf->batch_bytes;
    spec->delete_when = target->conf->deletes
                        ? &target->conf->delete_when : NULL;
    spec->unavailable = target->conf->unavailable;
    spec->mode = target->conf->mode;
    spec->key = &target->conf->key;
}


static int
targets_plan(table_t *table, char *reason, size_t size)
{
    row_spec_t       spec;
    const target_t  *target;

    target = catalog_target(table->catalog);
    targets_spec(target, &spec);

    row_plan_free(table->plan);
    table->each = spec.each != NULL;

    if (target->conf->columns_auto && target->conf->evolve == CONF_EVOLVE_ADD)
    {
        spec.news = catalog_add_news;
        spec.news_data = table->catalog;
    }

    table->plan = row_plan_create(&spec, reason, size);

    if (table->plan == NULL) {
        return -1;
    }

    if (target->conf->mode != CONF_MODE_UPSERT_DELETE) {
        return 0;
    }

    spec.news = NULL;
    tombstone_free(table->tombstone);
    table->tombstone = tombstone_create(&spec, reason, size);

    return table->tombstone ? 0 : -1;
}


/*
 * The routing value is read like a column of type text, so that any format has
 * it, and compared as COPY writes it, where null differs from "".
 */

static int
targets_plan_route(targets_t *targets, char *reason, size_t size)
{
    row_spec_t     spec = { 0 };
    const conf_t  *conf;

    static const char *const  types[] = { "text" };

    conf = targets->conf;

    if (conf->nroutes == 0 || targets->route) {
        return 0;
    }

    if (targets_hash_routes(targets) == -1) {
        snprintf(reason, size, "out of memory");
        return -1;
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
    spec.any_value = true;

    targets->route = row_plan_create(&spec, reason, size);

    return targets->route ? 0 : -1;
}


static int
targets_hash_routes(targets_t *targets)
{
    size_t           i, start;
    uint32_t         hash;
    const char      *value;
    const conf_t    *conf;
    targets_slot_t  *slot;

    conf = targets->conf;
    targets->values.len = 0;
    free(targets->slots);

    for (targets->nslots = 2; targets->nslots < conf->nroutes * 2; ) {
        targets->nslots *= 2;
    }

    targets->slots = calloc(targets->nslots, sizeof(targets_slot_t));
    if (targets->slots == NULL) {
        return -1;
    }

    for (i = 0; i < conf->nroutes; i++) {
        start = targets->values.len;
        value = conf->routes[i].value;

        if (copy_add_text(&targets->values, value, strlen(value)) == -1
            || buf_append(&targets->values, "", 1) == -1)
        {
            return -1;
        }

        slot = &targets->slots[targets_slot(targets, targets->values.data
                                                     + start, &hash)];
        slot->value = start;
        slot->hash = hash;
        slot->route = (uint32_t) i + 1;
    }

    return 0;
}


/* The slot that has the value, or the free one that it would take; FNV-1a. */

static size_t
targets_slot(const targets_t *targets, const char *value, uint32_t *hash)
{
    size_t                 i;
    const char            *p;
    const targets_slot_t  *slot;

    *hash = 2166136261U;

    for (p = value; *p; p++) {
        *hash = (*hash ^ (unsigned char) *p) * 16777619U;
    }

    for (i = *hash; ; i++) {
        i &= targets->nslots - 1;
        slot = &targets->slots[i];

        if (slot->route == 0
            || (slot->hash == *hash
                && strcmp(targets->values.data + slot->value, value) == 0))
        {
            return i;
        }
    }
}


const target_t *
targets_found(const targets_t *targets, size_t target)
{
    return catalog_target(targets->list[target].catalog);
}


bool
targets_tuples(const targets_t *targets, size_t target)
{
    return row_plan_tuples(targets->list[target].plan);
}


void
targets_as_lines(targets_t *targets, size_t target)
{
    targets->list[target].lines = TARGETS_LINES;
}


bool
targets_news(const targets_t *targets)
{
    size_t  i;

    for (i = 0; i < targets->n; i++) {
        if (catalog_news(targets->list[i].catalog)) {
            return true;
        }
    }

    return false;
}


registry_t *
targets_registry(const targets_t *targets)
{
    return targets->registry;
}


/* The batch keeps the record as it came, also what is behind its frames. */

int
targets_add(targets_t *targets, batch_t *batch, unsigned range,
    record_t *record)
{
    int              rc;
    bool             tombstone, tuple;
    size_t           text, topic;
    record_t         decoded;
    uint16_t         target;
    batch_row_t     *row;
    record_fault_t   fault;
    const record_t  *plain = record;

    rc = 0;
    topic = batch->ranges[range].topic;
    target = targets->route ? BATCH_NO_TARGET
             : targets->conf->by_topic ? targets->conf->topics[topic].target
             : 0;
    tombstone = tuple = false;
    text = batch->text.len;

    if (targets->registry) {
        rc = registry_decode(targets->registry, record, &decoded, &fault);
        plain = &decoded;
    }

    if (rc == 0 && targets->route) {
        rc = targets_route(targets, plain, &target, &fault);
    }

    if (rc == 0) {
        rc = targets_row(targets, &targets->list[target], plain, &tombstone,
                         &tuple, &batch->text, &fault);
    }

    if (rc == -1) {
        return -1;
    }

    if (rc == ROW_FILTERED) {
        return batch_filter(batch, range, record);
    }

    if (targets_retry(targets, topic, record) == -1) {
        batch->text.len = text;
        return -1;
    }

    if (batch_add(batch, range, record, text) == -1) {
        return -1;
    }

    row = &batch->rows[batch->nrows - 1];
    row->target = target;
    row->tombstone = tombstone;
    row->tuple = tuple;

    if (rc == 0 && targets->list[target].each
        && batch_split(batch, (const size_t *) (const void *)
                       targets->ends.data, targets->ends.len / sizeof(size_t))
           == -1)
    {
        return -1;
    }

    return rc == 0 ? 0 : batch_fault(batch, batch->nrows - 1, fault.sqlstate,
                                     fault.reason);
}


/* Returns as row_convert(). */

static int
targets_row(targets_t *targets, table_t *table, const record_t *record,
    bool *tombstone, bool *tuple, buf_t *text, record_fault_t *fault)
{
    int   rc;
    bool  wanted;

    wanted = row_plan_tuples(table->plan) && table->lines == 0;
    *tuple = wanted;
    *tombstone = record->value == NULL && table->tombstone;
    rc = *tombstone ? ROW_DELETES
         : table->each
         ? row_each(table->plan, record, tuple, text, &targets->ends, fault)
         : row_convert(table->plan, record, tuple, text, fault);

    if (rc == ROW_DELETES) {
        *tombstone = true;
        *tuple = wanted;
        rc = tombstone_convert(table->tombstone, record, tuple, text, fault);
    }

    table->lines = wanted && !*tuple ? TARGETS_LINES
                   : table->lines - (table->lines != 0);

    return rc;
}


/* Returns 0 with a target, else as row_convert(). */

static int
targets_route(targets_t *targets, const record_t *record, uint16_t *target,
    record_fault_t *fault)
{
    int            rc;
    size_t         i;
    uint32_t       hash, route;
    const char    *value;
    const conf_t  *conf;

    conf = targets->conf;
    *target = BATCH_NO_TARGET;
    targets->value.len = 0;

    rc = row_convert(targets->route, record, NULL, &targets->value, fault);
    if (rc != 0) {
        return rc;
    }

    targets->value.data[targets->value.len - 1] = '\0';
    value = targets->value.data;
    route = targets->slots[targets_slot(targets, value, &hash)].route;

    if (route) {
        *target = conf->routes[route - 1].target;
        return 0;
    }

    switch (conf->route_default) {

    case CONF_ROUTE_FILTER:
        return ROW_FILTERED;

    case CONF_ROUTE_TABLE:
        for (i = 0; conf->targets[i] != conf; i++) { /* void */ }
        *target = (uint16_t) i;
        return 0;

    default:
        return strcmp(value, "\\N") == 0
               ? record_fault(fault, "22023", "\"route\" has no table for a "
                              "record without the field")
               : record_fault(fault, "22023", "\"route\" has no table for the "
                              "value %.200s", value);
    }
}


/* A record whose header is missing or empty has no idempotency key. */

static int
targets_retry(targets_t *targets, size_t topic, record_t *record)
{
    const record_header_t  *header;

    record->retry = NULL;

    if (targets->retry_keys == NULL) {
        return 0;
    }

    header = headers_find(record, targets->conf->dedupe_header);
    if (header == NULL || header->len == 0) {
        return 0;
    }

    record->retry = targets->retry;

    return retry_key_hash(targets->retry_keys[topic], header->value,
                          header->len, (unsigned char *) targets->retry);
}
