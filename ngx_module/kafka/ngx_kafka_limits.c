/* max.message.bytes of topics, as brokers say. */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_LIMITS_TIMEOUT  5000      /* ms, of one request */
#define NGX_KAFKA_LIMITS_REFRESH  60000     /* ms, a limit may be raised */
#define NGX_KAFKA_LIMITS_RETRY    1000      /* ms, while it is not known */
#define NGX_KAFKA_LIMITS_REREAD   200       /* ms, after a refusal */
#define NGX_KAFKA_LIMITS_ONCE     64        /* topics a request */
#define NGX_KAFKA_LIMITS_LEAVING  2         /* clients being destroyed */


static ngx_uint_t ngx_kafka_limits_due(ngx_kafka_topic_state_t *state);
static void ngx_kafka_limits_ask(ngx_kafka_client_t *client,
    ngx_uint_t *topics, ngx_uint_t n);
static void ngx_kafka_limits_result(ngx_kafka_client_t *client,
    const rd_kafka_ConfigResource_t *resource);
static void ngx_kafka_limits_entry(ngx_kafka_topic_state_t *state,
    const char *key, const char *value);


size_t
ngx_kafka_limits_smallest(ngx_kafka_conf_t *kcf)
{
    size_t      limit, smallest;
    ngx_uint_t  i;

    smallest = 0;

    for (i = 0; i < kcf->topics.nelts; i++) {
        limit = kcf->states[i].limit;

        if (limit && (smallest == 0 || limit < smallest)) {
            smallest = limit;
        }
    }

    return smallest;
}


/* One worker asks; all see the result in shared memory. */
void
ngx_kafka_limits_serve(ngx_kafka_client_t *client)
{
    ngx_uint_t                i, n, topics[NGX_KAFKA_LIMITS_ONCE];
    ngx_kafka_conf_t         *kcf;
    ngx_atomic_uint_t         asked;
    ngx_kafka_topic_state_t  *state;

    if (client->describing || client->retiring) {
        return;
    }

    kcf = client->producer->conf;
    n = 0;

    for (i = 0; i < kcf->topics.nelts && n < NGX_KAFKA_LIMITS_ONCE; i++) {

        state = &kcf->states[i];
        asked = state->asked;

        if (client->topics[i] && ngx_kafka_limits_due(state)
            && ngx_atomic_cmp_set(&state->asked, asked, ngx_current_msec))
        {
            state->wanted = 0;
            topics[n++] = i;
        }
    }

    if (n) {
        ngx_kafka_limits_ask(client, topics, n);
    }
}


static ngx_uint_t
ngx_kafka_limits_due(ngx_kafka_topic_state_t *state)
{
    ngx_msec_int_t  age;

    if (state->asked == 0) {
        return 1;
    }

    age = (ngx_msec_int_t) (ngx_current_msec - (ngx_msec_t) state->asked);

    if (state->wanted) {
        return age >= NGX_KAFKA_LIMITS_REREAD;
    }

    return age >= (state->limit || state->refused ? NGX_KAFKA_LIMITS_REFRESH
                                                  : NGX_KAFKA_LIMITS_RETRY);
}


static void
ngx_kafka_limits_ask(ngx_kafka_client_t *client, ngx_uint_t *topics,
    ngx_uint_t n)
{
    char                        errstr[128];
    ngx_uint_t                  i;
    ngx_kafka_topic_conf_t     *topic;
    rd_kafka_AdminOptions_t    *options;
    rd_kafka_ConfigResource_t  *list[NGX_KAFKA_LIMITS_ONCE];

    topic = client->producer->conf->topics.elts;

    for (i = 0; i < n; i++) {
        list[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC,
                                        (char *) topic[topics[i]].name.data);
    }

    options = rd_kafka_AdminOptions_new(client->rk,
                                        RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);

    (void) rd_kafka_AdminOptions_set_request_timeout(options,
                               NGX_KAFKA_LIMITS_TIMEOUT, errstr,
                               sizeof(errstr));

    client->describing = 1;
    rd_kafka_DescribeConfigs(client->rk, list, n, options, client->admin);

    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy_array(list, n);
}


void
ngx_kafka_limits_event(ngx_kafka_client_t *client, rd_kafka_event_t *event)
{
    size_t                                    i, n;
    const rd_kafka_ConfigResource_t         **resources;
    const rd_kafka_DescribeConfigs_result_t  *result;

    result = rd_kafka_event_DescribeConfigs_result(event);
    if (result == NULL) {
        return;
    }

    client->describing = 0;

    /* the whole request failed: the topics are due again later */

    if (rd_kafka_event_error(event)) {
        return;
    }

    resources = rd_kafka_DescribeConfigs_result_resources(result, &n);

    for (i = 0; i < n; i++) {
        ngx_kafka_limits_result(client, resources[i]);
    }
}


static void
ngx_kafka_limits_result(ngx_kafka_client_t *client,
    const rd_kafka_ConfigResource_t *resource)
{
    size_t                          i, n;
    ngx_int_t                       topic;
    ngx_str_t                       name;
    const char                     *key, *value;
    rd_kafka_resp_err_t             err;
    ngx_kafka_topic_state_t        *state;
    const rd_kafka_ConfigEntry_t  **entries;

    name.data = (u_char *) rd_kafka_ConfigResource_name(resource);
    name.len = ngx_strlen(name.data);

    topic = ngx_kafka_conf_topic(client->producer->conf, &name);
    if (topic == NGX_ERROR) {
        return;
    }

    state = &client->producer->conf->states[topic];
    err = rd_kafka_ConfigResource_error(resource);

    if (err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
        || err == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED)
    {
        if (ngx_atomic_cmp_set(&state->refused, 0, 1)) {
            ngx_log_error(NGX_LOG_WARN, client->producer->log, 0,
                          "could not read max.message.bytes of topic \"%V\": "
                          "%s; allow the principal DescribeConfigs on the "
                          "topic, or let max.message.bytes not be below "
                          "message.max.bytes, which applies meanwhile",
                          &name, rd_kafka_err2str(err));
            ngx_kafka_promise_judge(client->producer, topic);
        }

        return;
    }

    if (err) {
        return;
    }

    entries = rd_kafka_ConfigResource_configs(resource, &n);

    for (i = 0; i < n; i++) {
        key = rd_kafka_ConfigEntry_name(entries[i]);
        value = rd_kafka_ConfigEntry_value(entries[i]);

        if (value) {
            ngx_kafka_limits_entry(state, key, value);
        }
    }

    ngx_kafka_promise_judge(client->producer, topic);
}


static void
ngx_kafka_limits_entry(ngx_kafka_topic_state_t *state, const char *key,
    const char *value)
{
    ngx_int_t  n;

    if (ngx_strcmp(key, "max.message.bytes") == 0) {
        n = ngx_atosz((u_char *) value, ngx_strlen(value));

        if (n > 0) {
            state->refused = 0;
            state->limit = n;
        }

    } else if (ngx_strcmp(key, "min.insync.replicas") == 0) {
        n = ngx_atoi((u_char *) value, ngx_strlen(value));

        if (n > 0) {
            state->in_sync = n;
        }

    } else if (ngx_strcmp(key, "unclean.leader.election.enable") == 0) {
        state->unclean = ngx_strcmp(value, "true") == 0;
    }
}


void
ngx_kafka_limits_refused(ngx_kafka_client_t *client, ngx_uint_t topic)
{
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

    kp->conf->states[topic].wanted = 1;

    if (kp->client) {
        ngx_kafka_limits_serve(kp->client);
    }
}


ngx_uint_t
ngx_kafka_limits_outgrown(ngx_kafka_client_t *client)
{
    size_t                 smallest;
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

    if (client->retiring || kp->client != client) {
        return 0;
    }

    smallest = ngx_kafka_limits_smallest(kp->conf);

    if (smallest == 0 || client->batch <= smallest
        || ngx_kafka_destroying() >= NGX_KAFKA_LIMITS_LEAVING)
    {
        return 0;
    }

    ngx_log_error(NGX_LOG_NOTICE, kp->log, 0,
                  "kafka_producer \"%V\": a topic takes at most %uz bytes "
                  "at once, its client is replaced by one with such batches",
                  &kp->conf->name, smallest);

    /* the next client need not wait, as after a failure */
    kp->start = ngx_current_msec;

    return 1;
}
