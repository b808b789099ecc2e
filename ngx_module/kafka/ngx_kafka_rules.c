/* What topics take, as their configuration says: size, key, timestamp. */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_RULES_TIMEOUT  5000      /* ms, of one request */
#define NGX_KAFKA_RULES_REFRESH  60000     /* ms, rules may be relaxed */
#define NGX_KAFKA_RULES_RETRY    1000      /* ms, while they are not known */
#define NGX_KAFKA_RULES_REREAD   200       /* ms, after a refusal */
#define NGX_KAFKA_RULES_ONCE     64        /* topics a request */
#define NGX_KAFKA_RULES_LEAVING  2         /* clients being destroyed */

/*
 * ms, by which clocks of workers and brokers may differ: so near to a bound
 * the broker decides
 */
#define NGX_KAFKA_CLOCK_SLACK     5000


static ngx_uint_t ngx_kafka_rules_due(ngx_kafka_topic_state_t *state);
static void ngx_kafka_rules_ask(ngx_kafka_client_t *client,
    ngx_uint_t *topics, ngx_uint_t n);
static void ngx_kafka_rules_result(ngx_kafka_client_t *client,
    const rd_kafka_ConfigResource_t *resource);
static void ngx_kafka_rules_store(ngx_kafka_topic_state_t *state,
    const rd_kafka_ConfigEntry_t **entries, size_t n);
static const char *ngx_kafka_rules_value(
    const rd_kafka_ConfigEntry_t **entries, size_t n, const char *name);
static ngx_int_t ngx_kafka_rules_number(const rd_kafka_ConfigEntry_t **entries,
    size_t n, const char *name);
static ngx_kafka_fault_e ngx_kafka_rules_broken(
    ngx_kafka_topic_state_t *state, const ngx_kafka_message_t *msg);
static ngx_uint_t ngx_kafka_rules_untimely(ngx_kafka_topic_state_t *state,
    int64_t timestamp);


size_t
ngx_kafka_rules_smallest(ngx_kafka_conf_t *kcf)
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
ngx_kafka_rules_serve(ngx_kafka_client_t *client)
{
    ngx_uint_t                i, n, topics[NGX_KAFKA_RULES_ONCE];
    ngx_kafka_conf_t         *kcf;
    ngx_atomic_uint_t         asked;
    ngx_kafka_topic_state_t  *state;

    if (client->describing || client->retiring) {
        return;
    }

    kcf = client->producer->conf;
    n = 0;

    for (i = 0; i < kcf->topics.nelts && n < NGX_KAFKA_RULES_ONCE; i++) {

        state = &kcf->states[i];
        asked = state->asked;

        if (client->topics[i] && ngx_kafka_rules_due(state)
            && ngx_atomic_cmp_set(&state->asked, asked, ngx_current_msec))
        {
            state->wanted = 0;
            topics[n++] = i;
        }
    }

    if (n) {
        ngx_kafka_rules_ask(client, topics, n);
    }
}


static ngx_uint_t
ngx_kafka_rules_due(ngx_kafka_topic_state_t *state)
{
    ngx_msec_int_t  age;

    if (state->asked == 0) {
        return 1;
    }

    age = (ngx_msec_int_t) (ngx_current_msec - (ngx_msec_t) state->asked);

    if (state->wanted) {
        return age >= NGX_KAFKA_RULES_REREAD;
    }

    return age >= (state->limit || state->refused ? NGX_KAFKA_RULES_REFRESH
                                                  : NGX_KAFKA_RULES_RETRY);
}


static void
ngx_kafka_rules_ask(ngx_kafka_client_t *client, ngx_uint_t *topics,
    ngx_uint_t n)
{
    char                        errstr[128];
    ngx_uint_t                  i;
    ngx_kafka_topic_conf_t     *topic;
    rd_kafka_AdminOptions_t    *options;
    rd_kafka_ConfigResource_t  *list[NGX_KAFKA_RULES_ONCE];

    topic = client->producer->conf->topics.elts;

    for (i = 0; i < n; i++) {
        list[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC,
                                        (char *) topic[topics[i]].name.data);
    }

    options = rd_kafka_AdminOptions_new(client->rk,
                                        RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);

    (void) rd_kafka_AdminOptions_set_request_timeout(options,
                               NGX_KAFKA_RULES_TIMEOUT, errstr,
                               sizeof(errstr));

    client->describing = 1;
    rd_kafka_DescribeConfigs(client->rk, list, n, options, client->admin);

    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy_array(list, n);
}


void
ngx_kafka_rules_event(ngx_kafka_client_t *client, rd_kafka_event_t *event)
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
        ngx_kafka_rules_result(client, resources[i]);
    }
}


static void
ngx_kafka_rules_result(ngx_kafka_client_t *client,
    const rd_kafka_ConfigResource_t *resource)
{
    size_t                          n;
    ngx_int_t                       topic;
    ngx_str_t                       name;
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
                          "could not read the configuration of topic "
                          "\"%V\": %s; allow the principal DescribeConfigs "
                          "on the topic; meanwhile only brokers know which "
                          "records it takes",
                          &name, rd_kafka_err2str(err));
            ngx_kafka_promise_judge(client->producer, topic);
        }

        /* what was read before may not hold any more */
        state->compacted = 0;
        state->bounded = 0;

        return;
    }

    if (err) {
        return;
    }

    entries = rd_kafka_ConfigResource_configs(resource, &n);

    ngx_kafka_rules_store(state, entries, n);
    ngx_kafka_promise_judge(client->producer, topic);
}


static void
ngx_kafka_rules_store(ngx_kafka_topic_state_t *state,
    const rd_kafka_ConfigEntry_t **entries, size_t n)
{
    ngx_int_t    number, before, after, difference;
    const char  *value;

    number = ngx_kafka_rules_number(entries, n, "min.insync.replicas");
    if (number > 0 && number < NGX_MAX_INT_T_VALUE) {
        state->in_sync = number;
    }

    value = ngx_kafka_rules_value(entries, n,
                                  "unclean.leader.election.enable");
    state->unclean = value && ngx_strcmp(value, "true") == 0;

    value = ngx_kafka_rules_value(entries, n, "cleanup.policy");
    state->compacted = value && ngx_strstr(value, "compact");

    /* until Kafka 4.0 the difference is used for a bound that has no value */

    difference = ngx_kafka_rules_number(entries, n,
                                        "message.timestamp.difference.max.ms");
    before = ngx_kafka_rules_number(entries, n,
                                    "message.timestamp.before.max.ms");
    after = ngx_kafka_rules_number(entries, n,
                                   "message.timestamp.after.max.ms");

    before = before == NGX_MAX_INT_T_VALUE ? difference : before;
    after = after == NGX_MAX_INT_T_VALUE ? difference : after;

    state->before = before;
    state->after = after;

    value = ngx_kafka_rules_value(entries, n, "message.timestamp.type");
    state->bounded = value && ngx_strcmp(value, "CreateTime") == 0;

    /* the last: it says that all are known */

    number = ngx_kafka_rules_number(entries, n, "max.message.bytes");
    if (number > 0 && number < NGX_MAX_INT_T_VALUE) {
        state->refused = 0;
        state->limit = number;
    }
}


static const char *
ngx_kafka_rules_value(const rd_kafka_ConfigEntry_t **entries, size_t n,
    const char *name)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (ngx_strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0) {
            return rd_kafka_ConfigEntry_value(entries[i]);
        }
    }

    return NULL;
}


/* NGX_MAX_INT_T_VALUE: as large, or there is none. */
static ngx_int_t
ngx_kafka_rules_number(const rd_kafka_ConfigEntry_t **entries, size_t n,
    const char *name)
{
    ngx_int_t    number;
    const char  *value;

    value = ngx_kafka_rules_value(entries, n, name);
    if (value == NULL) {
        return NGX_MAX_INT_T_VALUE;
    }

    number = ngx_atoi((u_char *) value, ngx_strlen(value));

    return number == NGX_ERROR ? NGX_MAX_INT_T_VALUE : number;
}


void
ngx_kafka_rules_refused(ngx_kafka_client_t *client, ngx_uint_t topic)
{
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

    kp->conf->states[topic].wanted = 1;

    if (kp->client) {
        ngx_kafka_rules_serve(kp->client);
    }
}


ngx_uint_t
ngx_kafka_rules_outgrown(ngx_kafka_client_t *client)
{
    size_t                 smallest;
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

    if (client->retiring || kp->client != client) {
        return 0;
    }

    smallest = ngx_kafka_rules_smallest(kp->conf);

    if (smallest == 0 || client->batch <= smallest
        || ngx_kafka_destroying() >= NGX_KAFKA_RULES_LEAVING)
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


ngx_kafka_fault_e
ngx_kafka_message_fault(ngx_kafka_producer_t *kp,
    const ngx_kafka_message_t *msg)
{
    if (!ngx_kafka_message_fits(kp, msg)) {
        return NGX_KAFKA_FAULT_SIZE;
    }

    return ngx_kafka_rules_broken(&kp->conf->states[msg->topic], msg);
}


ngx_kafka_fault_e
ngx_kafka_rules_fault(ngx_kafka_producer_t *kp, const ngx_kafka_message_t *msg,
    rd_kafka_resp_err_t err, ngx_uint_t alone)
{
    ngx_kafka_fault_e         fault;
    ngx_kafka_topic_state_t  *state;

    state = &kp->conf->states[msg->topic];
    fault = ngx_kafka_rules_broken(state, msg);

    if (fault || !alone) {
        return fault;
    }

    switch (err) {

    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return NGX_KAFKA_FAULT_SIZE;

    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
        /* without one it is this host's clock */
        return msg->timestamp ? NGX_KAFKA_FAULT_TIME : NGX_KAFKA_NO_FAULT;

    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        return msg->key.data == NULL && state->limit == 0
               ? NGX_KAFKA_FAULT_KEY : NGX_KAFKA_FAULT_OTHER;

    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return NGX_KAFKA_FAULT_OTHER;

    default:
        return NGX_KAFKA_NO_FAULT;
    }
}


static ngx_kafka_fault_e
ngx_kafka_rules_broken(ngx_kafka_topic_state_t *state,
    const ngx_kafka_message_t *msg)
{
    if (msg->key.data == NULL && state->compacted) {
        return NGX_KAFKA_FAULT_KEY;
    }

    return ngx_kafka_rules_untimely(state, msg->timestamp)
           ? NGX_KAFKA_FAULT_TIME : NGX_KAFKA_NO_FAULT;
}


static ngx_uint_t
ngx_kafka_rules_untimely(ngx_kafka_topic_state_t *state, int64_t timestamp)
{
    int64_t      age;
    ngx_time_t  *tp;

    if (timestamp <= 0 || !state->bounded) {
        return timestamp == NGX_KAFKA_BAD_TIMESTAMP;
    }

    tp = ngx_timeofday();
    age = (int64_t) tp->sec * 1000 + tp->msec - timestamp;

    return age > 0
           ? age - NGX_KAFKA_CLOCK_SLACK > (int64_t) state->before
           : -age - NGX_KAFKA_CLOCK_SLACK > (int64_t) state->after;
}
