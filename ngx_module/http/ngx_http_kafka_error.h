/*
 * The errors that a request or a record can end with, what each means, and
 * its forms for clients and for the log.  Knows no request.
 */

#ifndef NGX_HTTP_KAFKA_ERROR_H
#define NGX_HTTP_KAFKA_ERROR_H


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_HTTP_KAFKA_NOT_JSON = 0,
    NGX_HTTP_KAFKA_EMPTY,
    NGX_HTTP_KAFKA_NOT_EMPTY,
    NGX_HTTP_KAFKA_BAD_ENCODING,
    NGX_HTTP_KAFKA_NOT_EVENT,
    NGX_HTTP_KAFKA_BAD_RECORD,
    NGX_HTTP_KAFKA_BAD_HEADER,
    NGX_HTTP_KAFKA_BAD_PARTITION,
    NGX_HTTP_KAFKA_BAD_TIMESTAMP,
    NGX_HTTP_KAFKA_NO_TOPIC,
    NGX_HTTP_KAFKA_NO_RESOURCE,
    NGX_HTTP_KAFKA_METHOD,
    NGX_HTTP_KAFKA_LARGE,
    NGX_HTTP_KAFKA_MANY,
    NGX_HTTP_KAFKA_OVER_BURST,
    NGX_HTTP_KAFKA_ENCODING,
    NGX_HTTP_KAFKA_TYPE,
    NGX_HTTP_KAFKA_NO_RECORDS,
    NGX_HTTP_KAFKA_SCHEMA,
    NGX_HTTP_KAFKA_COSTLY,
    NGX_HTTP_KAFKA_NO_KEY,
    NGX_HTTP_KAFKA_RECORD_REFUSED,
    NGX_HTTP_KAFKA_NOT_A_ROW,
    NGX_HTTP_KAFKA_LIMITED,
    NGX_HTTP_KAFKA_BODY_GONE,
    NGX_HTTP_KAFKA_INTERNAL,
    NGX_HTTP_KAFKA_QUEUE_FULL,
    NGX_HTTP_KAFKA_OVERLOADED,
    NGX_HTTP_KAFKA_BROKERS_DOWN,
    NGX_HTTP_KAFKA_PARTITION_DOWN,
    NGX_HTTP_KAFKA_TOPIC_MISSING,
    NGX_HTTP_KAFKA_NOT_STARTED,
    NGX_HTTP_KAFKA_NOT_DELIVERED,
    NGX_HTTP_KAFKA_NOT_SENT,
    NGX_HTTP_KAFKA_MAYBE_DELIVERED,
    NGX_HTTP_KAFKA_NO_REPORT,
    NGX_HTTP_KAFKA_NO_ERROR
} ngx_http_kafka_error_e;


/* One row of the catalogue of errors. */
typedef struct {
    const char                *code;        /* problem type, log tag, manual */
    ngx_uint_t                 status;
    const char                *persisted;
    ngx_uint_t                 retry;       /* s of Retry-After, 0: none */
    const char                *title;       /* what it means */
    const char                *remedy;      /* the way out */
} ngx_http_kafka_meaning_t;


/* A record that the database refused, as its receipt says. */
typedef struct {
    ngx_str_t                 *topic;
    int32_t                    partition;
    int64_t                    offset;
    int64_t                    timestamp;   /* ms since 1970 */
    ngx_str_t                  sqlstate;    /* may be empty */
    ngx_str_t                  reason;      /* likewise */
} ngx_http_kafka_letter_t;


/*
 * One error of a request or a record; NGX_HTTP_KAFKA_NO_ERROR: none.  Texts
 * are static or in "pool", and may hold a client's bytes.
 *
 * A function that may find a problem returns NGX_OK, or NGX_DECLINED with the
 * problem filled in.  Out of memory is NGX_HTTP_KAFKA_INTERNAL.
 */
typedef struct {
    ngx_pool_t                *pool;        /* NULL: takes no detail */
    ngx_http_kafka_error_e     code;
    ngx_str_t                  detail;
    const char                *pointer;     /* JSON Pointer, or NULL */
    const char                *keyword;     /* of the schema, or NULL */
    ngx_http_kafka_letter_t   *letter;      /* of "not-a-row", or NULL */
    ngx_uint_t                 retry;       /* s, 0: the catalogue's */
} ngx_http_kafka_problem_t;


/*
 * Numbers by which requests are counted: an error's, or one of these for a
 * request that ended without an error.
 */
#define NGX_HTTP_KAFKA_COUNT_KEPT    NGX_HTTP_KAFKA_NO_ERROR
#define NGX_HTTP_KAFKA_COUNT_QUEUED  (NGX_HTTP_KAFKA_NO_ERROR + 1)
#define NGX_HTTP_KAFKA_COUNT_PARTLY  (NGX_HTTP_KAFKA_NO_ERROR + 2)
#define NGX_HTTP_KAFKA_COUNT_LEFT    (NGX_HTTP_KAFKA_NO_ERROR + 3)
#define NGX_HTTP_KAFKA_COUNT_STORED  (NGX_HTTP_KAFKA_NO_ERROR + 4)
#define NGX_HTTP_KAFKA_COUNT_PENDING (NGX_HTTP_KAFKA_NO_ERROR + 5)
#define NGX_HTTP_KAFKA_COUNTS        (NGX_HTTP_KAFKA_NO_ERROR + 6)


const ngx_http_kafka_meaning_t *ngx_http_kafka_meaning(
    ngx_http_kafka_error_e code);

/*
 * The name of what is counted by "number", below NGX_HTTP_KAFKA_COUNTS: an
 * error's code, or "kept", "queued", "partly", "client-left", "stored",
 * "pending".  "status" is the answer's, 0 where there was none.
 */
const char *ngx_http_kafka_count_name(ngx_uint_t number, ngx_uint_t *status);

/* Fills a problem in, with a code only.  Returns NGX_DECLINED. */
ngx_int_t ngx_http_kafka_refuse(ngx_http_kafka_problem_t *problem,
    ngx_http_kafka_error_e code);

/* Also writes its detail, by ngx_sprintf()'s format, up to 512 bytes. */
ngx_int_t ngx_http_kafka_detail(ngx_http_kafka_problem_t *problem,
    ngx_http_kafka_error_e code, const char *fmt, ...);

/*
 * Logs a problem of the request "id" without a client's bytes: at [info] if
 * the client caused it, else at [error], each code once a second at most.
 */
void ngx_http_kafka_log_problem(ngx_log_t *log,
    ngx_http_kafka_problem_t *problem, ngx_str_t *id);

/* Adds "type":"…" for a code; "base" is what comes before the code. */
u_char *ngx_http_kafka_problem_type(u_char *p, u_char *last, ngx_str_t *base,
    ngx_http_kafka_error_e code);

/*
 * Adds the members that a problem has beside those of the catalogue: "detail",
 * "pointer", "keyword", and the place, "sqlstate" and "reason" of a letter.
 */
u_char *ngx_http_kafka_problem_members(u_char *p, u_char *last,
    ngx_http_kafka_problem_t *problem);

/*
 * Writes a problem of the request "id" as application/problem+json (RFC 9457),
 * in "pool", with "results" as its last member, or NULL.  NGX_ERROR when out
 * of memory.
 */
ngx_int_t ngx_http_kafka_problem_json(ngx_pool_t *pool,
    ngx_http_kafka_problem_t *problem, ngx_str_t *base, ngx_str_t *id,
    ngx_str_t *results, ngx_str_t *json);


#endif
