/* Checks the records of a body, and makes messages of them. */

#include "http/ngx_http_kafka_records.h"
#include "http/ngx_http_kafka_events.h"
#include "http/ngx_http_kafka_headers.h"


#define NGX_HTTP_KAFKA_FIRST        64    /* records of a fresh batch */
#define NGX_HTTP_KAFKA_COST_RECORD  40    /* steps of the turn for each */


static ngx_http_kafka_item_t *ngx_http_kafka_push(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_http_kafka_check_schema(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t root, int64_t *steps);
static ngx_int_t ngx_http_kafka_check_key(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, ngx_kafka_message_t *msg);
static ngx_int_t ngx_http_kafka_check_idempotency(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, ngx_kafka_message_t *msg);
static ngx_int_t ngx_http_kafka_scalar(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t token, ngx_str_t *value);
static ngx_int_t ngx_http_kafka_check_topic(ngx_http_kafka_ctx_t *ctx,
    ngx_kafka_message_t *msg);
static ngx_int_t ngx_http_kafka_bad_timestamp(ngx_http_kafka_ctx_t *ctx,
    ngx_kafka_message_t *msg);
static ngx_int_t ngx_http_kafka_refuse_size(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_blame(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_item_t *item);


void
ngx_http_kafka_record_alone(ngx_http_kafka_ctx_t *ctx)
{
    ctx->items.elts = &ctx->item;
    ctx->items.size = sizeof(ngx_http_kafka_item_t);
    ctx->items.nalloc = 1;
    ctx->items.pool = ctx->pool;

    ctx->messages.elts = &ctx->message;
    ctx->messages.size = sizeof(ngx_kafka_message_t);
    ctx->messages.nalloc = 1;
    ctx->messages.pool = ctx->pool;
}


ngx_uint_t
ngx_http_kafka_reads_json(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ctx->conf;

    return ctx->format == NGX_HTTP_KAFKA_JSON
           || ctx->format == NGX_HTTP_KAFKA_CE_JSON
           || klcf->schema || ctx->topic->schema
           || ((klcf->key_field || ctx->topic->key)
               && ctx->common.key.data == NULL)
           || klcf->idempotency_field;
}


ngx_int_t
ngx_http_kafka_record(ngx_http_kafka_ctx_t *ctx, ngx_str_t *value,
    json_doc_t *doc, int64_t *steps)
{
    uint32_t                data;
    ngx_kafka_message_t    *msg;
    ngx_http_kafka_item_t  *item;

    item = ngx_http_kafka_push(ctx, value);
    if (item == NULL) {
        return NGX_DECLINED;
    }

    msg = ctx->messages.elts;
    msg += ctx->messages.nelts - 1;

    data = 0;

    if (doc
        && ((ngx_http_kafka_is_event(ctx)
             && ngx_http_kafka_event_check(ctx, doc, 0, &data) != NGX_OK)
            || ngx_http_kafka_check_schema(ctx, doc, data, steps) != NGX_OK
            || ngx_http_kafka_check_key(ctx, doc, msg) != NGX_OK))
    {
        return ngx_http_kafka_blame(ctx, item);
    }

    /* a batch may have a null value, without "doc" */

    if (((doc || ctx->batch)
         && ngx_http_kafka_check_idempotency(ctx, doc, msg) != NGX_OK)
        || ngx_http_kafka_check_topic(ctx, msg) != NGX_OK)
    {
        return ngx_http_kafka_blame(ctx, item);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_record_refused(ngx_http_kafka_ctx_t *ctx, ngx_str_t *value)
{
    ngx_http_kafka_item_t     *item;
    ngx_http_kafka_problem_t   problem;

    problem = ctx->problem;

    item = ngx_http_kafka_push(ctx, value);
    if (item == NULL) {
        return NGX_DECLINED;
    }

    ctx->problem = problem;

    return ngx_http_kafka_blame(ctx, item);
}


ngx_int_t
ngx_http_kafka_record_large(ngx_http_kafka_ctx_t *ctx, ngx_str_t *value)
{
    ngx_http_kafka_item_t  *item;

    item = ngx_http_kafka_push(ctx, value);
    if (item == NULL) {
        return NGX_DECLINED;
    }

    (void) ngx_http_kafka_refuse_size(ctx);

    return ngx_http_kafka_blame(ctx, item);
}


ngx_int_t
ngx_http_kafka_record_broken(ngx_http_kafka_ctx_t *ctx, ngx_str_t *value,
    json_error_t *err, const char *where)
{
    ngx_http_kafka_item_t  *item;

    item = ngx_http_kafka_push(ctx, value);
    if (item == NULL) {
        return NGX_DECLINED;
    }

    (void) ngx_http_kafka_not_json(ctx, err, where);

    return ngx_http_kafka_blame(ctx, item);
}


ngx_int_t
ngx_http_kafka_record_null(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t  value;

    if (ctx->body.len) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_NOT_EMPTY);
    }

    if (ctx->common.key.data == NULL) {
        /* nothing could be told to delete, so it is no dead letter either */
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NO_KEY,
                                     "A record without a value needs a key.");
    }

    ngx_str_null(&value);
    ctx->null = 1;

    return ngx_http_kafka_record(ctx, &value, NULL, NULL);
}


ngx_int_t
ngx_http_kafka_not_json(ngx_http_kafka_ctx_t *ctx, json_error_t *err,
    const char *where)
{
    if (err->reason == json_no_memory) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NOT_JSON,
                                 "%s at byte %uz%s.", err->reason,
                                 err->offset, where);
}


static ngx_http_kafka_item_t *
ngx_http_kafka_push(ngx_http_kafka_ctx_t *ctx, ngx_str_t *value)
{
    ngx_uint_t              max;
    ngx_pool_t             *pool;
    ngx_kafka_message_t    *msg;
    ngx_http_kafka_item_t  *item;

    max = ctx->conf->max_records;
    ngx_http_kafka_turn_left -= NGX_HTTP_KAFKA_COST_RECORD;

    if (ctx->items.nelts == max) {
        (void) ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_MANY,
                                     "There are more than %ui records.", max);
        return NULL;
    }

    if (ctx->items.elts == NULL) {
        pool = ctx->pool;

        if (ngx_array_init(&ctx->items, pool, NGX_HTTP_KAFKA_FIRST,
                           sizeof(ngx_http_kafka_item_t))
            != NGX_OK
            || ngx_array_init(&ctx->messages, pool, NGX_HTTP_KAFKA_FIRST,
                              sizeof(ngx_kafka_message_t))
               != NGX_OK)
        {
            goto failed;
        }
    }

    item = ngx_array_push(&ctx->items);
    msg = ngx_array_push(&ctx->messages);

    if (item == NULL || msg == NULL) {
        goto failed;
    }

    ngx_memzero(item, sizeof(ngx_http_kafka_item_t));

    item->ctx = ctx;
    item->partition = -1;
    item->offset = -1;

    *msg = ctx->common;
    msg->value = *value;

    if (msg->value.data == NULL && !ctx->null) {
        /* librdkafka takes a NULL value for a null one */
        msg->value.data = (u_char *) "";
    }

    return item;

failed:

    (void) ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);

    return NULL;
}


static ngx_int_t
ngx_http_kafka_check_schema(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t root, int64_t *steps)
{
    int        rc;
    char      *pointer;
    size_t     len;
    int64_t    before;
    schema_t  *schema;

    /* not on the stack: it is large */
    static schema_violation_t  violation;

    schema = ctx->conf->schema ? ctx->conf->schema : ctx->topic->schema;

    if (schema == NULL) {
        return NGX_OK;
    }

    before = *steps;
    rc = schema_check(schema, doc, root, steps, &violation);
    ngx_http_kafka_turn_left -= before - *steps;

    if (rc == 0) {
        return NGX_OK;
    }

    if (*steps <= 0) {
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_COSTLY,
                                     "The steps of the request were spent at "
                                     "record %ui.", ctx->items.nelts - 1);
    }

    len = ngx_strlen(violation.pointer) + 1;

    pointer = ngx_pnalloc(ctx->pool, len);
    if (pointer == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    ngx_memcpy(pointer, violation.pointer, len);

    (void) ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_SCHEMA, "%s",
                                 violation.reason);

    ctx->problem.pointer = pointer;
    ctx->problem.keyword = violation.keyword;

    return NGX_DECLINED;
}


/* Takes the key from the record, unless the request gives one. */
static ngx_int_t
ngx_http_kafka_check_key(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    ngx_kafka_message_t *msg)
{
    uint32_t         token;
    json_pointer_t  *field;

    /* "kafka_key" excludes other keys, also when it is empty */

    if (msg->key.data || ctx->conf->key) {
        return NGX_OK;
    }

    field = ctx->conf->key_field ? ctx->conf->key_field : ctx->topic->key;

    if (field) {
        token = json_find(doc, 0, field);

    } else if (ngx_http_kafka_is_event(ctx)) {
        token = ngx_http_kafka_event_key(doc, 0);

        if (token == JSON_NONE) {
            return NGX_OK;
        }

    } else {
        return NGX_OK;
    }

    return ngx_http_kafka_scalar(ctx, doc, token, &msg->key);
}


/*
 * A record of a batch has an idempotency key of its own: a field, or the
 * request's with the record's index, so that the same batch sent again has
 * the same keys.
 */
static ngx_int_t
ngx_http_kafka_check_idempotency(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    ngx_kafka_message_t *msg)
{
    ngx_str_t            value;
    ngx_pool_t          *pool;
    json_pointer_t      *field;
    ngx_kafka_header_t  *h;

    pool = ctx->pool;
    field = ctx->conf->idempotency_field;

    if (field) {

        if (ngx_http_kafka_scalar(ctx, doc,
                                  doc ? json_find(doc, 0, field) : JSON_NONE,
                                  &value)
            != NGX_OK)
        {
            if (ctx->problem.code == NGX_HTTP_KAFKA_INTERNAL) {
                return NGX_DECLINED;
            }

            return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NO_KEY,
                                         "There is no idempotency key at "
                                         "\"kafka_idempotency_field\".");
        }

    } else if (ctx->batch && ctx->idempotency_key.len) {

        value.data = ngx_pnalloc(pool, ctx->idempotency_key.len + 1
                                       + NGX_INT_T_LEN);
        if (value.data == NULL) {
            goto failed;
        }

        value.len = ngx_sprintf(value.data, "%V:%ui", &ctx->idempotency_key,
                                ctx->first + ctx->items.nelts - 1)
                    - value.data;

    } else {
        return NGX_OK;
    }

    h = ngx_http_kafka_more_headers(pool, msg, 1);
    if (h == NULL) {
        goto failed;
    }

    ngx_str_set(&h->name, "idempotency-key");
    h->value = value;

    return NGX_OK;

failed:

    return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
}


/* A string decoded, a number or boolean as it is written. */
static ngx_int_t
ngx_http_kafka_scalar(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t token, ngx_str_t *value)
{
    json_token_t  *t;

    t = token == JSON_NONE ? NULL : &doc->tokens[token];

    if (t == NULL || t->type == JSON_NULL || t->type == JSON_ARRAY
        || t->type == JSON_OBJECT || t->start == t->end)
    {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_NO_KEY);
    }

    value->data = (u_char *) doc->text + t->start;
    value->len = t->end - t->start;

    if (t->type != JSON_STRING || !t->escaped) {
        return NGX_OK;
    }

    value->data = ngx_pnalloc(ctx->pool, value->len);
    if (value->data == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    value->len = json_unescape(doc, token, (char *) value->data);

    return NGX_OK;
}


/* Refuses what the topic's configuration says that brokers would refuse. */
static ngx_int_t
ngx_http_kafka_check_topic(ngx_http_kafka_ctx_t *ctx, ngx_kafka_message_t *msg)
{
    switch (ngx_kafka_message_fault(ctx->conf->producer->producer, msg)) {

    case NGX_KAFKA_NO_FAULT:
        return NGX_OK;

    case NGX_KAFKA_FAULT_KEY:
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NO_KEY,
                                     "The topic is compacted and takes no "
                                     "record without a key.");

    case NGX_KAFKA_FAULT_TIME:
        return ngx_http_kafka_bad_timestamp(ctx, msg);

    default:
        return ngx_http_kafka_refuse_size(ctx);
    }
}


static ngx_int_t
ngx_http_kafka_refuse_size(ngx_http_kafka_ctx_t *ctx)
{
    return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_LARGE,
                                 "Key, value and headers do not fit into the "
                                 "%uz bytes of the largest record.",
                                 ngx_kafka_value_max(
                                     ctx->conf->producer->producer,
                                     ctx->topic_index));
}


static ngx_int_t
ngx_http_kafka_bad_timestamp(ngx_http_kafka_ctx_t *ctx,
    ngx_kafka_message_t *msg)
{
    int64_t                   age;
    ngx_time_t               *tp;
    ngx_kafka_topic_state_t  *state;

    if (msg->timestamp == NGX_KAFKA_BAD_TIMESTAMP) {
        return ngx_http_kafka_detail(&ctx->problem,
                                     NGX_HTTP_KAFKA_BAD_TIMESTAMP,
                                     "It is no time in milliseconds or "
                                     "seconds since 1970.");
    }

    tp = ngx_timeofday();
    age = (int64_t) tp->sec * 1000 + tp->msec - msg->timestamp;
    state = &ctx->conf->producer->states[msg->topic];

    return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_TIMESTAMP,
                                 "%L is %L ms %s; the topic takes %uA at "
                                 "most.", msg->timestamp,
                                 age < 0 ? -age : age,
                                 age < 0 ? "ahead" : "ago",
                                 age < 0 ? state->after : state->before);
}


/* Moves the problem to the record, unless it is the request's. */
static ngx_int_t
ngx_http_kafka_blame(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_item_t *item)
{
    if (ctx->problem.code == NGX_HTTP_KAFKA_INTERNAL
        || ctx->problem.code == NGX_HTTP_KAFKA_COSTLY)
    {
        return NGX_DECLINED;
    }

    item->problem = ngx_palloc(ctx->pool,
                               sizeof(ngx_http_kafka_problem_t));
    if (item->problem == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    *item->problem = ctx->problem;
    item->state = NGX_HTTP_KAFKA_FAILED;
    ngx_http_kafka_turn_left -= NGX_HTTP_KAFKA_COST_RECORD;

    ctx->problem.code = NGX_HTTP_KAFKA_NO_ERROR;
    ctx->invalid++;

    return NGX_OK;
}
