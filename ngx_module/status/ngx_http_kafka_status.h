/*
 * Counters in shared memory, between those who count and the pages.
 *
 * Room: reads the counters: JSON, Prometheus, ready, live.
 */

#ifndef NGX_HTTP_KAFKA_STATUS_H
#define NGX_HTTP_KAFKA_STATUS_H


#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_json.h"
#include "http/ngx_http_kafka_module.h"


/* A text that grows in a request's pool; "start" is NULL without memory. */
typedef struct {
    ngx_pool_t                *pool;
    u_char                    *start;
    u_char                    *last;
    u_char                    *end;
} ngx_http_kafka_page_t;


/* What a page shows of a producer: sums over living workers. */
typedef struct {
    ngx_kafka_producer_counts_t  *counts;
    ngx_kafka_conf_t                  *conf;        /* NULL: no more */
    ngx_array_t                       *topics;      /* with something to show:
                                                       …_topic_view_t */
    ngx_array_t                       *brokers;     /* that a worker knows:
                                                       …_broker_view_t */
    ngx_uint_t                         workers;
    ngx_uint_t                         up;          /* of them connected */
    ngx_uint_t                         records;
    ngx_uint_t                         bytes;
    ngx_uint_t                         in_flight;
} ngx_http_kafka_producer_view_t;


/* Of one of its topics; a copy, so that its sums fit together. */
typedef struct {
    ngx_kafka_topic_counts_t      counts;
    ngx_kafka_topic_state_t           *state;       /* NULL: no more */
    ngx_uint_t                         kept;        /* records */
    ngx_uint_t                         failed;      /* records */
    ngx_uint_t                         requests;
} ngx_http_kafka_topic_view_t;


/* Of one of its brokers. */
typedef struct {
    ngx_kafka_broker_t                 broker;
    ngx_uint_t                         states[NGX_KAFKA_BROKER_UP + 1];
    ngx_uint_t                         rtt;         /* us, average */
    ngx_uint_t                         rtt_p99;     /* us, the worst */
} ngx_http_kafka_broker_view_t;


typedef struct {
    ngx_kafka_shared_t           *shared;
    ngx_array_t                        producers;   /* …_producer_view_t */
    ngx_array_t                        slots;       /* of living workers:
                                                       …_slot_t * */
    ngx_uint_t                         requests;
    ngx_uint_t                         kept;
    ngx_uint_t                         failed;
    ngx_uint_t                         records;
    ngx_uint_t                         bytes;
    ngx_uint_t                         in_flight;
} ngx_http_kafka_view_t;


/* ngx_http_kafka_view.c */

/* NGX_ERROR without memory. */
ngx_int_t ngx_http_kafka_view(ngx_http_request_t *r,
    ngx_http_kafka_view_t *view);

/* ngx_http_kafka_page.c */

void ngx_http_kafka_page_init(ngx_http_kafka_page_t *page, ngx_pool_t *pool);

/* Adds at most 1024 bytes. */
void ngx_http_kafka_print(ngx_http_kafka_page_t *page, const char *fmt, ...);

/* Adds a text, escaped for a JSON string or a Prometheus label. */
void ngx_http_kafka_print_json(ngx_http_kafka_page_t *page, ngx_str_t *text);
void ngx_http_kafka_print_label(ngx_http_kafka_page_t *page,
    ngx_str_t *text);

/*
 * The version of the module's file as it lies on disk now, static; empty
 * where it cannot be read.
 */
const char *ngx_http_kafka_installed(ngx_log_t *log);

/* ngx_http_kafka_status_json.c, …_prometheus.c */

ngx_int_t ngx_http_kafka_status_json(ngx_http_request_t *r,
    ngx_http_kafka_page_t *page);
ngx_int_t ngx_http_kafka_status_prometheus(ngx_http_request_t *r,
    ngx_http_kafka_page_t *page);

/* ngx_http_kafka_status_html.c */

extern ngx_str_t  ngx_http_kafka_html;

/* Content-Security-Policy that lets through nothing but the page's own. */
extern ngx_str_t  ngx_http_kafka_html_policy;


extern ngx_module_t  ngx_http_kafka_status_module;


#endif
