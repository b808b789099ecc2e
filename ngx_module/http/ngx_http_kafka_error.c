/* The catalogue of errors; problems as problem+json and as a log line. */

#include "http/ngx_http_kafka_error.h"
#include "http/ngx_http_kafka_json.h"
#include "json/json.h"
#include "kafka/ngx_kafka_counters.h"


#define NGX_HTTP_KAFKA_DETAIL_MAX   512     /* bytes */

/* bytes of a problem without its results: three texts, escaped six-fold */
#define NGX_HTTP_KAFKA_PROBLEM_MAX  8192


static u_char *ngx_http_kafka_letter_members(u_char *p, u_char *last,
    ngx_http_kafka_letter_t *letter);


_Static_assert(NGX_HTTP_KAFKA_COUNTS <= NGX_KAFKA_REQUESTS,
               "NGX_KAFKA_REQUESTS in ngx_kafka_counters.h is too small");


/* In the order of ngx_http_kafka_error_e. */
static const ngx_http_kafka_meaning_t  ngx_http_kafka_catalogue[] = {

    { "not-json", 400, "no", 0,
      "The body is not JSON that can be kept",
      "Send one JSON value in UTF-8 (RFC 8259) without NUL or duplicate "
      "members." },

    { "empty-body", 400, "no", 0,
      "The body is empty",
      "Send one JSON value." },

    { "body-not-empty", 400, "no", 0,
      "A DELETE has no body",
      "Send the key where the location takes it from, and no body." },

    { "bad-encoding", 400, "no", 0,
      "The body is not what its Content-Encoding, or the location, says",
      "Send it whole and undamaged, in the Content-Encoding that it names "
      "and as \"kafka_decode\" of the location asks." },

    { "not-cloudevent", 400, "no", 0,
      "The body or the headers are no CloudEvent",
      "Send what CloudEvents 1.0 asks for: id, source, specversion \"1.0\" "
      "and type." },

    { "bad-record", 400, "no", 0,
      "A record is not what REST Proxy's format asks for",
      "Send key, value and what else the manual of \"kafka_format "
      "confluent\" names." },

    { "bad-header", 400, "no", 0,
      "A header cannot be kept with the record",
      "Send values of up to 4096 bytes in UTF-8 without control characters, "
      "an Idempotency-Key of 1 to 255 printable ones." },

    { "bad-partition", 400, "no", 0,
      "There is no such partition",
      "Send the number of a partition the topic has." },

    { "bad-timestamp", 400, "no", 0,
      "The timestamp cannot be kept",
      "Send milliseconds since 1970, or seconds with three decimals, within "
      "what the topic's message.timestamp.before.max.ms and "
      "message.timestamp.after.max.ms allow." },

    { "topic-not-declared", 404, "no", 0,
      "There is no such topic here",
      "Send to a topic that is declared in kafka_producer, or declare it." },

    { "no-resource", 404, "no", 0,
      "There is no such resource here",
      "Call a path that the manual of \"kafka_format confluent\" names." },

    { "method-not-allowed", 405, "no", 0,
      "Records are sent by POST or PUT",
      "Use one of the methods in Allow." },

    { "record-too-large", 413, "no", 0,
      "The record is larger than this producer takes",
      "Send smaller records, or raise \"property message.max.bytes\", "
      "\"queue\", \"kafka_inflate_limit\" and the topic's "
      "max.message.bytes." },

    { "too-many-records", 413, "no", 0,
      "The body holds too many records",
      "Send fewer records at once, or raise \"kafka_max_records\"." },

    { "over-burst", 413, "no", 0,
      "The request is larger than its limit lets through at once",
      "Send fewer or smaller records at once, or raise \"burst_records\" or "
      "\"burst_bytes\" of kafka_limit." },

    { "content-encoding", 415, "no", 0,
      "The Content-Encoding is not supported",
      "Send the body in one of the codings of Accept-Encoding, or plain." },

    { "content-type", 415, "no", 0,
      "The Content-Type is not supported",
      "Send application/json, application/x-ndjson, "
      "application/cloudevents+json, application/cloudevents-batch+json, "
      "application/octet-stream or text/plain." },

    { "no-records", 422, "no", 0,
      "The request holds no records",
      "Send one record or more." },

    { "schema", 422, "no", 0,
      "The body does not fit the schema",
      "Send what the schema asks for; pointer and keyword say where it "
      "differs." },

    { "too-costly", 422, "no", 0,
      "Checking the records takes too many steps",
      "Send fewer or simpler records at once, or simplify the schema." },

    { "no-key", 422, "no", 0,
      "The record lacks a required key",
      "Send a string, number or boolean in the field that the key is taken "
      "from, or what \"kafka_key\" takes; a compacted topic takes no record "
      "without a key, and a record without a value needs one." },

    { "record-refused", 422, "no", 0,
      "The brokers refuse this record",
      "Do not send it again unchanged; ask whoever runs the brokers what the "
      "topic or a policy of the cluster does not allow." },

    { "not-a-row", 422, "dead-letter", 0,
      "The database refused the record",
      "Do not send it again unchanged; sqlstate and reason say what the "
      "database does not take.  It is kept as a dead letter." },

    { "rate-limited", 429, "no", 0,
      "The client sends more than its limit lets through",
      "Try again after Retry-After; RateLimit tells what is left." },

    { "body-gone", 500, "no", 0,
      "The body was thrown away before it could be produced",
      "Do not lead an error_page of another handler to this location." },

    { "internal", 500, "no", 1,
      "The record could not be handled",
      "Try again; the error log says what failed." },

    { "queue-full", 503, "no", 1,
      "Too many records wait for the brokers",
      "Try again later; send slower, or raise \"queue\"." },

    { "overloaded", 503, "no", 1,
      "Records come faster than the brokers acknowledge them",
      "Try again after Retry-After; send slower, or add brokers." },

    { "brokers-down", 503, "no", 1,
      "No broker acknowledges records now",
      "Try again later." },

    { "partition-down", 503, "no", 1,
      "The partition, or all of the topic, does not acknowledge records now",
      "Try again later; the error log names the partition." },

    { "topic-missing", 503, "no", 2,
      "The topic does not exist in Kafka",
      "Create the topic, or declare it with \"create\" and give nginx the "
      "right to create topics." },

    { "not-started", 503, "no", 1,
      "The producer could not start",
      "Try again later; the error log says what failed." },

    { "not-delivered", 503, "no", 1,
      "The record was not kept",
      "Try again." },

    { "not-sent", 503, "no", 1,
      "The record was not sent in time",
      "Try again." },

    { "maybe-delivered", 504, "possibly", 0,
      "The record may have been kept",
      "Try again only where a record may come twice." },

    { "no-report", 504, "possibly", 0,
      "Kafka did not answer in time; the record may have been kept",
      "Try again only where a record may come twice." }
};


const ngx_http_kafka_meaning_t *
ngx_http_kafka_meaning(ngx_http_kafka_error_e code)
{
    return &ngx_http_kafka_catalogue[code];
}


const char *
ngx_http_kafka_count_name(ngx_uint_t number, ngx_uint_t *status)
{
    static const struct {
        const char  *name;
        ngx_uint_t   status;
    } good[] = {
        { "kept", 200 },
        { "queued", 202 },
        { "partly", 207 },
        { "client-left", 0 },
        { "stored", 200 },
        { "pending", 202 }
    };

    if (number >= NGX_HTTP_KAFKA_NO_ERROR) {
        number -= NGX_HTTP_KAFKA_NO_ERROR;
        *status = good[number].status;
        return good[number].name;
    }

    *status = ngx_http_kafka_catalogue[number].status;

    return ngx_http_kafka_catalogue[number].code;
}


ngx_int_t
ngx_http_kafka_refuse(ngx_http_kafka_problem_t *problem,
    ngx_http_kafka_error_e code)
{
    ngx_pool_t  *pool;

    pool = problem->pool;
    ngx_memzero(problem, sizeof(ngx_http_kafka_problem_t));

    problem->pool = pool;
    problem->code = code;

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_kafka_detail(ngx_http_kafka_problem_t *problem,
    ngx_http_kafka_error_e code, const char *fmt, ...)
{
    u_char   buf[NGX_HTTP_KAFKA_DETAIL_MAX];
    size_t   len;
    va_list  args;

    (void) ngx_http_kafka_refuse(problem, code);

    va_start(args, fmt);
    len = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args) - buf;
    va_end(args);

    problem->detail.data = ngx_pnalloc(problem->pool, len);

    if (problem->detail.data) {
        problem->detail.len = len;
        ngx_memcpy(problem->detail.data, buf, len);
    }

    return NGX_DECLINED;
}


void
ngx_http_kafka_log_problem(ngx_log_t *log, ngx_http_kafka_problem_t *problem,
    ngx_str_t *id)
{
    static time_t      second[NGX_HTTP_KAFKA_NO_ERROR];
    static ngx_uint_t  more[NGX_HTTP_KAFKA_NO_ERROR];

    u_char                           text[NGX_HTTP_KAFKA_DETAIL_MAX];
    size_t                           len;
    const ngx_http_kafka_meaning_t  *m;

    m = &ngx_http_kafka_catalogue[problem->code];

    if (m->status < 500) {
        ngx_log_error(NGX_LOG_INFO, log, 0, "kafka [%s] %s, id: %V", m->code,
                      m->title, id);
        return;
    }

    if (second[problem->code] == ngx_time()) {
        more[problem->code]++;
        return;
    }

    /* the detail holds no client's bytes: it is librdkafka's reason, or none */

    len = ngx_slprintf(text, text + sizeof(text), "%V", &problem->detail)
          - text;
    json_one_line((char *) text, len);

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "kafka [%s] %s%s%*s, id: %V; %ui more since the last such "
                  "line", m->code, m->title, len ? ": " : "", len, text, id,
                  more[problem->code]);

    second[problem->code] = ngx_time();
    more[problem->code] = 0;
}


u_char *
ngx_http_kafka_problem_type(u_char *p, u_char *last, ngx_str_t *base,
    ngx_http_kafka_error_e code)
{
    return ngx_slprintf(p, last, "\"type\":\"%V%s\"", base,
                        ngx_http_kafka_catalogue[code].code);
}


u_char *
ngx_http_kafka_problem_members(u_char *p, u_char *last,
    ngx_http_kafka_problem_t *problem)
{
    if (problem->detail.len) {
        p = ngx_http_kafka_member(p, last, "detail", problem->detail.data,
                                  problem->detail.len);
    }

    if (problem->pointer) {
        p = ngx_http_kafka_member(p, last, "pointer",
                                  (u_char *) problem->pointer,
                                  ngx_strlen(problem->pointer));
    }

    if (problem->keyword) {
        p = ngx_http_kafka_member(p, last, "keyword",
                                  (u_char *) problem->keyword,
                                  ngx_strlen(problem->keyword));
    }

    return problem->letter
           ? ngx_http_kafka_letter_members(p, last, problem->letter) : p;
}


static u_char *
ngx_http_kafka_letter_members(u_char *p, u_char *last,
    ngx_http_kafka_letter_t *letter)
{
    /* a topic's name needs no escaping */
    p = ngx_slprintf(p, last,
                     ",\"topic\":\"%V\",\"partition\":%D,\"offset\":%L,"
                     "\"timestamp\":%L", letter->topic, letter->partition,
                     letter->offset, letter->timestamp);

    if (letter->sqlstate.len) {
        p = ngx_http_kafka_member(p, last, "sqlstate", letter->sqlstate.data,
                                  letter->sqlstate.len);
    }

    if (letter->reason.len) {
        p = ngx_http_kafka_member(p, last, "reason", letter->reason.data,
                                  letter->reason.len);
    }

    return p;
}


ngx_int_t
ngx_http_kafka_problem_json(ngx_pool_t *pool,
    ngx_http_kafka_problem_t *problem, ngx_str_t *base, ngx_str_t *id,
    ngx_str_t *results, ngx_str_t *json)
{
    u_char                          *p, *last;
    size_t                           size;
    const ngx_http_kafka_meaning_t  *m;

    m = &ngx_http_kafka_catalogue[problem->code];

    size = NGX_HTTP_KAFKA_PROBLEM_MAX + (results ? results->len : 0);

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    json->data = p;
    last = p + size;

    *p++ = '{';
    p = ngx_http_kafka_problem_type(p, last, base, problem->code);
    p = ngx_slprintf(p, last,
                     ",\"title\":\"%s\",\"status\":%ui,\"persisted\":\"%s\","
                     "\"instance\":\"urn:sluice:request:%V\"",
                     m->title, m->status, m->persisted, id);
    p = ngx_http_kafka_problem_members(p, last, problem);
    p = ngx_http_kafka_member(p, last, "remedy", (u_char *) m->remedy,
                              ngx_strlen(m->remedy));

    if (results) {
        p = ngx_slprintf(p, last, ",%V", results);
    }

    p = ngx_slprintf(p, last, "}\n");

    json->len = p - json->data;

    return NGX_OK;
}
