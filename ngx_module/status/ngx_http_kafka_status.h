/*
 * What kafka_status shows, between those who sum counters and those who
 * print them.
 *
 * Room: reads the counters: JSON, Prometheus, ready, live.
 */

#ifndef NGX_HTTP_KAFKA_STATUS_H
#define NGX_HTTP_KAFKA_STATUS_H


#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_json.h"
#include "http/ngx_http_kafka_module.h"


/* A topic; a copy of its counters, so that the sums fit together. */
typedef struct {
    ngx_kafka_topic_counts_t   counts;
    ngx_kafka_topic_state_t   *state;       /* NULL: not declared now */
    ngx_uint_t                 requests;
    ngx_uint_t                 kept;        /* records */
    ngx_uint_t                 failed;      /* records */
} ngx_http_kafka_topic_view_t;


/* A broker, as the living workers see it. */
typedef struct {
    ngx_kafka_broker_t         name;
    ngx_uint_t                 known;       /* to so many workers */
    ngx_uint_t                 states[NGX_KAFKA_BROKER_STATES];
    ngx_uint_t                 rtts;        /* workers that measured it */
    ngx_uint_t                 rtt;         /* us, average */
    ngx_uint_t                 rtt_p99;     /* us, the worst */
} ngx_http_kafka_broker_view_t;


/* A kafka_producer block; gauges are sums over living workers. */
typedef struct {
    ngx_kafka_producer_counts_t  *counts;
    ngx_kafka_conf_t          *conf;        /* NULL: not declared now */
    ngx_array_t                topics;      /* that have something to show:
                                               …_topic_view_t */
    ngx_array_t                brokers;     /* …_broker_view_t */
    ngx_uint_t                 workers;
    ngx_uint_t                 up;          /* of them connected, */
    ngx_uint_t                 prompt;      /* and with a prompt client */
    ngx_uint_t                 reading;     /* of them receipts */
    ngx_uint_t                 waits;       /* records, for a receipt */
    ngx_uint_t                 records;
    ngx_uint_t                 bytes;
    ngx_uint_t                 in_flight;
} ngx_http_kafka_producer_view_t;


/* A living worker; sums over its producers. */
typedef struct {
    ngx_pid_t                  pid;
    time_t                     started;     /* s since 1970 */
    ngx_uint_t                 leaving;
    ngx_uint_t                 up;          /* producers that are connected */
    ngx_uint_t                 records;
    ngx_uint_t                 bytes;
    ngx_uint_t                 in_flight;
} ngx_http_kafka_worker_view_t;


typedef struct {
    time_t                     started;     /* s since 1970 */
    const char                *installed;   /* version, of the file on disk */
    u_char                     built[16];   /* librdkafka's version, then */
    ngx_array_t                producers;   /* …_producer_view_t */
    ngx_array_t                workers;     /* …_worker_view_t */
    ngx_uint_t                 requests;
    ngx_uint_t                 kept;
    ngx_uint_t                 failed;
    ngx_uint_t                 records;
    ngx_uint_t                 bytes;
    ngx_uint_t                 in_flight;
} ngx_http_kafka_view_t;


/* A text that grows in a request's pool; "start" is NULL without memory. */
typedef struct {
    ngx_pool_t                *pool;
    u_char                    *start;
    u_char                    *last;
    u_char                    *end;
} ngx_http_kafka_text_t;


/* ngx_http_kafka_view.c */

/* The sums at this moment, in the request's pool; NGX_ERROR: no memory. */
ngx_int_t ngx_http_kafka_view(ngx_http_request_t *r,
    ngx_http_kafka_view_t *view);

/* ngx_http_kafka_installed.c */

/*
 * The version of the module's file as it lies on disk now, static; empty
 * where the worker cannot read the file.
 */
const char *ngx_http_kafka_installed(ngx_log_t *log);

/* ngx_http_kafka_text.c */

void ngx_http_kafka_text_init(ngx_http_kafka_text_t *text, ngx_pool_t *pool);

/* Adds at most 1024 bytes; the format is ngx_sprintf()'s. */
void ngx_http_kafka_print(ngx_http_kafka_text_t *text, const char *fmt, ...);

/* Adds a value, escaped for a JSON string or a Prometheus label. */
void ngx_http_kafka_print_json(ngx_http_kafka_text_t *text, ngx_str_t *value);
void ngx_http_kafka_print_label(ngx_http_kafka_text_t *text,
    ngx_str_t *value);

/* ngx_http_kafka_status_json.c, ngx_http_kafka_status_prometheus.c */

/* Each returns NGX_HTTP_OK, or NGX_ERROR without memory. */
ngx_int_t ngx_http_kafka_print_status(ngx_http_request_t *r,
    ngx_http_kafka_text_t *text);
ngx_int_t ngx_http_kafka_print_metrics(ngx_http_request_t *r,
    ngx_http_kafka_text_t *text);


#endif
