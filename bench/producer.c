/*
 * A bare librdkafka producer: the limit the module is compared with, and what
 * fills topics for the consumer.  Settings are the module's own; one record at
 * a time does not linger there either.
 *
 *   producer BROKERS TOPIC trip SECONDS          one record at a time
 *   producer BROKERS TOPIC rate SECONDS          as many as it takes
 *   producer BROKERS TOPIC fill COUNT [FORM]     numbered events
 *   producer BROKERS TOPIC pace SECONDS RATE     so many a second, open loop
 *
 * FORM "schema" wraps events in the schema envelope of Kafka Connect's JSON
 * converter; "ids" gives each a header request-id; "types" makes events of the
 * common types.  Prints one line of JSON.
 */

#include <librdkafka/rdkafka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>


#define PRODUCER_TRIPS   1000000
#define PRODUCER_AHEAD   20000      /* records in flight of "rate", "fill" */
#define PRODUCER_BATCH   1000
#define PRODUCER_EVENT   512        /* bytes, at most */


typedef struct {
    rd_kafka_t        *rk;
    rd_kafka_topic_t  *rkt;
    int64_t            kept;
    int64_t            failed;
} producer_t;


static const char *const  producer_settings[][2] = {
    { "enable.idempotence", "true" },
    { "linger.ms", "1" },
    { "partitioner", "murmur2_random" },
    { "socket.nagle.disable", "true" },
    { "queue.buffering.max.messages", "1000000" },
    { "log_level", "3" }
};


static int64_t
producer_clock(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static void
producer_report(rd_kafka_t *rk, const rd_kafka_message_t *rkm, void *opaque)
{
    producer_t  *p = opaque;

    (void) rk;

    if (rkm->err) {
        p->failed++;
    } else {
        p->kept++;
    }
}


static int
producer_open(producer_t *p, const char *brokers, const char *topic,
    const char *linger)
{
    char              err[256];
    size_t            i;
    rd_kafka_conf_t  *conf;

    conf = rd_kafka_conf_new();

    for (i = 0; i < sizeof(producer_settings) / sizeof(*producer_settings);
         i++)
    {
        if (rd_kafka_conf_set(conf, producer_settings[i][0],
                              producer_settings[i][1], err, sizeof(err))
            != RD_KAFKA_CONF_OK)
        {
            fprintf(stderr, "producer: %s\n", err);
            return -1;
        }
    }

    (void) rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);
    if (linger) {
        (void) rd_kafka_conf_set(conf, "linger.ms", linger, NULL, 0);
    }

    rd_kafka_conf_set_dr_msg_cb(conf, producer_report);
    rd_kafka_conf_set_opaque(conf, p);

    p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, sizeof(err));
    if (p->rk == NULL) {
        fprintf(stderr, "producer: %s\n", err);
        return -1;
    }

    p->rkt = rd_kafka_topic_new(p->rk, topic, NULL);

    return p->rkt ? 0 : -1;
}


/* An event of about 130 bytes, as bench/rows.py knows it. */

static size_t
producer_event(char *buf, int64_t n, int schema)
{
    return (size_t) snprintf(buf, PRODUCER_EVENT,
        "%s{\"title\": \"title %09" PRId64 "\", \"content\": \"the content of "
        "an event of usual length, number %09" PRId64 ", and a little more "
        "of it\"}%s",
        schema ? "{\"schema\":{\"type\":\"struct\",\"name\":\"event\","
                 "\"fields\":[{\"field\":\"title\",\"type\":\"string\"},"
                 "{\"field\":\"content\",\"type\":\"string\"}]},\"payload\":"
               : "",
        n, n, schema ? "}" : "");
}


/* One of the common types, as bench/rows.py knows it. */

static size_t
producer_types(char *buf, int64_t n)
{
    return (size_t) snprintf(buf, PRODUCER_EVENT,
        "{\"id\": \"%08" PRIx64 "-0000-4000-8000-%012" PRIx64 "\", \"price\": %"
        PRId64 ".%02" PRId64 ", \"ok\": %s, \"ratio\": 0.%09" PRId64 "}",
        n * 2654435761 % 4294967296, n, n % 10000, n % 100,
        n % 3 ? "true" : "false", n);
}


static int
producer_wait(producer_t *p, int64_t until, int64_t total)
{
    while (p->kept + p->failed < total) {
        if (producer_clock() > until) {
            fprintf(stderr, "producer: no report in time\n");
            return -1;
        }
        rd_kafka_poll(p->rk, 100);
    }

    return p->failed ? -1 : 0;
}


static int
producer_compare(const void *a, const void *b)
{
    int64_t  x = *(const int64_t *) a, y = *(const int64_t *) b;

    return (x > y) - (x < y);
}


static int
producer_trip(producer_t *p, double seconds)
{
    char     event[PRODUCER_EVENT];
    size_t   len;
    int64_t  n, begun, now, end, *trips;

    trips = malloc(PRODUCER_TRIPS * sizeof(int64_t));
    if (trips == NULL) {
        return -1;
    }

    end = 0;

    for (n = -20; n < PRODUCER_TRIPS; n++) {

        if (n == 0) {
            end = producer_clock() + (int64_t) (seconds * 1e9);
        }

        len = producer_event(event, n + 20, 0);
        begun = producer_clock();

        if (n > 0 && begun >= end) {
            break;
        }

        if (rd_kafka_produce(p->rkt, RD_KAFKA_PARTITION_UA,
                             RD_KAFKA_MSG_F_COPY, event, len, NULL, 0, NULL)
            || producer_wait(p, begun + (int64_t) 30e9, n + 21) == -1)
        {
            free(trips);
            return -1;
        }

        now = producer_clock();
        if (n >= 0) {
            trips[n] = now - begun;
        }
    }

    qsort(trips, (size_t) n, sizeof(int64_t), producer_compare);
    printf("{\"trips\":%" PRId64 ",\"p50_us\":%.1f,\"p99_us\":%.1f}\n", n,
           (double) trips[n / 2] / 1e3, (double) trips[n * 99 / 100] / 1e3);
    free(trips);

    return 0;
}


static int
producer_headers(producer_t *p, const char *event, size_t len, int64_t n)
{
    char                 id[40];
    rd_kafka_headers_t  *headers;
    rd_kafka_resp_err_t  err;

    snprintf(id, sizeof(id), "%032" PRId64, n);
    headers = rd_kafka_headers_new(1);
    (void) rd_kafka_header_add(headers, "request-id", -1, id, -1);

    err = rd_kafka_producev(p->rk, RD_KAFKA_V_RKT(p->rkt),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                            RD_KAFKA_V_VALUE((void *) event, len),
                            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (err) {
        rd_kafka_headers_destroy(headers);
    }

    return err ? -1 : 0;
}


/* Until "count" records or the time is over; 0 of either: no such end. */

static int
producer_fill(producer_t *p, int64_t count, double seconds, const char *form)
{
    int                 schema, ids, types;
    char                events[PRODUCER_BATCH][PRODUCER_EVENT];
    int64_t             i, n, sent, begun, end;
    rd_kafka_message_t  rkm[PRODUCER_BATCH];

    schema = form && strcmp(form, "schema") == 0;
    ids = form && strcmp(form, "ids") == 0;
    types = form && strcmp(form, "types") == 0;
    begun = producer_clock();
    end = seconds > 0 ? begun + (int64_t) (seconds * 1e9) : INT64_MAX;

    for (sent = 0; (count == 0 || sent < count) && producer_clock() < end;
         sent += n)
    {
        n = count && count - sent < PRODUCER_BATCH ? count - sent
                                                   : PRODUCER_BATCH;
        memset(rkm, 0, sizeof(rkm));

        for (i = 0; i < n; i++) {
            rkm[i].payload = events[i];
            rkm[i].len = types ? producer_types(events[i], sent + i)
                               : producer_event(events[i], sent + i, schema);
            if (ids && producer_headers(p, events[i], rkm[i].len, sent + i)) {
                return -1;
            }
        }

        if (!ids && rd_kafka_produce_batch(p->rkt, RD_KAFKA_PARTITION_UA,
                                           RD_KAFKA_MSG_F_COPY, rkm, (int) n)
                    != n)
        {
            fprintf(stderr, "producer: a batch was not taken\n");
            return -1;
        }

        if (producer_wait(p, producer_clock() + (int64_t) 60e9,
                          sent + n - PRODUCER_AHEAD)
            == -1)
        {
            return -1;
        }

        rd_kafka_poll(p->rk, 0);
    }

    if (producer_wait(p, producer_clock() + (int64_t) 60e9, sent) == -1) {
        return -1;
    }

    printf("{\"records\":%" PRId64 ",\"rate\":%.1f}\n", sent,
           (double) sent * 1e9 / (double) (producer_clock() - begun));

    return 0;
}


static int
producer_pace(producer_t *p, double seconds, double rate)
{
    char             event[PRODUCER_EVENT];
    size_t           len;
    int64_t          n, total, begun, due, now;
    struct timespec  ts;

    total = (int64_t) (seconds * rate);
    begun = producer_clock();

    for (n = 0; n < total; n++) {
        due = begun + (int64_t) ((double) n * 1e9 / rate);

        while ((now = producer_clock()) < due) {
            rd_kafka_poll(p->rk, 0);
            ts.tv_sec = 0;
            ts.tv_nsec = due - now;
            nanosleep(&ts, NULL);
        }

        len = producer_event(event, n, 0);
        if (rd_kafka_produce(p->rkt, RD_KAFKA_PARTITION_UA,
                             RD_KAFKA_MSG_F_COPY, event, len, NULL, 0, NULL))
        {
            return -1;
        }
    }

    if (producer_wait(p, producer_clock() + (int64_t) 30e9, total) == -1) {
        return -1;
    }

    printf("{\"records\":%" PRId64 ",\"seconds\":%.3f}\n", total,
           (double) (producer_clock() - begun) / 1e9);

    return 0;
}


int
main(int argc, char **argv)
{
    int          rc;
    double       number;
    producer_t   p;
    const char  *what, *form;

    if (argc < 5) {
        fprintf(stderr, "usage: producer BROKERS TOPIC trip|rate|fill|pace "
                "NUMBER [FORM|RATE]\n");
        return 2;
    }

    what = argv[3];
    number = strtod(argv[4], NULL);
    form = argc > 5 ? argv[5] : NULL;
    memset(&p, 0, sizeof(producer_t));

    if (producer_open(&p, argv[1], argv[2],
                      strcmp(what, "fill") == 0 ? "20"
                      : strcmp(what, "trip") == 0 ? "0" : NULL) == -1)
    {
        return 1;
    }

    if (strcmp(what, "trip") == 0) {
        rc = producer_trip(&p, number);

    } else if (strcmp(what, "rate") == 0) {
        rc = producer_fill(&p, 0, number, form);

    } else if (strcmp(what, "fill") == 0) {
        rc = producer_fill(&p, (int64_t) number, 0, form);

    } else if (strcmp(what, "pace") == 0 && form) {
        rc = producer_pace(&p, number, strtod(form, NULL));

    } else {
        fprintf(stderr, "producer: \"%s\" is not known\n", what);
        rc = -1;
    }

    rd_kafka_topic_destroy(p.rkt);
    rd_kafka_destroy(p.rk);

    return rc == 0 ? 0 : 1;
}
