/*
 * What the metadata of topics tells: partitions, and with their configuration
 * whether they keep what a 200 promises.
 */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_LOOK_REFRESH  60000       /* ms, it may be changed */
#define NGX_KAFKA_LOOK_RETRY    5000        /* ms, while a topic lacks some */

#define NGX_KAFKA_ONE_REPLICA   0x01
#define NGX_KAFKA_ONE_IN_SYNC   0x02
#define NGX_KAFKA_UNCLEAN       0x04


static ngx_uint_t ngx_kafka_promise_due(ngx_kafka_client_t *client);
static void ngx_kafka_promise_seen(ngx_kafka_producer_t *kp,
    const struct rd_kafka_metadata *metadata);
static void ngx_kafka_promise_partitions(ngx_kafka_producer_t *kp,
    ngx_uint_t topic, ngx_int_t n);


void
ngx_kafka_promise_serve(ngx_kafka_client_t *client)
{
    ngx_atomic_uint_t     looked;
    ngx_kafka_conf_t     *kcf;
    ngx_kafka_handle_t   *handle;

    handle = client->handle;
    kcf = client->producer->conf;

    if (handle->looking) {

        if (!ngx_kafka_looked(handle)) {
            return;
        }

        if (handle->metadata) {
            ngx_kafka_promise_seen(client->producer, handle->metadata);
        }

        ngx_kafka_look_end(handle);
    }

    if (client->retiring || !client->up || kcf->topics.nelts == 0
        || ngx_exiting || !ngx_kafka_promise_due(client))
    {
        return;
    }

    looked = kcf->states[0].looked;

    if (ngx_atomic_cmp_set(&kcf->states[0].looked, looked, ngx_current_msec)) {
        ngx_kafka_look(client);
    }
}


/* One worker asks; all see the result in shared memory. */
static ngx_uint_t
ngx_kafka_promise_due(ngx_kafka_client_t *client)
{
    ngx_uint_t         i, unknown;
    ngx_msec_t         looked;
    ngx_kafka_conf_t  *kcf;

    kcf = client->producer->conf;
    unknown = 0;

    for (i = 0; i < kcf->topics.nelts; i++) {
        unknown |= client->topics[i]
                   && (kcf->states[i].replication == 0
                       || ngx_kafka_promise_lacks(kcf, i));
    }

    looked = kcf->states[0].looked;

    if (looked == 0) {
        return unknown;
    }

    /* another worker's clock may be ahead */
    return (ngx_msec_int_t) (ngx_current_msec - looked)
           >= (unknown ? NGX_KAFKA_LOOK_RETRY : NGX_KAFKA_LOOK_REFRESH);
}


static void
ngx_kafka_promise_seen(ngx_kafka_producer_t *kp,
    const struct rd_kafka_metadata *metadata)
{
    int                                     i, j, least;
    ngx_int_t                               topic;
    ngx_str_t                               name;
    const struct rd_kafka_metadata_topic   *t;

    for (i = 0; i < metadata->topic_cnt; i++) {

        t = &metadata->topics[i];

        name.data = (u_char *) t->topic;
        name.len = ngx_strlen(name.data);

        topic = ngx_kafka_conf_topic(kp->conf, &name);

        if (topic == NGX_ERROR || t->err || t->partition_cnt == 0) {
            continue;
        }

        ngx_kafka_promise_partitions(kp, topic, t->partition_cnt);

        least = t->partitions[0].replica_cnt;

        for (j = 1; j < t->partition_cnt; j++) {
            least = ngx_min(least, t->partitions[j].replica_cnt);
        }

        if (least > 0) {
            kp->conf->states[topic].replication = least;
            ngx_kafka_promise_judge(kp, topic);
        }
    }
}


static void
ngx_kafka_promise_partitions(ngx_kafka_producer_t *kp, ngx_uint_t topic,
    ngx_int_t n)
{
    ngx_kafka_topic_conf_t  *conf;

    kp->conf->states[topic].partitions = n;

    conf = kp->conf->topics.elts;
    conf += topic;

    if (!ngx_kafka_promise_lacks(kp->conf, topic)) {
        conf->told = 0;
        return;
    }

    if (!conf->told) {
        conf->told = 1;
        ngx_log_error(NGX_LOG_ERR, kp->log, 0,
                      "topic \"%V\" has %i partitions, fewer than the %i "
                      "declared: add them with kafka-topics --alter, or "
                      "declare less", &conf->name, n, conf->partitions);
    }
}


ngx_uint_t
ngx_kafka_promise_lacks(ngx_kafka_conf_t *kcf, ngx_uint_t topic)
{
    ngx_kafka_topic_conf_t  *conf;

    conf = kcf->topics.elts;

    return kcf->states[topic].partitions
           && (ngx_int_t) kcf->states[topic].partitions
              < conf[topic].partitions;
}


void
ngx_kafka_promise_judge(ngx_kafka_producer_t *kp, ngx_uint_t topic)
{
    u_char                    text[NGX_KAFKA_WEAK_TEXT];
    ngx_uint_t                weak;
    ngx_kafka_topic_conf_t   *conf;
    ngx_atomic_uint_t         before;
    ngx_kafka_topic_state_t  *state;

    state = &kp->conf->states[topic];
    conf = kp->conf->topics.elts;

    if (state->replication == 0 || (state->in_sync == 0 && !state->refused)) {
        /* the line is logged when all is known */
        return;
    }

    weak = 0;

    if (state->replication == 1) {
        weak |= NGX_KAFKA_ONE_REPLICA;

    } else if (state->in_sync == 1) {
        weak |= NGX_KAFKA_ONE_IN_SYNC;
    }

    if (state->unclean && state->replication > 1) {
        weak |= NGX_KAFKA_UNCLEAN;
    }

    before = state->weak;

    if (weak == before || !ngx_atomic_cmp_set(&state->weak, before, weak)) {
        return;
    }

    if (weak == 0) {
        ngx_log_error(NGX_LOG_NOTICE, kp->log, 0,
                      "topic \"%V\": a 200 is kept as promised again",
                      &conf[topic].name);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, kp->log, 0,
                  "topic \"%V\": a 200 promises less than it says: %*s",
                  &conf[topic].name,
                  (size_t) (ngx_kafka_promise_text(state, text, sizeof(text))
                            - text),
                  text);
}


u_char *
ngx_kafka_promise_text(ngx_kafka_topic_state_t *state, u_char *buf,
    size_t size)
{
    u_char             *p, *last;
    ngx_uint_t          i;
    ngx_atomic_uint_t   weak;

    static struct {
        ngx_uint_t   bit;
        const char  *text;
    } reasons[] = {
        { NGX_KAFKA_ONE_REPLICA,
          "it has one replica, so records are lost with one broker's disk; "
          "give it 3" },
        { NGX_KAFKA_ONE_IN_SYNC,
          "min.insync.replicas is 1, so one broker's disk may be all that "
          "has a record; set it to 2" },
        { NGX_KAFKA_UNCLEAN,
          "unclean.leader.election.enable is true, so a broker that lacks "
          "records may become leader; set it to false" }
    };

    p = buf;
    last = buf + size;
    weak = state->weak;

    for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (weak & reasons[i].bit) {
            p = ngx_slprintf(p, last, "%s%s", p == buf ? "" : "; ",
                             reasons[i].text);
        }
    }

    return p;
}


size_t
ngx_kafka_cluster_id(ngx_kafka_producer_t *kp, u_char *buf, size_t size)
{
    char    *id;
    size_t   len;

    /* without a time-out librdkafka only looks what it has */

    id = kp->client ? rd_kafka_clusterid(kp->client->rk, 0) : NULL;
    if (id == NULL) {
        return 0;
    }

    len = ngx_strlen(id);

    if (len <= size) {
        ngx_memcpy(buf, id, len);
    }

    rd_kafka_mem_free(kp->client->rk, id);

    return len <= size ? len : 0;
}
