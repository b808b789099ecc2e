/*
 * Opens the envelopes of REST Proxy's records: key, value, headers, partition
 * and timestamp of each become those of a message.
 */

#include "http/ngx_http_kafka_rest_records.h"
#include "http/ngx_http_kafka_records.h"
#include "http/ngx_http_kafka_rest_values.h"


#define NGX_HTTP_KAFKA_REST_HEADERS  64     /* of one record */


/* The members of a record: tokens of their values, or JSON_NONE. */
typedef enum {
    NGX_HTTP_KAFKA_REST_KEY = 0,
    NGX_HTTP_KAFKA_REST_VALUE,
    NGX_HTTP_KAFKA_REST_PLACE,
    NGX_HTTP_KAFKA_REST_HEAD,
    NGX_HTTP_KAFKA_REST_TIME,
    NGX_HTTP_KAFKA_REST_MEMBERS
} ngx_http_kafka_member_e;


static ngx_int_t ngx_http_kafka_rest_take(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t token, int64_t *steps);
static ngx_int_t ngx_http_kafka_rest_open(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t token, ngx_str_t *value,
    ngx_http_kafka_shape_t *shape);
static ngx_int_t ngx_http_kafka_rest_members(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t object, const char *const *names,
    uint32_t *found);
static ngx_int_t ngx_http_kafka_rest_data(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t token, const char *name, ngx_str_t *bytes,
    uint8_t *type);
static ngx_int_t ngx_http_kafka_rest_typed(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t *token, const char *name, uint8_t *type);
static ngx_int_t ngx_http_kafka_rest_place(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *text);
static ngx_int_t ngx_http_kafka_rest_headers(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t token);
static ngx_int_t ngx_http_kafka_rest_header(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t token, ngx_kafka_header_t *h);
static ngx_int_t ngx_http_kafka_rest_check(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, ngx_str_t *value, int64_t *steps);
static ngx_int_t ngx_http_kafka_rest_shape(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_shape_t *shape);


/* of a value that is read by itself; of this worker, reused */
static json_doc_t  ngx_http_kafka_rest_doc;


ngx_int_t
ngx_http_kafka_rest_records(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t *at, int64_t *steps)
{
    uint32_t   list, last;
    ngx_int_t  rc;

    list = json_member(doc, 0, "records", sizeof("records") - 1);

    if (list == JSON_NONE || doc->tokens[list].type != JSON_ARRAY) {
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NO_RECORDS,
                                     "The body is no object with an array "
                                     "\"records\".");
    }

    last = doc->tokens[list].next;

    if (*at == 0) {
        *at = list + 1;
    }

    while (*at < last) {

        if (ngx_http_kafka_turn_left <= 0) {
            return NGX_AGAIN;
        }

        rc = ngx_http_kafka_rest_take(ctx, doc, *at, steps);

        if (rc != NGX_OK) {
            return rc;
        }

        *at = doc->tokens[*at].next;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_rest_record(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    int64_t *steps)
{
    return ngx_http_kafka_rest_take(ctx, doc, 0, steps);
}


/*
 * What all records share is the pattern of a message: it has this record's own
 * for the time of its checks.
 */
static ngx_int_t
ngx_http_kafka_rest_take(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t token, int64_t *steps)
{
    ngx_int_t               rc;
    ngx_str_t               value;
    ngx_kafka_message_t     common;
    ngx_http_kafka_shape_t  shape;

    common = ctx->common;

    rc = ngx_http_kafka_rest_open(ctx, doc, token, &value, &shape);

    if (rc == NGX_OK) {
        rc = ngx_http_kafka_rest_check(ctx, doc, &value, steps);

    } else {
        value = ngx_http_kafka_rest_text(doc, token);
        rc = ngx_http_kafka_record_refused(ctx, &value);
    }

    ctx->common = common;

    return rc == NGX_OK ? ngx_http_kafka_rest_shape(ctx, &shape) : rc;
}


/* Fills ctx->common in; NGX_DECLINED with a problem. */
static ngx_int_t
ngx_http_kafka_rest_open(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t token, ngx_str_t *value, ngx_http_kafka_shape_t *shape)
{
    uint32_t              found[NGX_HTTP_KAFKA_REST_MEMBERS];
    ngx_str_t             text;
    ngx_kafka_message_t  *msg;

    static const char *const  v2[] = { "key", "value", "partition", NULL };
    static const char *const  v3[] = { "key", "value", "partition_id",
                                       "headers", "timestamp", NULL };

    ngx_memzero(shape, sizeof(ngx_http_kafka_shape_t));
    msg = &ctx->common;

    found[NGX_HTTP_KAFKA_REST_HEAD] = JSON_NONE;
    found[NGX_HTTP_KAFKA_REST_TIME] = JSON_NONE;

    if (ngx_http_kafka_rest_members(ctx, doc, token,
                                    ctx->rest->version == 2 ? v2 : v3, found)
        != NGX_OK
        || ngx_http_kafka_rest_data(ctx, doc, found[NGX_HTTP_KAFKA_REST_KEY],
                                    "key", &msg->key, &shape->key_type)
           != NGX_OK
        || ngx_http_kafka_rest_data(ctx, doc, found[NGX_HTTP_KAFKA_REST_VALUE],
                                    "value", value, &shape->value_type)
           != NGX_OK
        || ngx_http_kafka_rest_headers(ctx, doc,
                                       found[NGX_HTTP_KAFKA_REST_HEAD])
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (msg->key.data && shape->key_type == NGX_HTTP_KAFKA_REST_JSON
        && ngx_http_kafka_rest_compact(ctx->pool, &msg->key) != NGX_OK)
    {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    shape->key_size = (uint32_t) msg->key.len;
    shape->value_size = (uint32_t) value->len;

    text = ctx->rest->partition;

    if (found[NGX_HTTP_KAFKA_REST_PLACE] != JSON_NONE) {
        text = ngx_http_kafka_rest_text(doc, found[NGX_HTTP_KAFKA_REST_PLACE]);
    }

    if (text.data && ngx_http_kafka_rest_place(ctx, &text) != NGX_OK) {
        return NGX_DECLINED;
    }

    token = found[NGX_HTTP_KAFKA_REST_TIME];

    return token == JSON_NONE
           || ngx_http_kafka_rest_time(doc, token, &msg->timestamp) == NGX_OK
           ? NGX_OK
           : ngx_http_kafka_detail(&ctx->problem,
                                   NGX_HTTP_KAFKA_BAD_TIMESTAMP,
                                   "\"timestamp\" is no date-time of RFC "
                                   "3339 since 1970.");
}


/*
 * The values of an object's members by name; null is the same as none.  Other
 * names are refused: a misspelled one would lose a value.
 */
static ngx_int_t
ngx_http_kafka_rest_members(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t object, const char *const *names, uint32_t *found)
{
    uint32_t    name, value;
    ngx_str_t   text;
    ngx_uint_t  i;

    for (i = 0; names[i]; i++) {
        found[i] = JSON_NONE;
    }

    if (doc->tokens[object].type != JSON_OBJECT) {
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_RECORD,
                                     "It is no JSON object.");
    }

    for (name = object + 1; name < doc->tokens[object].next;
         name = doc->tokens[value].next)
    {
        value = name + 1;

        for (i = 0; names[i]; i++) {
            if (json_equals(doc, name, names[i], ngx_strlen(names[i]))) {
                break;
            }
        }

        if (names[i] == NULL) {
            text = ngx_http_kafka_rest_text(doc, name);
            text.len = ngx_min(text.len, 64);
            return ngx_http_kafka_detail(&ctx->problem,
                                         NGX_HTTP_KAFKA_BAD_RECORD,
                                         "There is no member %V here.",
                                         &text);
        }

        if (doc->tokens[value].type != JSON_NULL) {
            found[i] = value;
        }
    }

    return NGX_OK;
}


/* The bytes of a key or a value, and how they came; data is NULL for null. */
static ngx_int_t
ngx_http_kafka_rest_data(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t token, const char *name, ngx_str_t *bytes, uint8_t *type)
{
    ngx_int_t  rc;

    ngx_str_null(bytes);
    *type = ctx->rest->type;

    if (token != JSON_NONE && ctx->rest->version == 3
        && ngx_http_kafka_rest_typed(ctx, doc, &token, name, type) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (token == JSON_NONE || doc->tokens[token].type == JSON_NULL) {
        *type = ctx->rest->version == 3 ? *type : NGX_HTTP_KAFKA_REST_NONE;
        return NGX_OK;
    }

    if (*type == NGX_HTTP_KAFKA_REST_JSON) {
        *bytes = ngx_http_kafka_rest_text(doc, token);
        return NGX_OK;
    }

    rc = *type == NGX_HTTP_KAFKA_REST_BINARY
         ? ngx_http_kafka_rest_binary(ctx->pool, doc, token, bytes)
         : ngx_http_kafka_rest_string(ctx->pool, doc, token, bytes);

    ngx_http_kafka_turn_left -= bytes->len / 8;

    switch (rc) {

    case NGX_OK:
        return NGX_OK;

    case NGX_DECLINED:
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_RECORD,
                                     "The data of \"%s\" is no %s.", name,
                                     *type == NGX_HTTP_KAFKA_REST_BINARY
                                     ? "base64 string" : "string");

    default:
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }
}


/* {"type":…,"data":…} of v3: sets the token of the data, and its type. */
static ngx_int_t
ngx_http_kafka_rest_typed(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t *token, const char *name, uint8_t *type)
{
    uint32_t    found[2];
    ngx_uint_t  i;

    static const char *const  names[] = { "type", "data", NULL };

    if (ngx_http_kafka_rest_members(ctx, doc, *token, names, found) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    *token = found[1];

    for (i = NGX_HTTP_KAFKA_REST_BINARY; i <= NGX_HTTP_KAFKA_REST_STRING; i++)
    {
        if (found[0] != JSON_NONE
            && doc->tokens[found[0]].type == JSON_STRING
            && json_equals(doc, found[0], ngx_http_kafka_rest_types[i],
                           ngx_strlen(ngx_http_kafka_rest_types[i])))
        {
            *type = (uint8_t) i;
            return NGX_OK;
        }
    }

    return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_RECORD,
                                 "The type of \"%s\" is none of BINARY, JSON "
                                 "and STRING; there is no schema registry "
                                 "here.", name);
}


static ngx_int_t
ngx_http_kafka_rest_place(ngx_http_kafka_ctx_t *ctx, ngx_str_t *text)
{
    ngx_int_t  n;

    n = ngx_atoi(text->data, text->len);

    if (n == NGX_ERROR || n > NGX_MAX_INT32_VALUE) {
        return ngx_http_kafka_refuse(&ctx->problem,
                                     NGX_HTTP_KAFKA_BAD_PARTITION);
    }

    ctx->common.partition = (int32_t) n;
    ctx->rest->chosen = 1;

    return NGX_OK;
}


/* They follow those of the location. */
static ngx_int_t
ngx_http_kafka_rest_headers(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t token)
{
    uint32_t             at;
    ngx_uint_t           n;
    ngx_kafka_header_t  *h;

    if (token == JSON_NONE) {
        return NGX_OK;
    }

    if (doc->tokens[token].type != JSON_ARRAY) {
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_RECORD,
                                     "\"headers\" is no array.");
    }

    n = 0;

    for (at = token + 1;
         at < doc->tokens[token].next && n <= NGX_HTTP_KAFKA_REST_HEADERS;
         at = doc->tokens[at].next)
    {
        n++;
    }

    if (n > NGX_HTTP_KAFKA_REST_HEADERS) {
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_RECORD,
                                     "It has more than %d headers.",
                                     NGX_HTTP_KAFKA_REST_HEADERS);
    }

    h = ngx_http_kafka_more_headers(ctx->pool, &ctx->common, n);
    if (h == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    for (at = token + 1; at < doc->tokens[token].next;
         at = doc->tokens[at].next)
    {
        if (ngx_http_kafka_rest_header(ctx, doc, at, h++) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* {"name":…,"value":…}; a name of "kafka_header" is the location's alone. */
static ngx_int_t
ngx_http_kafka_rest_header(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t token, ngx_kafka_header_t *h)
{
    uint32_t                  found[2];
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_http_kafka_header_t  *own;

    static const char *const  names[] = { "name", "value", NULL };

    if (ngx_http_kafka_rest_members(ctx, doc, token, names, found) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_str_null(&h->value);

    rc = found[0] == JSON_NONE
         ? NGX_DECLINED
         : ngx_http_kafka_rest_string(ctx->pool, doc, found[0], &h->name);

    if (rc == NGX_OK && found[1] != JSON_NONE) {
        rc = ngx_http_kafka_rest_binary(ctx->pool, doc, found[1], &h->value);
    }

    if (rc == NGX_ERROR) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    if (rc != NGX_OK) {
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_HEADER,
                                     "A header has no string \"name\", or its "
                                     "\"value\" is no base64 string.");
    }

    if (ctx->conf->headers == NULL) {
        return NGX_OK;
    }

    own = ctx->conf->headers->elts;

    for (i = 0; i < ctx->conf->headers->nelts; i++) {
        if (own[i].name.len == h->name.len
            && ngx_memcmp(own[i].name.data, h->name.data, h->name.len) == 0)
        {
            return ngx_http_kafka_detail(&ctx->problem,
                                         NGX_HTTP_KAFKA_BAD_HEADER,
                                         "The header \"%V\" is set by the "
                                         "server alone.", &h->name);
        }
    }

    return NGX_OK;
}


/* Where something is to be read in the value, it is read by itself. */
static ngx_int_t
ngx_http_kafka_rest_check(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    ngx_str_t *value, int64_t *steps)
{
    ngx_int_t     rc;
    json_error_t  err;

    if (value->data == NULL) {

        if (ctx->common.key.data == NULL) {
            (void) ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NO_KEY,
                                         "A record without a value needs a "
                                         "key.");
            return ngx_http_kafka_record_refused(ctx, value);
        }

        ctx->null = 1;
        rc = ngx_http_kafka_record(ctx, value, NULL, steps);
        ctx->null = 0;

        return rc;
    }

    if (!ngx_http_kafka_reads_json(ctx)) {
        return ngx_http_kafka_record(ctx, value, doc, steps);
    }

    if (value->len > ngx_kafka_value_max(ctx->conf->producer->producer,
                                         ctx->topic_index))
    {
        return ngx_http_kafka_record_large(ctx, value);
    }

    ngx_http_kafka_turn_left -= value->len / 8;

    if (json_parse(&ngx_http_kafka_rest_doc, (char *) value->data, value->len,
                   &err)
        != 0)
    {
        return ngx_http_kafka_record_broken(ctx, value, &err,
                                            " of the value");
    }

    return ngx_http_kafka_record(ctx, value, &ngx_http_kafka_rest_doc, steps);
}


/* The item of the last record has its shape beside it. */
static ngx_int_t
ngx_http_kafka_rest_shape(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_shape_t *shape)
{
    ngx_array_t             *shapes;
    ngx_http_kafka_shape_t  *s;

    shapes = &ctx->rest->shapes;

    if (ctx->rest->version == 2) {
        return NGX_OK;
    }

    if (shapes->elts == NULL
        && ngx_array_init(shapes, ctx->pool, 4,
                          sizeof(ngx_http_kafka_shape_t))
           != NGX_OK)
    {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    s = ngx_array_push(shapes);
    if (s == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    *s = *shape;

    return NGX_OK;
}
