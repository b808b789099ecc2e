/* Configuration and request context, between the HTTP side's files. */

#ifndef NGX_HTTP_KAFKA_MODULE_H
#define NGX_HTTP_KAFKA_MODULE_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_kafka_producer.h"


#define NGX_HTTP_KAFKA_RAW        0
#define NGX_HTTP_KAFKA_JSON       1

#define NGX_HTTP_KAFKA_DELIVERED  0
#define NGX_HTTP_KAFKA_QUEUED     1

#define NGX_HTTP_KAFKA_IDENTITY   0
#define NGX_HTTP_KAFKA_GZIP       1
#define NGX_HTTP_KAFKA_ZSTD       2
#define NGX_HTTP_KAFKA_UNKNOWN    3     /* or more than one */


typedef struct {
    ngx_kafka_counters_t       kafka;
    ngx_atomic_t               requests;    /* answered, or left */
} ngx_http_kafka_counters_t;


/* One worker's gauges; of a dead worker they do not count. */
typedef struct {
    ngx_atomic_t               pid;         /* 0: free */
    ngx_kafka_gauges_t         kafka;
    ngx_atomic_t               in_flight;   /* suspended requests */
} ngx_http_kafka_slot_t;


typedef struct {
    ngx_array_t                producers;   /* ngx_kafka_conf_t * */
    ngx_array_t                locations;   /* ngx_http_kafka_loc_conf_t * */
    ngx_msec_t                 drain_timeout;
    ngx_kafka_place_t          drain_place;
    ngx_msec_t                 longest;     /* kafka_timeout of all */
    ngx_kafka_place_t          longest_place;
    ngx_shm_zone_t            *zone;
    ngx_http_kafka_counters_t *counters;
    ngx_http_kafka_slot_t     *slot;        /* of this worker */
} ngx_http_kafka_main_conf_t;


/* One kafka_limit. */
typedef struct {
    ngx_shm_zone_t            *shm_zone;
    uint64_t                   burst[2];    /* records, bytes; 0: default */
    ngx_kafka_place_t          place;
} ngx_http_kafka_limit_t;


typedef struct {
    ngx_str_t                  pass;        /* name of the producer */
    ngx_kafka_place_t          pass_place;
    ngx_kafka_conf_t          *producer;
    ngx_http_complex_value_t  *topic;
    ngx_kafka_place_t          topic_place;
    ngx_int_t                  topic_index; /* of a literal, or NGX_ERROR */
    ngx_http_complex_value_t  *key;
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
    NGX_HTTP_KAFKA_NOT_JSON = 0,
    NGX_HTTP_KAFKA_EMPTY,
    NGX_HTTP_KAFKA_BAD_ENCODING,
    NGX_HTTP_KAFKA_NO_TOPIC,
    NGX_HTTP_KAFKA_METHOD,
    NGX_HTTP_KAFKA_LARGE,
    NGX_HTTP_KAFKA_OVER_BURST,
    NGX_HTTP_KAFKA_ENCODING,
    NGX_HTTP_KAFKA_SCHEMA,
    NGX_HTTP_KAFKA_LIMITED,
    NGX_HTTP_KAFKA_BODY_GONE,
    NGX_HTTP_KAFKA_INTERNAL,
    NGX_HTTP_KAFKA_QUEUE_FULL,
    NGX_HTTP_KAFKA_BROKERS_DOWN,
    NGX_HTTP_KAFKA_TOPIC_MISSING,
    NGX_HTTP_KAFKA_NOT_STARTED,
    NGX_HTTP_KAFKA_NOT_DELIVERED,
    NGX_HTTP_KAFKA_NOT_SENT,
    NGX_HTTP_KAFKA_MAYBE_DELIVERED,
    NGX_HTTP_KAFKA_NO_REPORT
} ngx_http_kafka_error_e;


/* What an error is about; everything is escaped when it is sent. */
typedef struct {
    ngx_http_kafka_error_e     code;
    ngx_str_t                  detail;
    const char                *pointer;     /* JSON Pointer, or NULL */
    const char                *keyword;
} ngx_http_kafka_problem_t;


/* ngx_http_kafka_resolve.c */

/* Compiles the schema of a file; it lives as long as the configuration. */
char *ngx_http_kafka_open_schema(ngx_conf_t *cf, ngx_str_t *file,
    schema_t **schema);

/* Checks what needs all of the http block, adds the shared zones. */
ngx_int_t ngx_http_kafka_postconfiguration(ngx_conf_t *cf);

/* Checks what needs the whole configuration, proves the producers. */
char *ngx_kafka_init_conf(ngx_cycle_t *cycle, void *conf);

/* ngx_http_kafka_block.c */

char *ngx_http_kafka_producer_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* ngx_http_kafka_handler.c */

ngx_int_t ngx_http_kafka_handler(ngx_http_request_t *r);

/* Sets the detail; what does not fit into 512 bytes is cut off. */
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

/* ngx_http_kafka_limit.c */

char *ngx_http_kafka_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_limit_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Checks the limits of a location when all zones are known. */
ngx_int_t ngx_http_kafka_limit_resolve(ngx_conf_t *cf,
    ngx_http_kafka_loc_conf_t *klcf);

/*
 * Charges what a request sends to the buckets of its keys: whole, or not at
 * all and NGX_DECLINED with the problem.  Adds the headers.
 */
ngx_int_t ngx_http_kafka_limit(ngx_http_request_t *r, uint64_t records,
    uint64_t bytes, ngx_http_kafka_problem_t *problem);

/* ngx_http_kafka_reply.c */

/* Each sends an answer and returns what finalizes the request. */
ngx_int_t ngx_http_kafka_reply_kept(ngx_http_request_t *r, ngx_str_t *topic,
    ngx_kafka_report_t *report);
ngx_int_t ngx_http_kafka_reply_queued(ngx_http_request_t *r,
    ngx_str_t *topic);
ngx_int_t ngx_http_kafka_reply_problem(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem);
ngx_int_t ngx_http_kafka_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body);

ngx_int_t ngx_http_kafka_header(ngx_http_request_t *r, char *name,
    ngx_str_t *value);

/* Escapes for a JSON string; invalid UTF-8 becomes U+FFFD. */
u_char *ngx_http_kafka_escape(u_char *p, u_char *last, const u_char *text,
    size_t len);

/* ngx_http_kafka_status.c */

ngx_int_t ngx_http_kafka_status_zone(ngx_conf_t *cf,
    ngx_http_kafka_main_conf_t *kmcf);

/* Takes this worker's slot; gauges go nowhere when all are taken. */
void ngx_http_kafka_status_enter(ngx_http_kafka_main_conf_t *kmcf);
void ngx_http_kafka_status_leave(ngx_http_kafka_main_conf_t *kmcf);
ngx_int_t ngx_http_kafka_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_kafka_ready_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_kafka_live_handler(ngx_http_request_t *r);


extern ngx_module_t  ngx_http_kafka_module;
extern ngx_module_t  ngx_kafka_module;


#endif
