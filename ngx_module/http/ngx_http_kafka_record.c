/* One record of a request: schema, key, headers; what becomes of a bad one. */

#include "http/ngx_http_kafka_module.h"


#define NGX_HTTP_KAFKA_DETAIL_MAX  512    /* bytes */


static ngx_http_kafka_item_t *ngx_http_kafka_push(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *value, ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_check(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t root, ngx_http_kafka_problem_t *found);
static ngx_int_t ngx_http_kafka_check_event(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t root, uint32_t *data,
    ngx_http_kafka_problem_t *found);
static ngx_int_t ngx_http_kafka_check_key(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t root, ngx_kafka_message_t *msg,
    ngx_http_kafka_problem_t *found);
static ngx_int_t ngx_http_kafka_scalar(ngx_pool_t *pool, json_doc_t *doc,
    uint32_t token, ngx_str_t *value);
static ngx_int_t ngx_http_kafka_check_idempotency(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t root, ngx_kafka_message_t *msg,
    ngx_uint_t index, ngx_http_kafka_problem_t *found);
static ngx_int_t ngx_http_kafka_check_size(ngx_http_kafka_ctx_t *ctx,
    ngx_kafka_message_t *msg, ngx_http_kafka_problem_t *found);
static ngx_int_t ngx_http_kafka_blame(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_item_t *item, ngx_http_kafka_problem_t *found);
static ngx_int_t ngx_http_kafka_bury(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_item_t *item, ngx_kafka_message_t *msg);
static void ngx_http_kafka_say(ngx_kafka_header_t **h, const char *name,
    const u_char *value, size_t len);


ngx_int_t
ngx_http_kafka_record(ngx_http_kafka_ctx_t *ctx, ngx_str_t *value,
    json_doc_t *doc, uint32_t root, ngx_http_kafka_problem_t *problem)
{
    uint32_t                  data;
    ngx_int_t                 rc;
    ngx_kafka_message_t      *msg;
    ngx_http_kafka_item_t    *item;
    ngx_http_kafka_problem_t  found;

    item = ngx_http_kafka_push(ctx, value, problem);
    if (item == NULL) {
        return NGX_DECLINED;
    }

    msg = ctx->messages.elts;
    msg += ctx->messages.nelts - 1;

    ngx_memzero(&found, sizeof(ngx_http_kafka_problem_t));

    if (doc == NULL) {
        rc = ngx_http_kafka_check_size(ctx, msg, &found);
        goto done;
    }

    rc = NGX_OK;
    data = root;

    if (ctx->format == NGX_HTTP_KAFKA_CE_JSON
        || ctx->format == NGX_HTTP_KAFKA_CE_BATCH)
    {
        rc = ngx_http_kafka_check_event(ctx, doc, root, &data, &found);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_kafka_check(ctx, doc, data, &found);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_kafka_check_key(ctx, doc, root, msg, &found);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_kafka_check_idempotency(ctx, doc, root, msg,
                                              ctx->items.nelts - 1, &found);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_kafka_check_size(ctx, msg, &found);
    }

done:

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    if (found.code == NGX_HTTP_KAFKA_INTERNAL
        || ngx_http_kafka_blame(ctx, item, &found) != NGX_OK)
    {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_record_bad(ngx_http_kafka_ctx_t *ctx, ngx_str_t *value,
    ngx_http_kafka_error_e code, ngx_http_kafka_problem_t *problem,
    const char *fmt, ...)
{
    u_char                     buf[NGX_HTTP_KAFKA_DETAIL_MAX];
    va_list                    args;
    ngx_http_kafka_item_t     *item;
    ngx_http_kafka_problem_t   found;

    item = ngx_http_kafka_push(ctx, value, problem);
    if (item == NULL) {
        return NGX_DECLINED;
    }

    ngx_memzero(&found, sizeof(ngx_http_kafka_problem_t));
    found.code = code;

    va_start(args, fmt);
    found.detail.data = buf;
    found.detail.len = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args) - buf;
    va_end(args);

    if (code == NGX_HTTP_KAFKA_INTERNAL
        || ngx_http_kafka_blame(ctx, item, &found) != NGX_OK)
    {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_http_kafka_item_t *
ngx_http_kafka_push(ngx_http_kafka_ctx_t *ctx, ngx_str_t *value,
    ngx_http_kafka_problem_t *problem)
{
    ngx_kafka_message_t        *msg;
    ngx_http_kafka_item_t      *item;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);

    if (ctx->items.nelts == klcf->max_records) {
        problem->code = NGX_HTTP_KAFKA_MANY;
        ngx_http_kafka_detail(ctx->request, problem, "There are more than "
                              "%ui records.", klcf->max_records);
        return NULL;
    }

    item = ngx_array_push(&ctx->items);
    msg = ngx_array_push(&ctx->messages);

    if (item == NULL || msg == NULL) {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NULL;
    }

    ngx_memzero(item, sizeof(ngx_http_kafka_item_t));

    item->ctx = ctx;
    item->partition = -1;
    item->offset = -1;

    *msg = ctx->common;
    msg->value = *value;

    if (msg->value.data == NULL) {
        /* librdkafka takes a NULL value for a tombstone */
        msg->value.data = (u_char *) "";
    }

    return item;
}


static ngx_int_t
ngx_http_kafka_check(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t root, ngx_http_kafka_problem_t *found)
{
    schema_t                   *schema;
    ngx_http_kafka_loc_conf_t  *klcf;

    /* the texts outlive the call: what is found is copied at once */
    static schema_violation_t   violation;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);
    schema = klcf->schema ? klcf->schema : ctx->topic->schema;

    if (schema == NULL || schema_check(schema, doc, root, &violation) == 0) {
        return NGX_OK;
    }

    found->code = NGX_HTTP_KAFKA_SCHEMA;
    found->detail.data = (u_char *) violation.reason;
    found->detail.len = ngx_strlen(violation.reason);
    found->pointer = violation.pointer;
    found->keyword = violation.keyword;

    return NGX_DECLINED;
}


/*
 * CloudEvents 1.0.2, section "Required attributes".  A schema is about the
 * event's data: "data" is its token.
 */
static ngx_int_t
ngx_http_kafka_check_event(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t root, uint32_t *data, ngx_http_kafka_problem_t *found)
{
    uint32_t                    token;
    ngx_uint_t                  i;
    ngx_http_kafka_loc_conf_t  *klcf;

    static const char  *needed[] = { "id", "source", "specversion", "type" };

    for (i = 0; i < 4; i++) {
        token = json_member(doc, root, needed[i], ngx_strlen(needed[i]));

        if (token == JSON_NONE || doc->tokens[token].type != JSON_STRING
            || doc->tokens[token].start == doc->tokens[token].end
            || (i == 2 && !json_equals(doc, token, "1.0", 3)))
        {
            found->code = NGX_HTTP_KAFKA_NOT_EVENT;
            found->keyword = needed[i];
            ngx_http_kafka_detail(ctx->request, found, "The attribute \"%s\" "
                                  "is missing or not what CloudEvents 1.0 "
                                  "asks for.", needed[i]);
            return NGX_DECLINED;
        }
    }

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);
    *data = json_member(doc, root, "data", 4);

    if (*data == JSON_NONE) {

        if (klcf->schema || ctx->topic->schema) {
            found->code = NGX_HTTP_KAFKA_NOT_EVENT;
            ngx_http_kafka_detail(ctx->request, found,
                                  "There is no \"data\" to check.");
            return NGX_DECLINED;
        }

        *data = root;
    }

    return NGX_OK;
}


/*
 * The key, where the request itself gives none: a field of the record, or a
 * CloudEvent's partitionkey (Kafka binding 1.0.2, section 3.1).
 */
static ngx_int_t
ngx_http_kafka_check_key(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t root, ngx_kafka_message_t *msg, ngx_http_kafka_problem_t *found)
{
    uint32_t                    token;
    json_pointer_t             *field;
    ngx_http_kafka_loc_conf_t  *klcf;

    if (msg->key.data) {
        return NGX_OK;
    }

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);
    field = klcf->key_field ? klcf->key_field : ctx->topic->key;

    if (klcf->key) {
        /* the location's own key, empty for this request */
        return NGX_OK;
    }

    if (field == NULL) {

        if (ctx->format != NGX_HTTP_KAFKA_CE_JSON
            && ctx->format != NGX_HTTP_KAFKA_CE_BATCH)
        {
            return NGX_OK;
        }

        token = json_member(doc, root, "partitionkey", 12);

        if (token == JSON_NONE) {
            return NGX_OK;
        }

    } else {
        token = json_find(doc, root, field);
    }

    switch (ngx_http_kafka_scalar(ctx->request->pool, doc, token, &msg->key)) {

    case NGX_OK:
        return NGX_OK;

    case NGX_DECLINED:
        found->code = NGX_HTTP_KAFKA_NO_KEY;
        return NGX_DECLINED;

    default:
        found->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }
}


/* A string decoded, a number or boolean as it is written. */
static ngx_int_t
ngx_http_kafka_scalar(ngx_pool_t *pool, json_doc_t *doc, uint32_t token,
    ngx_str_t *value)
{
    json_token_t  *t;

    if (token == JSON_NONE) {
        return NGX_DECLINED;
    }

    t = &doc->tokens[token];

    switch (t->type) {

    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        return NGX_DECLINED;

    default:
        break;
    }

    if (t->start == t->end) {
        return NGX_DECLINED;
    }

    value->data = (u_char *) doc->text + t->start;
    value->len = t->end - t->start;

    if (t->type == JSON_STRING && t->escaped) {

        value->data = ngx_pnalloc(pool, value->len);
        if (value->data == NULL) {
            return NGX_ERROR;
        }

        value->len = json_unescape(doc, token, (char *) value->data);
    }

    return NGX_OK;
}


/*
 * A record of a batch has an idempotency key of its own: a field, or the
 * request's with the record's index, so that the same batch sent again has
 * the same ones.
 */
static ngx_int_t
ngx_http_kafka_check_idempotency(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t root, ngx_kafka_message_t *msg, ngx_uint_t index,
    ngx_http_kafka_problem_t *found)
{
    ngx_str_t                   value;
    ngx_kafka_header_t         *h;
    ngx_http_request_t         *r;
    ngx_http_kafka_loc_conf_t  *klcf;

    r = ctx->request;
    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);

    if (klcf->idempotency_field) {

        switch (ngx_http_kafka_scalar(r->pool, doc,
                                      json_find(doc, root,
                                                klcf->idempotency_field),
                                      &value))
        {
        case NGX_OK:
            break;

        case NGX_DECLINED:
            found->code = NGX_HTTP_KAFKA_NO_KEY;
            ngx_http_kafka_detail(r, found, "There is no idempotency key at "
                                  "\"kafka_idempotency_field\".");
            return NGX_DECLINED;

        default:
            found->code = NGX_HTTP_KAFKA_INTERNAL;
            return NGX_DECLINED;
        }

    } else if (ctx->batch && ctx->idempotency_key.len) {

        value.data = ngx_pnalloc(r->pool, ctx->idempotency_key.len + 1
                                          + NGX_INT_T_LEN);
        if (value.data == NULL) {
            found->code = NGX_HTTP_KAFKA_INTERNAL;
            return NGX_DECLINED;
        }

        value.len = ngx_sprintf(value.data, "%V:%ui", &ctx->idempotency_key,
                                index)
                    - value.data;

    } else {
        return NGX_OK;
    }

    h = ngx_palloc(r->pool, (msg->nheaders + 1) * sizeof(ngx_kafka_header_t));
    if (h == NULL) {
        found->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    if (msg->nheaders) {
        ngx_memcpy(h, msg->headers,
                   msg->nheaders * sizeof(ngx_kafka_header_t));
    }

    ngx_str_set(&h[msg->nheaders].name, "idempotency-key");
    h[msg->nheaders].value = value;

    msg->headers = h;
    msg->nheaders++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_check_size(ngx_http_kafka_ctx_t *ctx, ngx_kafka_message_t *msg,
    ngx_http_kafka_problem_t *found)
{
    ngx_kafka_producer_t       *kp;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);
    kp = klcf->producer->producer;

    if (ngx_kafka_limit_fits(kp, msg)) {
        return NGX_OK;
    }

    found->code = NGX_HTTP_KAFKA_LARGE;
    ngx_http_kafka_detail(ctx->request, found, "Key, value and headers do "
                          "not fit into the %uz bytes of the largest record.",
                          ngx_kafka_limit(kp, msg->topic));

    return NGX_DECLINED;
}


/* Gives the item a problem of its own, with texts that last. */
static ngx_int_t
ngx_http_kafka_blame(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_item_t *item,
    ngx_http_kafka_problem_t *found)
{
    size_t                     len;
    u_char                    *p;
    ngx_http_kafka_problem_t  *problem;

    len = found->pointer ? ngx_strlen(found->pointer) + 1 : 0;

    problem = ngx_palloc(ctx->request->pool, sizeof(ngx_http_kafka_problem_t)
                                             + found->detail.len + len);
    if (problem == NULL) {
        return NGX_ERROR;
    }

    *problem = *found;

    p = (u_char *) (problem + 1);

    if (len) {
        problem->pointer = (char *) p;
        p = ngx_cpymem(p, found->pointer, len);
    }

    problem->detail.data = p;

    if (found->detail.len) {
        ngx_memcpy(p, found->detail.data, found->detail.len);
    }

    item->problem = problem;
    item->state = NGX_HTTP_KAFKA_FAILED;
    ctx->invalid++;

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_record_sort(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t                  i;
    ngx_kafka_message_t        *msg;
    ngx_http_kafka_item_t      *item;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);

    item = ctx->items.elts;
    msg = ctx->messages.elts;

    for (i = 0; i < ctx->items.nelts; i++) {

        if (item[i].problem == NULL || klcf->dead_letter.len == 0
            || item[i].problem->code == NGX_HTTP_KAFKA_LARGE)
        {
            continue;
        }

        if (ngx_http_kafka_bury(ctx, &item[i], &msg[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        msg[i].topic = klcf->dead_index;
        msg[i].partition = RD_KAFKA_PARTITION_UA;
        item[i].dead = 1;
        item[i].state = NGX_HTTP_KAFKA_WAITING;
        ctx->invalid--;
    }

    return NGX_OK;
}


/* Says beside a dead letter why it is one and where it was to go. */
static ngx_int_t
ngx_http_kafka_bury(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_item_t *item,
    ngx_kafka_message_t *msg)
{
    const char                      *text;
    ngx_kafka_header_t              *h, *next;
    ngx_http_kafka_problem_t        *problem;
    const ngx_http_kafka_meaning_t  *m;

    problem = item->problem;
    m = ngx_http_kafka_meaning(problem->code);

    h = ngx_palloc(ctx->request->pool,
                   (msg->nheaders + 5) * sizeof(ngx_kafka_header_t));
    if (h == NULL) {
        return NGX_ERROR;
    }

    if (msg->nheaders) {
        ngx_memcpy(h, msg->headers,
                   msg->nheaders * sizeof(ngx_kafka_header_t));
    }

    next = &h[msg->nheaders];

    ngx_http_kafka_say(&next, "sluice-topic", ctx->topic->name.data,
                          ctx->topic->name.len);
    ngx_http_kafka_say(&next, "sluice-error", (u_char *) m->code,
                          ngx_strlen(m->code));
    ngx_http_kafka_say(&next, "sluice-detail", problem->detail.data,
                          problem->detail.len);

    text = problem->pointer;

    if (text) {
        ngx_http_kafka_say(&next, "sluice-pointer", (u_char *) text,
                              ngx_strlen(text));
    }

    text = problem->keyword;

    if (text) {
        ngx_http_kafka_say(&next, "sluice-keyword", (u_char *) text,
                              ngx_strlen(text));
    }

    msg->headers = h;
    msg->nheaders = next - h;

    return NGX_OK;
}


static void
ngx_http_kafka_say(ngx_kafka_header_t **h, const char *name,
    const u_char *value, size_t len)
{
    (*h)->name.data = (u_char *) name;
    (*h)->name.len = ngx_strlen(name);
    (*h)->value.data = (u_char *) value;
    (*h)->value.len = len;
    (*h)++;
}


void
ngx_http_kafka_detail(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem, const char *fmt, ...)
{
    u_char   buf[NGX_HTTP_KAFKA_DETAIL_MAX], *p;
    va_list  args;

    va_start(args, fmt);
    p = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args);
    va_end(args);

    problem->detail.len = p - buf;
    problem->detail.data = ngx_pnalloc(r->pool, problem->detail.len);

    if (problem->detail.data == NULL) {
        problem->detail.len = 0;
        return;
    }

    ngx_memcpy(problem->detail.data, buf, problem->detail.len);
}
