/* Spans of batches, linked to the traces that records came with. */

#include <cJSON.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "daemon/trace.h"
#include "record/headers.h"
#include "version.h"


#define TRACE_LINKS   128    /* OpenTelemetry's own default */
#define TRACE_PARENT  55     /* bytes of a traceparent of version 00 */
#define TRACE_STATE   512    /* bytes of a tracestate */
#define TRACE_ID      33     /* bytes of a trace's id as text, with the NUL */
#define TRACE_KIND    5      /* SPAN_KIND_CONSUMER of OTLP's trace.proto */


struct trace_s {
    const conf_t  *conf;
    int            fd;         /* -1: not open */
    int64_t        size;       /* bytes of the file */
    buf_t          old;        /* name of the full file */
    buf_t          headers;    /* of a record: record_header_t */
    log_limit_t    limit;
};


static cJSON *trace_span(trace_t *trace, const batch_t *batch, cJSON *links,
    uint64_t dropped);
static cJSON *trace_links(trace_t *trace, const batch_t *batch,
    uint64_t *dropped);
static const record_header_t *trace_parent(trace_t *trace, record_t *record);
static void trace_write(trace_t *trace, const char *line, size_t len);
static int trace_open(trace_t *trace);


trace_t *
trace_create(const conf_t *conf)
{
    trace_t  *trace;

    trace = calloc(1, sizeof(trace_t));

    if (trace) {
        trace->conf = conf;
        trace->fd = -1;
        buf_addf(&trace->old, "%s.1", conf->trace_file);
    }

    return trace;
}


void
trace_destroy(trace_t *trace)
{
    if (trace == NULL) {
        return;
    }

    if (trace->fd != -1) {
        close(trace->fd);
    }

    buf_free(&trace->old);
    buf_free(&trace->headers);
    free(trace);
}


/* {"key":"…","value":{"stringValue":"…"}}; "kind" is "intValue" likewise. */

static void
trace_attribute(cJSON *list, const char *key, const char *kind,
    const char *value)
{
    cJSON  *attribute;

    attribute = cJSON_CreateObject();
    cJSON_AddStringToObject(attribute, "key", key);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(attribute, "value"), kind,
                            value);
    cJSON_AddItemToArray(list, attribute);
}


static void
trace_number(cJSON *list, const char *key, int64_t value)
{
    char  number[24];

    snprintf(number, sizeof(number), "%" PRId64, value);
    trace_attribute(list, key, "intValue", number);
}


void
trace_batch(trace_t *trace, const batch_t *batch, int64_t start, int64_t end)
{
    char      *text, time[32];
    cJSON     *links, *whole, *resource, *scope, *span;
    size_t     len;
    uint64_t   dropped;

    links = trace_links(trace, batch, &dropped);

    if (cJSON_GetArraySize(links) == 0) {
        cJSON_Delete(links);
        return;
    }

    span = trace_span(trace, batch, links, dropped);
    snprintf(time, sizeof(time), "%" PRId64 "000000", start);
    cJSON_AddStringToObject(span, "startTimeUnixNano", time);
    snprintf(time, sizeof(time), "%" PRId64 "000000", end);
    cJSON_AddStringToObject(span, "endTimeUnixNano", time);

    whole = cJSON_CreateObject();
    resource = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(whole, "resourceSpans"),
                         resource);
    trace_attribute(cJSON_AddArrayToObject(
                        cJSON_AddObjectToObject(resource, "resource"),
                        "attributes"),
                    "service.name", "stringValue", "sluice-consumer");

    scope = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(resource, "scopeSpans"),
                         scope);
    resource = cJSON_AddObjectToObject(scope, "scope");
    cJSON_AddStringToObject(resource, "name", "sluice-consumer");
    cJSON_AddStringToObject(resource, "version", SLUICE_VERSION);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(scope, "spans"), span);

    text = cJSON_PrintUnformatted(whole);
    cJSON_Delete(whole);

    if (text) {
        len = strlen(text);
        text[len] = '\n';    /* instead of the NUL */
        trace_write(trace, text, len + 1);
        cJSON_free(text);
    }
}


static cJSON *
trace_span(trace_t *trace, const batch_t *batch, cJSON *links,
    uint64_t dropped)
{
    char           id[TRACE_ID], name[300];
    cJSON         *span, *list;
    unsigned char  bytes[24];

    if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) != sizeof(bytes)) {
        memset(bytes, 1, sizeof(bytes));
    }

    span = cJSON_CreateObject();
    *text_put_hex(id, bytes, 16) = '\0';
    cJSON_AddStringToObject(span, "traceId", id);
    *text_put_hex(id, bytes + 16, 8) = '\0';
    cJSON_AddStringToObject(span, "spanId", id);
    snprintf(name, sizeof(name), "process %s", trace->conf->topic);
    cJSON_AddStringToObject(span, "name", name);
    cJSON_AddNumberToObject(span, "kind", TRACE_KIND);

    list = cJSON_AddArrayToObject(span, "attributes");
    trace_attribute(list, "messaging.system", "stringValue", "kafka");
    trace_attribute(list, "messaging.operation.type", "stringValue",
                    "process");
    trace_attribute(list, "messaging.destination.name", "stringValue",
                    trace->conf->topic);
    trace_attribute(list, "messaging.consumer.group.name", "stringValue",
                    trace->conf->group);
    trace_number(list, "messaging.batch.message_count",
                 (int64_t) batch_records(batch));
    trace_number(list, "sluice.rows",
                 (int64_t) batch_stored(batch));
    trace_number(list, "sluice.dead_letters", (int64_t) batch->dead);

    cJSON_AddItemToObject(span, "links", links);

    if (dropped) {
        cJSON_AddNumberToObject(span, "droppedLinksCount", (double) dropped);
    }

    return span;
}


/* Records of one request follow each other: they are one link. */

static cJSON *
trace_links(trace_t *trace, const batch_t *batch, uint64_t *dropped)
{
    int                     n;
    char                    id[TRACE_ID], state[TRACE_STATE + 1];
    cJSON                  *links, *link, *list;
    size_t                  i;
    record_t                record;
    const char             *last;
    const batch_row_t      *row;
    const record_header_t  *parent, *more;

    links = cJSON_CreateArray();
    *dropped = 0;
    last = NULL;

    for (i = 0, n = 0; i < batch->nrows; i++) {
        row = &batch->rows[i];

        if (row->headers_len == 0) {
            continue;
        }

        batch_record(batch, row, &record);
        parent = trace_parent(trace, &record);

        if (parent == NULL
            || (last && memcmp(last, parent->value, TRACE_PARENT) == 0))
        {
            continue;
        }

        last = parent->value;

        if (n == TRACE_LINKS) {
            (*dropped)++;
            continue;
        }

        n++;
        link = cJSON_CreateObject();
        cJSON_AddItemToArray(links, link);
        snprintf(id, sizeof(id), "%.32s", parent->value + 3);
        cJSON_AddStringToObject(link, "traceId", id);
        snprintf(id, sizeof(id), "%.16s", parent->value + 36);
        cJSON_AddStringToObject(link, "spanId", id);

        more = headers_find(&record, "tracestate");

        if (more && more->value && more->len <= TRACE_STATE
            && text_is_utf8(more->value, more->len))
        {
            snprintf(state, sizeof(state), "%.*s", (int) more->len,
                     more->value);
            cJSON_AddStringToObject(link, "traceState", state);
        }

        list = cJSON_AddArrayToObject(link, "attributes");
        snprintf(id, sizeof(id), "%" PRId32, record.partition);
        trace_attribute(list, "messaging.destination.partition.id",
                        "stringValue", id);
        trace_number(list, "messaging.kafka.offset", record.offset);
        trace_attribute(list, "sluice.outcome", "stringValue",
                        row->fault ? "dead-letter"
                        : row->duplicate ? "duplicate" : "row");
    }

    return links;
}


/* The record's header, if it is well-formed and its trace is sampled. */

static const record_header_t *
trace_parent(trace_t *trace, record_t *record)
{
    size_t                  i;
    const record_header_t  *parent;

    static const char  form[] = "00-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
                                "-hhhhhhhhhhhhhhhh-hh";

    if (headers_unpack(&trace->headers, record->headers, record->headers_len)
        == -1)
    {
        return NULL;
    }

    record->header = (const record_header_t *) (void *) trace->headers.data;
    record->nheaders = trace->headers.len / sizeof(record_header_t);
    parent = headers_find(record, "traceparent");

    if (parent == NULL || parent->value == NULL
        || parent->len != TRACE_PARENT)
    {
        return NULL;
    }

    for (i = 0; i < TRACE_PARENT; i++) {
        if (form[i] == 'h' ? strchr("0123456789abcdef", parent->value[i])
                             == NULL || parent->value[i] == '\0'
                           : parent->value[i] != form[i])
        {
            return NULL;
        }
    }

    /* the least bit of its flags; W3C Trace Context, section 3.2.2.5 */
    return strchr("13579bdf", parent->value[TRACE_PARENT - 1]) ? parent : NULL;
}


/* A full file becomes the old one, so there are never more than two. */

static void
trace_write(trace_t *trace, const char *line, size_t len)
{
    ssize_t  n;

    if (trace->fd == -1 && trace_open(trace) == -1) {
        return;
    }

    if (trace->size + (int64_t) len > trace->conf->trace_bytes) {

        if (buf_failed(&trace->old)
            || rename(trace->conf->trace_file, trace->old.data) == -1)
        {
            log_limited(&trace->limit, "could not rename \"%s\": %s",
                        trace->conf->trace_file, strerror(errno));
            return;
        }

        close(trace->fd);

        if (trace_open(trace) == -1) {
            return;
        }
    }

    n = write(trace->fd, line, len);

    if (n == (ssize_t) len) {
        trace->size += n;
        return;
    }

    log_limited(&trace->limit, "could not write to \"%s\": %s",
                trace->conf->trace_file,
                n == -1 ? strerror(errno) : "it is full");

    /* no half line */
    if (n > 0 && ftruncate(trace->fd, trace->size) == -1) {
        trace->size += n;
    }
}


static int
trace_open(trace_t *trace)
{
    struct stat  st;

    trace->fd = open(trace->conf->trace_file, O_WRONLY | O_APPEND | O_CREAT
                     | O_NONBLOCK | O_CLOEXEC, 0640);

    if (trace->fd == -1 || fstat(trace->fd, &st) == -1) {
        log_limited(&trace->limit, "could not open \"%s\": %s",
                    trace->conf->trace_file, strerror(errno));
        return -1;
    }

    trace->size = st.st_size;

    return 0;
}
