/*
 * Configuration and request context, between the HTTP side's files.
 *
 * Room: a request: directives, body, records, answer.
 */

#ifndef NGX_HTTP_KAFKA_MODULE_H
#define NGX_HTTP_KAFKA_MODULE_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "http/ngx_http_kafka_error.h"
#include "kafka/ngx_kafka_producer.h"
#include "json/json.h"


#define NGX_HTTP_KAFKA_RAW          0
#define NGX_HTTP_KAFKA_JSON         1
#define NGX_HTTP_KAFKA_NDJSON       2
#define NGX_HTTP_KAFKA_ARRAY        3
#define NGX_HTTP_KAFKA_CLOUDEVENTS  4
#define NGX_HTTP_KAFKA_AUTO         5

/* what a request's own format turns out to be */
#define NGX_HTTP_KAFKA_GUESS        6     /* JSON, or else NDJSON */
#define NGX_HTTP_KAFKA_CE_BINARY    7
#define NGX_HTTP_KAFKA_CE_JSON      8
#define NGX_HTTP_KAFKA_CE_BATCH     9

#define NGX_HTTP_KAFKA_DELIVERED    0
#define NGX_HTTP_KAFKA_QUEUED       1
#define NGX_HTTP_KAFKA_CLIENT       2

#define NGX_HTTP_KAFKA_IDENTITY   0
#define NGX_HTTP_KAFKA_GZIP       1
#define NGX_HTTP_KAFKA_ZSTD       2
#define NGX_HTTP_KAFKA_UNKNOWN    3     /* or more than one */


typedef struct {
    ngx_array_t                producers;   /* ngx_kafka_conf_t * */
    ngx_array_t                locations;   /* ngx_http_kafka_loc_conf_t * */
    ngx_msec_t                 drain_timeout;
    ngx_kafka_place_t          drain_place;
    ngx_msec_t                 longest;     /* kafka_timeout of all */
    ngx_kafka_place_t          longest_place;
    ngx_shm_zone_t            *zone;        /* of the counters */
    ngx_int_t                  request_id;  /* index of the variable */
} ngx_http_kafka_main_conf_t;


/* One kafka_limit. */
typedef struct {
    ngx_shm_zone_t            *shm_zone;
    uint64_t                   burst[2];    /* records, bytes; 0: default */
    ngx_kafka_place_t          place;
} ngx_http_kafka_limit_t;


typedef struct {
    ngx_str_t                  name;
    ngx_http_complex_value_t   value;
} ngx_http_kafka_header_t;


typedef struct {
    ngx_str_t                  pass;        /* name of the producer */
    ngx_kafka_place_t          pass_place;
    ngx_kafka_conf_t          *producer;
    ngx_http_complex_value_t  *topic;
    ngx_kafka_place_t          topic_place;
    ngx_int_t                  topic_index; /* of a literal, or NGX_ERROR */
    ngx_http_complex_value_t  *key;
    json_pointer_t            *key_field;
    json_pointer_t            *idempotency_field;
    ngx_kafka_place_t          field_place; /* of either, unset: inherited */
    ngx_array_t               *headers;     /* ngx_http_kafka_header_t */
    ngx_flag_t                 request_headers;
    ngx_http_complex_value_t  *partition;
    ngx_http_complex_value_t  *timestamp;
    ngx_http_complex_value_t  *body;
    ngx_uint_t                 max_records;
    ngx_str_t                  dead_letter; /* data NULL: not said, or
                                               len 0: "reject" */
    ngx_kafka_place_t          dead_place;
    ngx_int_t                  dead_index;
    ngx_uint_t                 format;
    ngx_uint_t                 ack;
    ngx_msec_t                 timeout;
    ngx_kafka_place_t          timeout_place;
    schema_t                  *schema;
    ngx_kafka_place_t          schema_place;    /* unset: inherited */
    ngx_array_t               *limits;      /* ngx_http_kafka_limit_t */
    ngx_http_complex_value_t  *response;
    ngx_flag_t                 intercept_errors;
} ngx_http_kafka_loc_conf_t;


typedef enum {
    NGX_HTTP_KAFKA_WAITING = 0,             /* not answered for yet */
    NGX_HTTP_KAFKA_SENT,                    /* nobody waits: queued */
    NGX_HTTP_KAFKA_KEPT,
    NGX_HTTP_KAFKA_FAILED                   /* its problem says how */
} ngx_http_kafka_state_e;


typedef struct ngx_http_kafka_ctx_s  ngx_http_kafka_ctx_t;


/* One record of a request, beside its message. */
typedef struct {
    ngx_http_kafka_ctx_t      *ctx;
    ngx_http_kafka_state_e     state;
    ngx_kafka_record_t        *record;      /* while it is outstanding */
    ngx_http_kafka_problem_t  *problem;     /* NULL: none */
    ngx_uint_t                 dead;        /* to the dead-letter topic */
    int32_t                    partition;
    int64_t                    offset;
    int64_t                    timestamp;   /* ms since 1970 */
} ngx_http_kafka_item_t;


struct ngx_http_kafka_ctx_s {
    ngx_http_request_t        *request;
    ngx_kafka_topic_conf_t    *topic;
    ngx_uint_t                 topic_index;
    ngx_uint_t                 format;
    ngx_kafka_message_t        common;      /* what all records share */
    ngx_array_t                items;       /* ngx_http_kafka_item_t */
    ngx_array_t                messages;    /* ngx_kafka_message_t, alike */
    ngx_http_kafka_item_t      item;        /* of a single record */
    ngx_kafka_message_t        message;
    ngx_str_t                  idempotency_key;
    ngx_uint_t                 invalid;     /* records */
    ngx_uint_t                 waiting;     /* records */
    ngx_kafka_gauges_t        *gauges;      /* while it is suspended: its
                                               location may change */
    ngx_event_t                timer;
    ngx_http_kafka_error_e     error;       /* of the answer */
    ngx_msec_t                 begun;       /* when it was produced */
    ngx_msec_t                 latency;
    unsigned                   batch:1;     /* answered by results[] */
    unsigned                   queued:1;
    unsigned                   lenient:1;
    unsigned                   async:1;     /* the client asked for it */
    unsigned                   suspended:1;
};


/* ngx_http_kafka_resolve.c */

/* Compiles the schema of a file; it lives as long as the configuration. */
char *ngx_http_kafka_open_schema(ngx_conf_t *cf, ngx_str_t *file,
    schema_t **schema);

/* Checks what needs all of the http block, adds the shared zones. */
ngx_int_t ngx_http_kafka_postconfiguration(ngx_conf_t *cf);

/* Checks what needs the whole configuration, proves the producers. */
char *ngx_kafka_init_conf(ngx_cycle_t *cycle, void *conf);

/* Compiles a JSON Pointer that lives as long as the configuration. */
char *ngx_http_kafka_open_pointer(ngx_conf_t *cf, ngx_str_t *text,
    json_pointer_t **pointer);

/* ngx_http_kafka_set.c */

char *ngx_http_kafka_set_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_kafka_set_field(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_set_header(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_set_max_records(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_set_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* ngx_http_kafka_block.c */

char *ngx_http_kafka_producer_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* ngx_http_kafka_handler.c */

ngx_int_t ngx_http_kafka_handler(ngx_http_request_t *r);

/* ngx_http_kafka_request.c */

/*
 * What the request's headers say: format, preferences, and what all its
 * records share.  NGX_DECLINED with a problem.
 */
ngx_int_t ngx_http_kafka_request_format(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem);
void ngx_http_kafka_request_prefer(ngx_http_kafka_ctx_t *ctx);
ngx_int_t ngx_http_kafka_request_common(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem);

/* ngx_http_kafka_split.c */

/*
 * The records of a body, each checked; a bad one has its problem, and is
 * counted in ctx->invalid.  NGX_DECLINED with a problem of the whole body.
 */
ngx_int_t ngx_http_kafka_split(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body,
    ngx_http_kafka_problem_t *problem);

/* ngx_http_kafka_record.c */

/*
 * Adds a record whose JSON value is "root" of "doc", or NULL where it is not
 * read as JSON.  NGX_DECLINED with a problem of the whole request.
 */
ngx_int_t ngx_http_kafka_record(ngx_http_kafka_ctx_t *ctx, ngx_str_t *value,
    json_doc_t *doc, uint32_t root, ngx_http_kafka_problem_t *problem);

/* Adds one that is bad as a whole. */
ngx_int_t ngx_http_kafka_record_bad(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *value, ngx_http_kafka_error_e code,
    ngx_http_kafka_problem_t *problem, const char *fmt, ...);

/* Where bad ones are to go to a dead-letter topic, they do from here. */
ngx_int_t ngx_http_kafka_record_sort(ngx_http_kafka_ctx_t *ctx);

/* The detail of a problem, in the request's pool. */
void ngx_http_kafka_detail(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem, const char *fmt, ...);

/* ngx_http_kafka_body.c */

/*
 * The body, decoded, as contiguous bytes of the request's pool or buffers,
 * or NGX_DECLINED with the problem: among others, that the body is longer
 * than "limit", encoded or decoded.
 */
ngx_int_t ngx_http_kafka_body(ngx_http_request_t *r, size_t limit,
    ngx_str_t *body, ngx_http_kafka_problem_t *problem);

/* Reads all of "size" bytes, or logs why not and returns NGX_ERROR. */
ngx_int_t ngx_http_kafka_read(ngx_http_request_t *r, ngx_file_t *file,
    u_char *p, size_t size, off_t offset);

/* ngx_http_kafka_inflate.c */

/* The one content coding of the body (RFC 9110, 8.4). */
ngx_uint_t ngx_http_kafka_coding(ngx_http_request_t *r);

/* Tells which codings are taken (RFC 9110, 12.5.3 and 15.5.16). */
ngx_int_t ngx_http_kafka_accept_encoding(ngx_http_request_t *r);

/*
 * Decodes the body; it costs "limit" and the decoder's window, whatever the
 * body says.  NGX_DECLINED: the problem is set.
 */
ngx_int_t ngx_http_kafka_inflate(ngx_http_request_t *r, ngx_uint_t coding,
    size_t limit, ngx_str_t *body, ngx_http_kafka_problem_t *problem);

/* ngx_http_kafka_limit_conf.c */

char *ngx_http_kafka_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_limit_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Checks the limits of a location when all zones are known. */
ngx_int_t ngx_http_kafka_limit_resolve(ngx_conf_t *cf,
    ngx_http_kafka_loc_conf_t *klcf);

/* ngx_http_kafka_limit.c */

/*
 * Charges what a request sends to the buckets of its keys: whole, or not at
 * all and NGX_DECLINED with the problem.  Adds the headers.
 */
ngx_int_t ngx_http_kafka_limit(ngx_http_request_t *r, uint64_t records,
    uint64_t bytes, ngx_http_kafka_problem_t *problem);

/* ngx_http_kafka_reply.c */

/* Each sends an answer and returns what finalizes the request. */

/* All records have their state. */
ngx_int_t ngx_http_kafka_reply(ngx_http_kafka_ctx_t *ctx);
ngx_int_t ngx_http_kafka_reply_problem(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem);
ngx_int_t ngx_http_kafka_reply_options(ngx_http_request_t *r);
ngx_int_t ngx_http_kafka_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body);

ngx_int_t ngx_http_kafka_header(ngx_http_request_t *r, char *name,
    ngx_str_t *value);

/* A request ended: an error, or one of NGX_HTTP_KAFKA_COUNT_*. */
void ngx_http_kafka_count(ngx_http_kafka_ctx_t *ctx, ngx_uint_t number);

/* Escapes for a JSON string; invalid UTF-8 becomes U+FFFD. */
u_char *ngx_http_kafka_escape(u_char *p, u_char *last, const u_char *text,
    size_t len);

/* The name of the topic that bad records go to. */
ngx_str_t *ngx_http_kafka_dead_letter(ngx_http_kafka_ctx_t *ctx);

/* Adds ,"detail":… and what else a problem has. */
u_char *ngx_http_kafka_members(u_char *p, u_char *last,
    ngx_http_kafka_problem_t *problem);

/* ngx_http_kafka_results.c */

/*
 * "results":[…], one a record, or with "invalid" the bad ones only, with
 * their index.  In the request's pool; data is NULL without memory.
 */
ngx_str_t ngx_http_kafka_results(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t invalid);

/* Adds where a kept record lies, in 100 bytes at most. */
u_char *ngx_http_kafka_place(u_char *p, ngx_http_kafka_item_t *item);

/* Adds a literal; there is room for it. */
#define ngx_http_kafka_add(p, literal)                                        \
    (p) = ngx_cpymem(p, literal, sizeof(literal) - 1)

/* ngx_http_kafka_variables.c */

ngx_int_t ngx_http_kafka_add_variables(ngx_conf_t *cf);

/*
 * nginx's $request_id, made here where nobody has asked for it yet.  NULL
 * without memory.
 */
ngx_http_variable_value_t *ngx_http_kafka_request_id(ngx_http_request_t *r);

/* Keeps what the variables say over a redirect to an error_page. */
ngx_int_t ngx_http_kafka_keep_ctx(ngx_http_kafka_ctx_t *ctx);


extern ngx_module_t  ngx_http_kafka_module;
extern ngx_module_t  ngx_kafka_module;


#endif
