/*
 * Which partition a record gets.  librdkafka's own partitioner decides, by
 * its name in the configuration; the record learns what it said.
 */

#include "kafka/ngx_kafka_impl.h"


static int32_t ngx_kafka_spread(const rd_kafka_topic_t *rkt, const void *key,
    size_t len, int32_t n, void *opaque, void *record);
static int32_t ngx_kafka_spread_next(const rd_kafka_topic_t *rkt,
    ngx_kafka_spread_t *spread, int32_t n);


typedef struct {
    const char   *name;
    ngx_uint_t    any;
    int32_t     (*partitioner)(const rd_kafka_topic_t *rkt, const void *key,
                      size_t len, int32_t n, void *opaque, void *record);
} ngx_kafka_partitioner_t;


static const ngx_kafka_partitioner_t  ngx_kafka_partitioners[] = {
    { "murmur2_random", 1, rd_kafka_msg_partitioner_murmur2_random },
    { "murmur2", 0, rd_kafka_msg_partitioner_murmur2 },
    { "consistent_random", 1, rd_kafka_msg_partitioner_consistent_random },
    { "consistent", 0, rd_kafka_msg_partitioner_consistent },
    { "fnv1a_random", 1, rd_kafka_msg_partitioner_fnv1a_random },
    { "fnv1a", 0, rd_kafka_msg_partitioner_fnv1a },
    { "random", 1, rd_kafka_msg_partitioner_random }
};


void
ngx_kafka_spread_set(ngx_kafka_client_t *client, ngx_uint_t topic,
    rd_kafka_topic_conf_t *tconf)
{
    char                 name[32];
    size_t               len;
    ngx_uint_t           i;
    ngx_kafka_spread_t  *spread;

    len = sizeof(name);

    if (rd_kafka_topic_conf_get(tconf, "partitioner", name, &len)
        != RD_KAFKA_CONF_OK)
    {
        return;
    }

    spread = &client->handle->spread[topic];

    for (i = 0;
         i < sizeof(ngx_kafka_partitioners)
             / sizeof(ngx_kafka_partitioners[0]);
         i++)
    {
        if (ngx_strcmp(ngx_kafka_partitioners[i].name, name) == 0) {
            spread->partitioner = ngx_kafka_partitioners[i].partitioner;
            spread->any = ngx_kafka_partitioners[i].any;

            rd_kafka_topic_conf_set_opaque(tconf, spread);
            rd_kafka_topic_conf_set_partitioner_cb(tconf, ngx_kafka_spread);
            return;
        }
    }
}


/*
 * On the worker's thread, or on one of librdkafka's when metadata has come;
 * never on both at a time, as the topic is locked.  Records without a key stay
 * in one partition for a moment, as librdkafka's own sticky ones do: they
 * share batches.
 */
static int32_t
ngx_kafka_spread(const rd_kafka_topic_t *rkt, const void *key, size_t len,
    int32_t n, void *opaque, void *record)
{
    int32_t              partition;
    ngx_msec_t           now;
    ngx_kafka_record_t  *rec = record;
    ngx_kafka_spread_t  *spread = opaque;

    if (key == NULL && spread->any) {
        now = ngx_current_msec;

        if (now - spread->since >= spread->linger || spread->sticky >= n) {
            spread->sticky = ngx_kafka_spread_next(rkt, spread, n);
            spread->since = now;
        }

        partition = spread->sticky;

    } else {
        partition = spread->partitioner(rkt, key, len, n, NULL, NULL);
    }

    __atomic_store_n(&spread->count, n, __ATOMIC_RELAXED);
    __atomic_store_n(&rec->partition, partition, __ATOMIC_RELAXED);

    return partition;
}


/*
 * The next one in turn whose leader is known, if there is one.  It has waited
 * longest, so its last batch is probably acknowledged: librdkafka's thread
 * spins while records are due for a partition that has five on the way.
 */
static int32_t
ngx_kafka_spread_next(const rd_kafka_topic_t *rkt, ngx_kafka_spread_t *spread,
    int32_t n)
{
    int32_t  i, partition;

    /* workers begin apart */
    partition = spread->since ? spread->sticky
                              : rd_kafka_msg_partitioner_random(rkt, NULL, 0,
                                                                n, NULL, NULL);

    for (i = 0; i < n; i++) {
        partition = (partition + 1) % n;

        if (rd_kafka_topic_partition_available(rkt, partition)) {
            break;
        }
    }

    return partition;
}


int32_t
ngx_kafka_spread_find(ngx_kafka_client_t *client, ngx_uint_t topic,
    ngx_str_t *key)
{
    int32_t              n;
    rd_kafka_topic_t    *rkt;
    ngx_kafka_lanes_t   *lanes;
    ngx_kafka_spread_t  *spread;

    rkt = client->topics[topic];
    spread = &client->handle->spread[topic];
    lanes = &client->producer->lanes[topic];

    n = __atomic_load_n(&spread->count, __ATOMIC_RELAXED);

    if (n == 0) {
        /* of the client before this one */
        n = lanes->count;
    }

    lanes->count = n;

    if (n == 0 || rkt == NULL || spread->partitioner == NULL
        || spread->partitioner == rd_kafka_msg_partitioner_random
        || (key->len == 0 && spread->any))
    {
        return RD_KAFKA_PARTITION_UA;
    }

    return spread->partitioner(rkt, key->data, key->len, n, NULL, NULL);
}
