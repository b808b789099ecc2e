/*
 * Topics of a client: each is created where it is to be, and has a handle
 * only when it exists.
 */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_CREATE_TIMEOUT   10000    /* ms, of one request */
#define NGX_KAFKA_CREATE_WAIT      500      /* ms, first back-off */
#define NGX_KAFKA_CREATE_WAIT_MAX  10000    /* ms */

/*
 * From a new topic's creation to its first record, ms.  Brokers answer before
 * its partitions take records; a first batch refused with the second taken
 * would leave a hole in the sequence numbers.
 */
#define NGX_KAFKA_CREATE_SETTLE    500


static void ngx_kafka_topics_create(ngx_kafka_client_t *client);
static ngx_int_t ngx_kafka_topic_result(ngx_kafka_client_t *client,
    const rd_kafka_topic_result_t *result);
static const char *ngx_kafka_topic_remedy(rd_kafka_resp_err_t err);
static void ngx_kafka_topics_retry(ngx_kafka_client_t *client,
    ngx_uint_t failed);


ngx_uint_t
ngx_kafka_topics_serve(ngx_kafka_client_t *client)
{
    ngx_uint_t               i, n, handles;
    ngx_msec_t               made;
    ngx_kafka_producer_t    *kp;
    ngx_kafka_topic_conf_t  *topic;

    kp = client->producer;
    topic = kp->conf->topics.elts;
    n = 0;
    handles = 0;

    for (i = 0; i < kp->conf->topics.nelts; i++) {

        if (client->topics[i]) {
            continue;
        }

        if (topic[i].create && !kp->conf->states[i].exists) {
            n++;
            continue;
        }

        made = kp->conf->states[i].made;

        if (made
            && (ngx_msec_int_t) (ngx_current_msec - made)
               < NGX_KAFKA_CREATE_SETTLE)
        {
            continue;
        }

        if (ngx_kafka_topic_use(client, i) == NGX_OK) {
            handles++;
        }
    }

    /* one worker asks; the others see its result in shared memory */

    if (n && ngx_worker == 0 && client == kp->client && !client->asking
        && (ngx_msec_int_t) (ngx_current_msec - kp->create) >= 0)
    {
        ngx_kafka_topics_create(client);
    }

    return handles;
}


ngx_int_t
ngx_kafka_topic_use(ngx_kafka_client_t *client, ngx_uint_t topic)
{
    ngx_str_t              *name;
    ngx_log_t              *log;
    ngx_kafka_conf_t       *kcf;
    rd_kafka_topic_conf_t  *tconf;

    if (client->topics[topic]) {
        return NGX_OK;
    }

    kcf = client->producer->conf;
    log = client->producer->log;
    name = &((ngx_kafka_topic_conf_t *) kcf->topics.elts)[topic].name;

    tconf = rd_kafka_default_topic_conf_dup(client->rk);

    ngx_kafka_spread_set(client, topic, tconf);

    client->topics[topic] = rd_kafka_topic_new(client->rk,
                                               (char *) name->data, tconf);
    if (client->topics[topic] == NULL) {
        ngx_log_error(NGX_LOG_ERR, log, 0, "could not use topic \"%V\": %s",
                      name, rd_kafka_err2str(rd_kafka_last_error()));
        return NGX_ERROR;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, log, 0,
                   "kafka client %p uses topic \"%V\"", client, name);

    return NGX_OK;
}


ngx_uint_t
ngx_kafka_topics_waiting(ngx_kafka_client_t *client)
{
    ngx_uint_t  i;

    for (i = 0; i < client->producer->conf->topics.nelts; i++) {
        if (client->topics[i] == NULL) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_kafka_topics_create(ngx_kafka_client_t *client)
{
    ngx_uint_t                i, n;
    ngx_kafka_producer_t     *kp;
    rd_kafka_NewTopic_t     **list;
    ngx_kafka_topic_conf_t   *topic;

    kp = client->producer;
    topic = kp->conf->topics.elts;

    list = ngx_alloc(kp->conf->topics.nelts * sizeof(rd_kafka_NewTopic_t *),
                     kp->log);
    if (list == NULL) {
        return;
    }

    n = 0;

    for (i = 0; i < kp->conf->topics.nelts; i++) {
        if (!topic[i].create || kp->conf->states[i].exists) {
            continue;
        }

        list[n] = ngx_kafka_topic_new(client, &topic[i]);
        if (list[n]) {
            n++;
        }
    }

    if (n) {
        ngx_kafka_topics_request(client, list, n);
    }

    ngx_free(list);
}


void
ngx_kafka_topics_request(ngx_kafka_client_t *client,
    rd_kafka_NewTopic_t **list, size_t n)
{
    char                      errstr[128];
    rd_kafka_AdminOptions_t  *options;

    options = rd_kafka_AdminOptions_new(client->rk,
                                        RD_KAFKA_ADMIN_OP_CREATETOPICS);

    (void) rd_kafka_AdminOptions_set_request_timeout(options,
                               NGX_KAFKA_CREATE_TIMEOUT, errstr,
                               sizeof(errstr));
    (void) rd_kafka_AdminOptions_set_operation_timeout(options,
                               NGX_KAFKA_CREATE_TIMEOUT / 2, errstr,
                               sizeof(errstr));

    client->asking = 1;
    rd_kafka_CreateTopics(client->rk, list, n, options, client->admin);

    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy_array(list, n);
}


rd_kafka_NewTopic_t *
ngx_kafka_topic_new(ngx_kafka_client_t *client, ngx_kafka_topic_conf_t *topic)
{
    char                  errstr[256];
    u_char                text[256];
    rd_kafka_NewTopic_t  *new;

    new = rd_kafka_NewTopic_new((char *) topic->name.data,
                                (int) topic->partitions,
                                (int) topic->replication,
                                errstr, sizeof(errstr));
    if (new == NULL) {
        ngx_log_error(NGX_LOG_ERR, client->producer->log, 0,
                      "could not create topic \"%V\": %s", &topic->name,
                      ngx_kafka_conf_one_line(text, sizeof(text), errstr));
        return NULL;
    }

    /* with 1 in-sync replica acks=all can lose what it acknowledged */

    if (topic->replication >= 3) {
        (void) rd_kafka_NewTopic_set_config(new, "min.insync.replicas", "2");
    }

    return new;
}


ngx_int_t
ngx_kafka_topics_event(ngx_kafka_client_t *client, rd_kafka_event_t *event)
{
    size_t                               i, n;
    u_char                               text[512];
    ngx_log_t                           *log;
    ngx_uint_t                           failed;
    const rd_kafka_topic_result_t      **results;
    const rd_kafka_CreateTopics_result_t *result;

    result = rd_kafka_event_CreateTopics_result(event);
    if (result == NULL) {
        return NGX_DECLINED;
    }

    client->asking = 0;
    log = client->producer->log;

    if (client->retiring) {
        /* its successor asks again */
        return NGX_DECLINED;
    }

    if (rd_kafka_event_error(event)) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "could not create topics of kafka_producer \"%V\": %s",
                      &client->producer->conf->name,
                      ngx_kafka_conf_one_line(text, sizeof(text),
                                        rd_kafka_event_error_string(event)));
        ngx_kafka_topics_retry(client, 1);
        return NGX_DECLINED;
    }

    results = rd_kafka_CreateTopics_result_topics(result, &n);

    failed = 0;

    for (i = 0; i < n; i++) {
        failed |= ngx_kafka_topic_result(client, results[i]) != NGX_OK;
    }

    /* first the back-off, or the next request would follow at once */
    ngx_kafka_topics_retry(client, failed);

    return NGX_OK;
}


static ngx_int_t
ngx_kafka_topic_result(ngx_kafka_client_t *client,
    const rd_kafka_topic_result_t *result)
{
    ngx_int_t                i;
    ngx_str_t                name;
    rd_kafka_resp_err_t      err;
    ngx_kafka_topic_state_t *state;

    name.data = (u_char *) rd_kafka_topic_result_name(result);
    name.len = ngx_strlen(name.data);

    i = ngx_kafka_conf_topic(client->producer->conf, &name);
    if (i == NGX_ERROR) {
        return NGX_ERROR;
    }

    state = &client->producer->conf->states[i];
    err = rd_kafka_topic_result_error(result);

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR
        || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
    {
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            ngx_log_error(NGX_LOG_NOTICE, client->producer->log, 0,
                          "created topic \"%V\"", &name);
            state->made = ngx_current_msec;
        }

        state->error = 0;
        state->exists = 1;
        return NGX_OK;
    }

    /* what the broker itself refused is not worth waiting for */
    state->error = err > 0 && err != RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT
                   && err != RD_KAFKA_RESP_ERR_NOT_CONTROLLER ? err : 0;

    ngx_kafka_topic_failed(client, &name, result);

    return NGX_ERROR;
}


void
ngx_kafka_topic_failed(ngx_kafka_client_t *client, ngx_str_t *name,
    const rd_kafka_topic_result_t *result)
{
    u_char                text[512];
    const char           *reason;
    rd_kafka_resp_err_t   err;

    err = rd_kafka_topic_result_error(result);
    reason = rd_kafka_topic_result_error_string(result);

    ngx_log_error(NGX_LOG_ERR, client->producer->log, 0,
                  "could not create topic \"%V\": %s; %s", name,
                  ngx_kafka_conf_one_line(text, sizeof(text),
                                          reason ? reason
                                                 : rd_kafka_err2str(err)),
                  ngx_kafka_topic_remedy(err));
}


static const char *
ngx_kafka_topic_remedy(rd_kafka_resp_err_t err)
{
    switch (err) {

    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return "allow the principal to create topics, or create the topic "
               "and remove \"create\"";

    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
        return "lower \"replication\" or start more brokers";

    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return "see the cluster's create.topic.policy";

    default:
        return "the module tries again";
    }
}


static void
ngx_kafka_topics_retry(ngx_kafka_client_t *client, ngx_uint_t failed)
{
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

    if (!failed) {
        kp->create_wait = 0;
        return;
    }

    kp->create_wait = kp->create_wait
                      ? ngx_min(kp->create_wait * 2, NGX_KAFKA_CREATE_WAIT_MAX)
                      : NGX_KAFKA_CREATE_WAIT;

    kp->create = ngx_current_msec + kp->create_wait;
}
