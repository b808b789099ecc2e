/* Metrics as Prometheus reads them, health as JSON. */

#include <cJSON.h>
#include <dirent.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/metrics.h"
#include "version.h"


typedef struct {
    const char  *name;
    const char  *help;
    size_t       offset;
    size_t       share;     /* of a topic, in metrics_topic_t; 0: none */
} metrics_counter_t;


typedef struct {
    const char    *name;
    const char    *help;
    const double  *bounds;      /* METRICS_BOUNDS at most, ends with 0 */
} metrics_series_t;


static const double  metrics_rows[] = {
    1, 10, 100, 1000, 10000, 100000, 0
};

static const double  metrics_seconds[] = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 0
};

static const double  metrics_delays[] = {
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600, 0
};


/* By metrics_histogram_e. */

static const metrics_series_t  metrics_series[] = {
    { "batch_rows", "Rows and dead letters of a committed batch.",
      metrics_rows },
    { "commit_seconds", "Time of a batch's last query, which has COMMIT.",
      metrics_seconds },
    { "copy_seconds", "Time from BEGIN until a batch's rows are copied.",
      metrics_seconds },
    { "latency_seconds", "Age of a record by its timestamp in Kafka, once "
      "it is committed.", metrics_delays }
};


/* Classes of SQLSTATE that are retried; the last one is for all others. */

static const char *const  metrics_classes[METRICS_CLASSES] = {
    "08", "25", "40", "53", "55", "57", "58", "XX", "other"
};


static void metrics_process(const metrics_t *m, const char *topic,
    buf_t *out);
static void metrics_partition_gauges(const metrics_t *m, buf_t *out);
static void metrics_topic_gauges(const metrics_t *m, buf_t *out);


static const metrics_counter_t  metrics_counters[] = {
    { "batches_total", "Transactions committed.",
      offsetof(metrics_t, batches), 0 },
    { "copies_total", "COPYs of rows, failed ones included.",
      offsetof(metrics_t, copies), 0 },
    { "dead_letters_total", "Records stored as dead letters.",
      offsetof(metrics_t, dead_letters),
      offsetof(metrics_topic_t, dead_letters) },
    { "dropped_total", "Records dropped: they are below the next offset.",
      offsetof(metrics_t, dropped), 0 },
    { "duplicates_total", "Clients' retries, which took no effect.",
      offsetof(metrics_t, duplicates), offsetof(metrics_topic_t, duplicates) },
    { "fenced_total", "Transactions refused: a partition had a new owner.",
      offsetof(metrics_t, fenced), 0 },
    { "filtered_total",
      "Records left out by \"where\", \"route\" or \"update\".",
      offsetof(metrics_t, filtered), offsetof(metrics_topic_t, filtered) },
    { "gaps_total", "Ranges of offsets that held no record.",
      offsetof(metrics_t, gaps), 0 },
    { "rebalances_total", "Assignments and revocations.",
      offsetof(metrics_t, rebalances), 0 },
    { "bytes_total", "Bytes of committed keys and values.",
      offsetof(metrics_t, bytes), offsetof(metrics_topic_t, bytes) },
    { "receipts_dropped_total", "Receipts that could not be sent.",
      offsetof(metrics_t, receipts_dropped), 0 },
    { "receipts_sent_total", "Receipts in their topic.",
      offsetof(metrics_t, receipts_sent), 0 },
    { "registry_failures_total", "Requests to the schema registry that gave "
      "no schema.", offsetof(metrics_t, registry_failures), 0 },
    { "registry_requests_total", "Requests to the schema registry.",
      offsetof(metrics_t, registry_requests), 0 },
    { "reconnects_total", "Connections to PostgreSQL that were lost.",
      offsetof(metrics_t, reconnects), 0 },
    { "rows_total", "Rows committed in the table.",
      offsetof(metrics_t, rows), offsetof(metrics_topic_t, rows) },
    { "terminated_total", "Backends ended: another daemon had left them.",
      offsetof(metrics_t, terminated), 0 }
};


void
metrics_observe(metrics_t *m, metrics_histogram_e which, double value)
{
    size_t                i;
    const double         *bounds;
    metrics_histogram_t  *histogram;

    histogram = &m->histograms[which];
    bounds = metrics_series[which].bounds;

    for (i = 0; bounds[i] != 0 && value > bounds[i]; i++) {
        /* the first bound that is not below the value */
    }

    histogram->counts[i]++;
    histogram->sum += value;
}


void
metrics_retry(metrics_t *m, const char *sqlstate)
{
    size_t  i;

    for (i = 0; i < METRICS_CLASSES - 1; i++) {
        if (strncmp(sqlstate, metrics_classes[i], 2) == 0) {
            break;
        }
    }

    m->retries[i]++;
}


static void
metrics_head(buf_t *out, const char *name, const char *help,
    const char *type)
{
    buf_addf(out, "# HELP sluice_consumer_%s %s\n"
             "# TYPE sluice_consumer_%s %s\n", name, help, name, type);
}


/* "topic" is as a label has it; no topic's name has to be escaped for that. */

static void
metrics_one(buf_t *out, const char *name, const char *type, const char *help,
    const char *topic, double value)
{
    metrics_head(out, name, help, type);
    buf_addf(out, "sluice_consumer_%s{topic=\"%s\"} %.15g\n", name, topic,
             value);
}


static void
metrics_histogram(buf_t *out, const metrics_series_t *series,
    const metrics_histogram_t *histogram, const char *topic)
{
    size_t    i;
    uint64_t  count;

    metrics_head(out, series->name, series->help, "histogram");

    for (i = 0, count = 0; series->bounds[i] != 0; i++) {
        count += histogram->counts[i];
        buf_addf(out, "sluice_consumer_%s_bucket{topic=\"%s\",le=\"%g\"} "
                 "%llu\n", series->name, topic, series->bounds[i],
                 (unsigned long long) count);
    }

    count += histogram->counts[i];
    buf_addf(out, "sluice_consumer_%s_bucket{topic=\"%s\",le=\"+Inf\"} "
             "%llu\n"
             "sluice_consumer_%s_sum{topic=\"%s\"} %.9g\n"
             "sluice_consumer_%s_count{topic=\"%s\"} %llu\n",
             series->name, topic, (unsigned long long) count, series->name,
             topic, histogram->sum, series->name, topic,
             (unsigned long long) count);
}


/* Of each topic, where its share is counted. */

static void
metrics_counter(const metrics_t *m, const metrics_counter_t *counter,
    const char *topic, buf_t *out)
{
    size_t  i;

    if (m->topics == NULL || counter->share == 0) {
        metrics_one(out, counter->name, "counter", counter->help, topic,
                    (double) *(const uint64_t *)
                        ((const char *) m + counter->offset));
        return;
    }

    metrics_head(out, counter->name, counter->help, "counter");

    for (i = 0; i < m->ntopics; i++) {
        buf_addf(out, "sluice_consumer_%s{topic=\"%s\"} %llu\n",
                 counter->name, m->topics[i].name,
                 *(const unsigned long long *)
                     ((const char *) &m->topics[i] + counter->share));
    }
}


void
metrics_prometheus(const metrics_t *m, const char *topic, buf_t *out)
{
    size_t  i;

    for (i = 0; i < sizeof(metrics_counters) / sizeof(metrics_counter_t);
         i++)
    {
        metrics_counter(m, &metrics_counters[i], topic, out);
    }

    metrics_head(out, "retries_total", "Failed attempts that are repeated, "
                 "by class of SQLSTATE.", "counter");

    for (i = 0; i < METRICS_CLASSES; i++) {
        buf_addf(out, "sluice_consumer_retries_total{topic=\"%s\","
                 "class=\"%s\"} %llu\n", topic, metrics_classes[i],
                 (unsigned long long) m->retries[i]);
    }

    for (i = 0; i < METRICS_HISTOGRAMS; i++) {
        metrics_histogram(out, &metrics_series[i], &m->histograms[i], topic);
    }

    metrics_one(out, "held", "gauge", "1 while the daemon waits for a person "
                "to mend something.", topic, m->held);
    metrics_one(out, "ready", "gauge", "1 while records are stored as they "
                "come.", topic, m->ready);
    metrics_one(out, "kafka_up", "gauge", "1 while a broker can be reached.",
                topic, m->kafka_up);
    metrics_one(out, "postgres_up", "gauge", "1 while connected to "
                "PostgreSQL.", topic, m->postgres_up);
    metrics_one(out, "registry_schemas", "gauge", "Schemas of the registry "
                "that are in memory.", topic, (double) m->registry_schemas);
    metrics_one(out, "last_commit_timestamp_seconds", "gauge", "Time of the "
                "last committed batch, since 1970; 0: none yet.", topic,
                (double) m->last_commit / 1000);
    metrics_one(out, "last_reload_successful", "gauge", "0 after SIGHUP found "
                "a configuration that it refused.", topic,
                !m->reload_refused);

    metrics_head(out, "build_info", "What runs.", "gauge");
    buf_addf(out, "sluice_consumer_build_info{topic=\"%s\",version=\""
             SLUICE_VERSION "\",librdkafka=\"%s\",libpq=\"%d\"} 1\n",
             topic, rd_kafka_version_str(), PQlibVersion());

    metrics_topic_gauges(m, out);
    metrics_partition_gauges(m, out);
    metrics_process(m, topic, out);
}


/* Of /proc/self, which a process may read of itself; 0 where it cannot. */

static double
metrics_resident(void)
{
    FILE           *file;
    unsigned long   pages;

    pages = 0;
    file = fopen("/proc/self/statm", "re");

    if (file) {
        if (fscanf(file, "%*u %lu", &pages) != 1) {
            pages = 0;
        }
        (void) fclose(file);
    }

    return (double) pages * (double) sysconf(_SC_PAGESIZE);
}


static double
metrics_fds(void)
{
    DIR  *dir;
    int   n;

    dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return 0;
    }

    /* without ".", ".." and the folder itself */
    for (n = -3; readdir(dir); n++) {
        /* only counts */
    }

    closedir(dir);

    return n;
}


/* By the names that Prometheus' own clients use. */

static void
metrics_process(const metrics_t *m, const char *topic, buf_t *out)
{
    size_t         i;
    struct rlimit  limit = { 0 };
    struct rusage  used = { 0 };

    (void) getrlimit(RLIMIT_NOFILE, &limit);
    (void) getrusage(RUSAGE_SELF, &used);

    const struct {
        const char  *name;
        const char  *type;
        const char  *help;
        double       value;
    } figures[] = {
        { "start_time_seconds", "gauge", "When this run began, since 1970.",
          (double) m->start / 1000 },
        { "cpu_seconds_total", "counter", "Processor time, user and system.",
          (double) (used.ru_utime.tv_sec + used.ru_stime.tv_sec)
          + (double) (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6 },
        { "resident_memory_bytes", "gauge", "Resident memory.",
          metrics_resident() },
        { "open_fds", "gauge", "Open descriptors.", metrics_fds() },
        { "max_fds", "gauge", "Descriptors that may be open.",
          (double) limit.rlim_cur }
    };

    for (i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        buf_addf(out, "# HELP process_%s %s\n# TYPE process_%s %s\n"
                 "process_%s{topic=\"%s\"} %.15g\n", figures[i].name,
                 figures[i].help, figures[i].name, figures[i].type,
                 figures[i].name, topic, figures[i].value);
    }
}


static void
metrics_topic_gauges(const metrics_t *m, buf_t *out)
{
    size_t  i;

    if (m->topics == NULL) {
        return;
    }

    metrics_head(out, "topic_held", "1 while a topic is not read and the "
                 "others are.", "gauge");

    for (i = 0; i < m->ntopics; i++) {
        buf_addf(out, "sluice_consumer_topic_held{topic=\"%s\"} %d\n",
                 m->topics[i].name, m->topics[i].reason != NULL);
    }
}


static void
metrics_partition_gauges(const metrics_t *m, buf_t *out)
{
    size_t                      i, j;
    const metrics_counter_t    *gauge;
    const metrics_partition_t  *p;

    static const metrics_counter_t  gauges[] = {
        { "epoch", "Epoch of an assigned partition, raised by each claim.",
          offsetof(metrics_partition_t, epoch), 0 },
        { "lag", "Records not yet committed.",
          offsetof(metrics_partition_t, lag), 0 },
        { "next_offset", "The next offset to commit.",
          offsetof(metrics_partition_t, next_offset), 0 }
    };

    for (j = 0; j < sizeof(gauges) / sizeof(metrics_counter_t); j++) {
        gauge = &gauges[j];
        metrics_head(out, gauge->name, gauge->help, "gauge");

        for (i = 0; i < m->npartitions; i++) {
            p = &m->partitions[i];
            buf_addf(out, "sluice_consumer_%s{topic=\"%s\","
                     "partition=\"%d\"} %lld\n", gauge->name, p->topic,
                     p->partition,
                     *(const long long *) ((const char *) p + gauge->offset));
        }
    }
}


void
metrics_health(const metrics_t *m, buf_t *out)
{
    char   *text;
    cJSON  *json;

    json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "status", m->held ? "held" : "ok");
    cJSON_AddStringToObject(json, "state", m->state);
    cJSON_AddStringToObject(json, "reason",
                            text_is_utf8(m->reason, strlen(m->reason))
                            ? m->reason : "not UTF-8");
    cJSON_AddBoolToObject(json, "kafka", m->kafka_up);
    cJSON_AddBoolToObject(json, "postgres", m->postgres_up);
    cJSON_AddNumberToObject(json, "partitions", (double) m->npartitions);
    cJSON_AddNumberToObject(json, "lag", (double) m->lag);

    if (m->receipts) {
        cJSON_AddStringToObject(json, "receipts", m->receipts[0] == '\0'
                                ? "sent" : text_is_utf8(m->receipts,
                                                        strlen(m->receipts))
                                ? m->receipts : "not UTF-8");
    }

    text = cJSON_PrintUnformatted(json);
    buf_addf(out, "%s\n", text ? text : "{}");

    cJSON_free(text);
    cJSON_Delete(json);
}
