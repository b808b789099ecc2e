/*
 * The configuration of the module and the context of a request.  What is done
 * with them stands in each unit's header.
 *
 * Room: a request: directives, body, records, answer.
 */

#ifndef NGX_HTTP_KAFKA_MODULE_H
#define NGX_HTTP_KAFKA_MODULE_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "inflate.h"
#include "http/ngx_http_kafka_error.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_turn.h"
#include "kafka/ngx_kafka_producer.h"


/* "kafka_format" */
#define NGX_HTTP_KAFKA_RAW          0
#define NGX_HTTP_KAFKA_JSON         1
#define NGX_HTTP_KAFKA_NDJSON       2
#define NGX_HTTP_KAFKA_ARRAY        3
#define NGX_HTTP_KAFKA_CLOUDEVENTS  4
#define NGX_HTTP_KAFKA_AUTO         5
#define NGX_HTTP_KAFKA_CONFLUENT    12

/* what a request is, where "kafka_format" is one of the last three */
#define NGX_HTTP_KAFKA_GUESS        6     /* JSON, or else NDJSON */
#define NGX_HTTP_KAFKA_CE_BINARY    7
#define NGX_HTTP_KAFKA_CE_JSON      8
#define NGX_HTTP_KAFKA_CE_BATCH     9
#define NGX_HTTP_KAFKA_REST_V2      10    /* one document with its records */
#define NGX_HTTP_KAFKA_REST_V3      11    /* a document each */

/* "kafka_empty" */
#define NGX_HTTP_KAFKA_EMPTY_VALUE  0
#define NGX_HTTP_KAFKA_EMPTY_NULL   1

/* "kafka_ack" */
#define NGX_HTTP_KAFKA_DELIVERED    0
#define NGX_HTTP_KAFKA_QUEUED       1
#define NGX_HTTP_KAFKA_CLIENT       2
#define NGX_HTTP_KAFKA_STORED       3


typedef struct {
    ngx_array_t                producers;   /* ngx_kafka_conf_t * */
    ngx_array_t                locations;   /* ngx_http_kafka_loc_conf_t * */
    ngx_msec_t                 drain_timeout;
    ngx_kafka_place_t          drain_place;
    ngx_msec_t                 longest;     /* kafka_timeout of all */
    ngx_kafka_place_t          longest_place;
    ngx_shm_zone_t            *zone;        /* of the counters */
    ngx_uint_t                 wants_body;  /* something uses $request_body */
    /* indices of $request_body and of its JSON; NGX_ERROR: not used */
    ngx_int_t                  request_body;
    ngx_int_t                  json_body;
} ngx_http_kafka_main_conf_t;


/* One kafka_header. */
typedef struct {
    ngx_str_t                  name;
    ngx_http_complex_value_t   value;
} ngx_http_kafka_header_t;


typedef struct ngx_http_kafka_ctx_s      ngx_http_kafka_ctx_t;
typedef struct ngx_http_kafka_reading_s  ngx_http_kafka_reading_t;
typedef struct ngx_http_kafka_reader_s   ngx_http_kafka_reader_t;
typedef struct ngx_http_kafka_rest_s     ngx_http_kafka_rest_t;
typedef struct ngx_http_kafka_stream_s   ngx_http_kafka_stream_t;

typedef void (*ngx_http_kafka_late_pt)(ngx_http_kafka_ctx_t *ctx);


/* Suspended requests of a location in this worker; all have its time-out. */
typedef struct {
    ngx_queue_t                requests;    /* oldest first */
    ngx_event_t                timer;       /* of the first, or of one that is
                                               answered already */
    ngx_http_kafka_late_pt     late;        /* NULL: none was suspended yet */
} ngx_http_kafka_waiting_t;


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
    json_pointer_t            *batch_field; /* of the array in the body */
    ngx_str_t                  batch_text;
    ngx_kafka_place_t          batch_place; /* unset: inherited */
    ngx_array_t               *headers;     /* ngx_http_kafka_header_t */
    ngx_flag_t                 request_headers;
    ngx_array_t               *passed;      /* ngx_str_t, lower case: names,
                                               or with "*" their beginnings */
    ngx_http_complex_value_t  *partition;
    ngx_http_complex_value_t  *timestamp;
    ngx_http_complex_value_t  *body;
    ngx_uint_t                 body_sent;   /* it holds the request's body */
    ngx_int_t                  max_records;
    ngx_flag_t                 stream;      /* records are answered one by one
                                               while they come */
    ngx_kafka_place_t          stream_place;    /* unset: inherited */
    ngx_flag_t                 strip_bom;
    ngx_array_t               *decode;      /* inflate_step_t, after the
                                               Content-Encoding */
    size_t                     inflate_limit;   /* bytes */
    ngx_kafka_place_t          inflate_place;
    ngx_str_t                  dead_letter; /* a topic; data NULL: unset,
                                               len 0: "reject" */
    ngx_kafka_place_t          dead_place;
    ngx_int_t                  dead_index;
    ngx_uint_t                 format;
    ngx_uint_t                 empty;
    ngx_flag_t                 deletes;     /* DELETE makes a null value */
    ngx_kafka_place_t          null_place;  /* of either */
    ngx_uint_t                 ack;
    ngx_kafka_place_t          ack_place;
    ngx_msec_t                 timeout;
    ngx_kafka_place_t          timeout_place;
    schema_t                  *schema;
    ngx_kafka_place_t          schema_place;    /* unset: inherited */
    ngx_array_t               *limits;      /* ngx_http_kafka_limit_t */
    ngx_http_complex_value_t  *response;
    ngx_uint_t                 response_status; /* instead of 200; 0: unset */
    ngx_flag_t                 intercept_errors;
    ngx_str_t                  problem_base;    /* of types, a code follows */
    ngx_http_kafka_waiting_t   waiting;
} ngx_http_kafka_loc_conf_t;


typedef ngx_int_t (*ngx_http_kafka_step_pt)(ngx_http_kafka_ctx_t *ctx);


/* Where the work on a request is. */
typedef struct {
    const ngx_http_kafka_step_pt  *step;
    ngx_http_kafka_job_t           job;     /* while it waits for a turn */
    ngx_event_t                    timer;   /* likewise */
    ngx_http_cleanup_t             cleanup; /* likewise */
} ngx_http_kafka_work_t;


typedef enum {
    NGX_HTTP_KAFKA_WAITING = 0,             /* no report yet, or never sent */
    NGX_HTTP_KAFKA_SENT,                    /* queued: nobody waits for it */
    NGX_HTTP_KAFKA_KEPT,
    NGX_HTTP_KAFKA_FAILED                   /* its problem says why */
} ngx_http_kafka_state_e;


/* One record of a request, beside its message. */
typedef struct {
    ngx_http_kafka_ctx_t      *ctx;
    ngx_http_kafka_state_e     state;
    unsigned                   dead:1;      /* to the dead-letter topic */
    unsigned                   asked:1;     /* its receipt was asked for */
    ngx_kafka_record_t        *record;      /* while it is outstanding */
    ngx_kafka_wait_t          *wait;        /* while its receipt is */
    ngx_http_kafka_problem_t  *problem;     /* NULL: none */
    ngx_kafka_stored_e         stored;      /* what its receipt said */
    int32_t                    partition;
    int64_t                    offset;
    int64_t                    timestamp;   /* ms since 1970 */
} ngx_http_kafka_item_t;


struct ngx_http_kafka_ctx_s {
    ngx_http_request_t         *request;
    ngx_pool_t                 *pool;       /* of records, their headers and
                                               problems: ends when the answer
                                               is written */
    u_char                     *copy;       /* of the body, in one piece, by
                                               malloc(); NULL: none */
    ngx_http_kafka_loc_conf_t  *conf;       /* of the location that took the
                                               request: r's may change */
    ngx_kafka_topic_conf_t     *topic;
    ngx_uint_t                  topic_index;
    ngx_table_elt_t            *named[NGX_HTTP_KAFKA_NAMES];    /* the first
                                               header of each name, or NULL */
    inflate_coding_e            coding;     /* of the body */
    ngx_uint_t                  format;
    ngx_http_kafka_work_t       work;
    ngx_http_kafka_reading_t   *reading;    /* of the body, NULL: none */
    ngx_http_kafka_reader_t    *reader;     /* of its records, NULL: none */
    ngx_http_kafka_rest_t      *rest;       /* of REST Proxy's API, or NULL */
    ngx_http_kafka_stream_t    *stream;     /* its records come in parts; NULL:
                                               all at once */
    ngx_http_kafka_step_pt      answer;     /* to a part of it; NGX_AGAIN: it
                                               goes on */
    ngx_uint_t                  first;      /* records in the parts before */
    void                       *charges;    /* of kafka_limit, likewise */
    ngx_str_t                   body;       /* decoded */
    size_t                      held;       /* bytes, counted in the queue */
    ngx_kafka_message_t         common;     /* what all records share */
    ngx_array_t                 items;      /* ngx_http_kafka_item_t */
    ngx_array_t                 messages;   /* ngx_kafka_message_t, alike;
                                               the first "ready" are sent */
    ngx_http_kafka_item_t       item;       /* of a single record */
    ngx_kafka_message_t         message;
    ngx_str_t                   idempotency_key;
    ngx_uint_t                  invalid;    /* records */
    ngx_uint_t                  ready;      /* messages */
    ngx_uint_t                  given;      /* of them, to the producer */
    size_t                      admitted;   /* bytes, for the others */
    ngx_uint_t                  waiting;    /* records; while some are to be
                                               given, one more */
    ngx_queue_t                 queue;      /* while it is suspended: of its
                                               location, */
    ngx_msec_t                  due;        /* until then */
    ngx_http_cleanup_t          cleanup;
    ngx_http_kafka_problem_t    problem;    /* of the answer */
    ngx_msec_t                  begun;      /* when it was produced */
    ngx_msec_t                  latency;
    unsigned                    batch:1;    /* answered by results[] */
    unsigned                    queued:1;
    unsigned                    stored:1;   /* receipts are waited for */
    unsigned                    lenient:1;
    unsigned                    async:1;    /* the client asked for it, and
                                               it is done */
    unsigned                    wish:2;     /* of "Prefer: ack=", likewise:
                                               NGX_HTTP_KAFKA_*, or
                                               NGX_HTTP_KAFKA_CLIENT: none */
    unsigned                    null:1;     /* its record has no value */
    unsigned                    suspended:1;
    unsigned                    owns:1;     /* "copy" ends with the request */
    unsigned                    own_pool:1;
    unsigned                    heavy:1;    /* has more than its pool */
};


/* Counts that a request ended: by an error, or NGX_HTTP_KAFKA_COUNT_*. */
#define ngx_http_kafka_count(ctx, number)                                     \
    (void) ngx_atomic_fetch_add(                                              \
        &((ctx)->topic ? (ctx)->topic->counts                                 \
                       : &(ctx)->conf->producer->counts->other)               \
            ->requests[number], 1)


/* A stream counts that itself. */
#define ngx_http_kafka_count_left(ctx)                                        \
    if ((ctx)->stream == NULL) {                                              \
        ngx_http_kafka_count(ctx, NGX_HTTP_KAFKA_COUNT_LEFT);                 \
    }


extern ngx_module_t  ngx_http_kafka_module;
extern ngx_module_t  ngx_kafka_module;


#endif
