/* Properties of librdkafka: which a block may set, and how they apply. */

#include "kafka/ngx_kafka_conf.h"
#include "json/json.h"


#define NGX_KAFKA_VALUE_MAX      65536     /* bytes of a property_file */
#define NGX_KAFKA_WAIT_MIN       100       /* ms, a broker waits for others */

/* the version of librdkafka that repeats no nonce */
#define NGX_KAFKA_SCRAM_FIXED    0x020601ff

/* that has a queue for the renewal of an unsecured token */
#define NGX_KAFKA_TOKEN_FIXED    0x020200ff


typedef struct {
    const char  *reason;
    const char  *names;         /* separated by spaces */
} ngx_kafka_owned_t;


typedef struct {
    const char  *alias;
    const char  *name;
} ngx_kafka_alias_t;


typedef struct {
    const char  *name;
    const char  *value;
} ngx_kafka_setting_t;


/* A declared topic, found by its name. */
typedef struct {
    ngx_str_node_t  sn;
    ngx_uint_t      index;      /* in topics */
} ngx_kafka_name_t;


static const char *ngx_kafka_conf_owned(const char *name);
static ngx_uint_t ngx_kafka_conf_crashes(rd_kafka_conf_t *conf);
static ngx_kafka_property_t *ngx_kafka_conf_find(ngx_kafka_conf_t *kcf,
    const char *name);
static void ngx_kafka_conf_warn(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *value, ngx_uint_t file);
static ngx_uint_t ngx_kafka_conf_secret(const char *name);
static const char *ngx_kafka_conf_canonical(const char *name);
static ngx_int_t ngx_kafka_conf_read(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *value);
static ngx_uint_t ngx_kafka_conf_named(const char *reason, const char *name);


/* What the module owns; a name that ends with "." stands for all below it. */
static const ngx_kafka_owned_t  ngx_kafka_owned[] = {

    { "every 200 promises a record kept once by all in-sync replicas",
      "acks enable.idempotence request.required.acks" },

    { "it is a consumer's",
      "auto.commit. auto.offset.reset check.crcs client.rack consume. "
      "coordinator. enable.auto. enable.partition.eof fetch. group. "
      "heartbeat.interval.ms isolation.level max.partition.fetch.bytes "
      "max.poll.interval.ms offset.store. partition.assignment.strategy "
      "queued. session.timeout.ms" },

    { "it is a callback of the module",
      "background_event_cb closesocket_cb connect_cb consume_cb "
      "default_topic_conf dr_cb dr_msg_cb enable_sasl_queue enabled_events "
      "error_cb interceptors log_cb msg_order_cmp "
      "oauthbearer_token_refresh_cb offset_commit_cb opaque open_cb "
      "partitioner_cb rebalance_cb resolve_cb socket_cb "
      "ssl.certificate.verify_cb ssl_engine_callback_data stats_cb "
      "throttle_cb" },

    { "use the \"brokers\" directive",
      "bootstrap.servers metadata.broker.list" },

    { "use the \"queue\" directive",
      "queue.buffering.max.kbytes queue.buffering.max.messages" },

    { "use the \"timeout\" directive",
      "delivery.timeout.ms message.timeout.ms" },

    { "topics are made by \"create\" of the \"topic\" directive",
      "allow.auto.create.topics" },

    { "transactions are not used",
      "transaction.timeout.ms transactional.id" },

    { "it is for tests of librdkafka",
      "test.mock. ut_handle_ProduceResponse" },

    { "every record's report is waited for", "delivery.report.only.error" },
    { "one lost record would stop the producer for good",
      "enable.gapless.guarantee" },
    { "signals are nginx's", "internal.termination.signal" },
    { "logs go through the worker's own thread", "log.queue" },
    { "plugins run code in nginx's workers", "plugin.library.paths" },
    { "answers tell the offset", "produce.offset.report" },
    { "\"kafka_ready\" needs the statistics", "statistics.interval.ms" },
    { NULL, NULL }
};


static const ngx_kafka_alias_t  ngx_kafka_aliases[] = {
    { "compression.type", "compression.codec" },
    { "linger.ms", "queue.buffering.max.ms" },
    { "max.in.flight", "max.in.flight.requests.per.connection" },
    { "retries", "message.send.max.retries" },
    { "sasl.mechanism", "sasl.mechanisms" },
    { NULL, NULL }
};


/* Secrets, which belong into a file of their own. */
static const char  *ngx_kafka_secrets[] = {
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.secret",
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    NULL
};


/* Defaults that a property may change. */
static const ngx_kafka_setting_t  ngx_kafka_defaults[] = {
    { "client.id", "sluice" },
    { "linger.ms", "1" },
    /*
     * A broker handles the requests of a connection one after the other.  A
     * second one on the way to it can only wait behind one that waits for a
     * follower, and be acknowledged before that: without an offset for it.
     */
    { "max.in.flight", "1" },
    /* the default partitioner places keys apart from Java's */
    { "partitioner", "murmur2_random" },
    { "reconnect.backoff.max.ms", "1000" },
    /* a silent host must not be waited for once it is back */
    { "socket.connection.setup.timeout.ms", "3000" },
    { "socket.keepalive.enable", "true" },
    { "socket.nagle.disable", "true" },
    /* else records of a topic that is absent wait longer than "timeout" */
    { "topic.metadata.propagation.max.ms", "1000" },
    { "topic.metadata.refresh.fast.interval.ms", "100" },
    { NULL, NULL }
};


/* Fixed settings; the two queue limits lie above the module's own. */
static const ngx_kafka_setting_t  ngx_kafka_fixed[] = {
    { "acks", "all" },
    { "allow.auto.create.topics", "false" },
    { "enable.idempotence", "true" },
    { "log.queue", "true" },
    /* none: see ngx_kafka_producer_overdue() */
    { "message.timeout.ms", "0" },
    { "queue.buffering.max.kbytes", "2147483647" },
    { "queue.buffering.max.messages", "2147483647" },
    { "statistics.interval.ms", "500" },
    { NULL, NULL }
};


/* Of the consumer of receipts: what it fetches ahead is bounded. */
static const ngx_kafka_setting_t  ngx_kafka_reading[] = {
    /* else receipts would be missed that are larger than a property says */
    { "message.max.bytes", "1048576" },
    { "receive.message.max.bytes", "8388608" },
    { "fetch.max.bytes", "4194304" },
    { "fetch.message.max.bytes", "1048576" },
    { "queued.max.messages.kbytes", "4096" },
    { "queued.min.messages", "1000" },
    { "fetch.error.backoff.ms", "100" },
    { "enable.auto.commit", "false" },
    { "enable.auto.offset.store", "false" },
    { "enable.partition.eof", "true" },
    /* receipts of a topic that was made again are missed, not read twice */
    { "auto.offset.reset", "latest" },
    { "statistics.interval.ms", "0" },
    { NULL, NULL }
};


ngx_int_t ngx_cdecl
ngx_kafka_conf_error(ngx_log_t *log, ngx_kafka_place_t *place,
    const char *fmt, ...)
{
    u_char   buf[NGX_MAX_CONF_ERRSTR], *p;
    va_list  args;

    va_start(args, fmt);
    p = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args);
    va_end(args);

    ngx_log_error(NGX_LOG_EMERG, log, 0, "%*s in %V:%ui",
                  (size_t) (p - buf), buf, &place->file, place->line);

    return NGX_ERROR;
}


char *
ngx_kafka_conf_property(ngx_conf_t *cf, ngx_kafka_conf_t *kcf,
    ngx_str_t *name, ngx_str_t *value, ngx_uint_t file)
{
    char                   errstr[512];
    u_char                 text[512];
    ngx_str_t              val;
    const char            *reason;
    rd_kafka_conf_t       *conf;
    ngx_kafka_property_t  *prop;
    rd_kafka_conf_res_t    res;

    reason = ngx_kafka_conf_owned((char *) name->data);
    if (reason) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "property \"%V\" cannot be set: %s", name, reason);
        return NGX_CONF_ERROR;
    }

    prop = ngx_kafka_conf_find(kcf, (char *) name->data);
    if (prop) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate property \"%V\", first set in %V:%ui",
                           name, &prop->place.file, prop->place.line);
        return NGX_CONF_ERROR;
    }

    val = *value;

    if (file && ngx_kafka_conf_read(cf, name, &val) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    conf = rd_kafka_conf_new();
    res = rd_kafka_conf_set(conf, (char *) name->data, (char *) val.data,
                            errstr, sizeof(errstr));

    if (res == RD_KAFKA_CONF_OK) {
        reason = ngx_kafka_conf_crashes(conf)
                 ? "librdkafka before 2.2.0 crashes when it renews the token"
                 : NULL;

    } else {
        reason = res == RD_KAFKA_CONF_UNKNOWN
                 ? "librdkafka knows no such property"
                 : file ? "its value is invalid" : errstr;
    }

    rd_kafka_conf_destroy(conf);

    if (reason) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "property \"%V\" cannot be set: %s", name,
                           ngx_kafka_conf_one_line(text, sizeof(text),
                                                   reason));
        return NGX_CONF_ERROR;
    }

    ngx_kafka_conf_warn(cf, name, &val, file);

    prop = ngx_array_push(&kcf->properties);
    if (prop == NULL) {
        return NGX_CONF_ERROR;
    }

    prop->name = *name;
    prop->value = val;
    prop->place = ngx_kafka_conf_here(cf);

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_kafka_conf_crashes(rd_kafka_conf_t *conf)
{
    char    value[8];
    size_t  len;

    len = sizeof(value);

    return rd_kafka_version() < NGX_KAFKA_TOKEN_FIXED
           && rd_kafka_conf_get(conf, "enable.sasl.oauthbearer.unsecure.jwt",
                                value, &len)
              == RD_KAFKA_CONF_OK
           && ngx_strcmp(value, "true") == 0;
}


/* By this name, or by another one of the same property. */
static ngx_kafka_property_t *
ngx_kafka_conf_find(ngx_kafka_conf_t *kcf, const char *name)
{
    ngx_uint_t             i;
    const char            *canonical;
    ngx_kafka_property_t  *prop;

    canonical = ngx_kafka_conf_canonical(name);
    prop = kcf->properties.elts;

    for (i = 0; i < kcf->properties.nelts; i++) {
        if (ngx_strcmp(ngx_kafka_conf_canonical((char *) prop[i].name.data),
                       canonical)
            == 0)
        {
            return &prop[i];
        }
    }

    return NULL;
}


ngx_uint_t
ngx_kafka_conf_sets(ngx_kafka_conf_t *kcf, const char *name)
{
    return ngx_kafka_conf_find(kcf, name) != NULL;
}


static void
ngx_kafka_conf_warn(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *value,
    ngx_uint_t file)
{
    const char  *canonical;

    canonical = ngx_kafka_conf_canonical((char *) name->data);

    if (!file && ngx_kafka_conf_secret((char *) name->data)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "property \"%V\" shows in the output of "
                           "\"nginx -T\", use \"property_file\"", name);
    }

    if (ngx_strcmp(canonical, "sasl.mechanisms") == 0
        && ngx_strncmp(value->data, "SCRAM-", 6) == 0
        && rd_kafka_version() < NGX_KAFKA_SCRAM_FIXED)
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "librdkafka %s cannot authenticate by %V to "
                           "Kafka 4, which calls the credentials invalid; "
                           "2.6.1 can", rd_kafka_version_str(), value);
    }
}


static const char *
ngx_kafka_conf_owned(const char *name)
{
    size_t                    len;
    const char               *p;
    const ngx_kafka_owned_t  *owned;

    for (owned = ngx_kafka_owned; owned->reason; owned++) {

        for (p = owned->names; *p; p += len + strspn(p + len, " ")) {
            len = strcspn(p, " ");

            if (ngx_strncmp(name, p, len) == 0
                && (p[len - 1] == '.' || name[len] == '\0'))
            {
                return owned->reason;
            }
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_kafka_conf_secret(const char *name)
{
    const char  **secret;

    for (secret = ngx_kafka_secrets; *secret; secret++) {
        if (ngx_strcmp(name, *secret) == 0) {
            return 1;
        }
    }

    return 0;
}


static const char *
ngx_kafka_conf_canonical(const char *name)
{
    const ngx_kafka_alias_t  *alias;

    for (alias = ngx_kafka_aliases; alias->alias; alias++) {
        if (ngx_strcmp(name, alias->alias) == 0) {
            return alias->name;
        }
    }

    return name;
}


static ngx_int_t
ngx_kafka_conf_read(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *value)
{
    u_char   *buf, *p;
    ssize_t   n;
    ngx_fd_t  fd;

    if (ngx_conf_full_name(cf->cycle, value, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(value->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "could not open \"%V\" for property \"%V\"",
                           value, name);
        return NGX_ERROR;
    }

    n = -1;
    buf = ngx_pnalloc(cf->pool, NGX_KAFKA_VALUE_MAX + 1);

    if (buf) {
        n = ngx_read_fd(fd, buf, NGX_KAFKA_VALUE_MAX + 1);
    }

    (void) ngx_close_file(fd);

    if (n <= 0 || n > NGX_KAFKA_VALUE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, n == -1 ? ngx_errno : 0,
                           "could not read \"%V\" for property \"%V\": %s",
                           value, name, n == 0 ? "it is empty"
                           : n > 0 ? "it is longer than 64k" : "read failed");
        return NGX_ERROR;
    }

    /* a PEM value has several lines, a password one; neither ends by LF */
    for (p = buf + n; p > buf && (p[-1] == LF || p[-1] == CR); p--) {
        /* void */
    }

    *p = '\0';

    if (ngx_strlen(buf) != (size_t) (p - buf)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" for property \"%V\" holds a NUL",
                           value, name);
        return NGX_ERROR;
    }

    value->data = buf;
    value->len = p - buf;

    return NGX_OK;
}


rd_kafka_conf_t *
ngx_kafka_conf_build(ngx_kafka_conf_t *kcf, ngx_uint_t brokers, char *errstr,
    size_t size)
{
    ngx_uint_t                  i;
    char                        wait[NGX_TIME_T_LEN + 1];
    rd_kafka_conf_t            *conf;
    rd_kafka_conf_res_t         res;
    ngx_kafka_property_t       *prop;
    const ngx_kafka_setting_t  *set;

    conf = rd_kafka_conf_new();
    prop = kcf->properties.elts;
    res = RD_KAFKA_CONF_OK;

    for (set = ngx_kafka_defaults; res == RD_KAFKA_CONF_OK && set->name; set++)
    {
        res = rd_kafka_conf_set(conf, set->name, set->value, errstr, size);
    }

    if (res == RD_KAFKA_CONF_OK) {
        /* how long a broker may let others of the connection wait */
        (void) ngx_sprintf((u_char *) wait, "%M%Z",
                           ngx_max(kcf->timeout / 10, NGX_KAFKA_WAIT_MIN));

        res = rd_kafka_conf_set(conf, "request.timeout.ms", wait, errstr,
                                size);
    }

    for (i = 0; res == RD_KAFKA_CONF_OK && i < kcf->properties.nelts; i++) {
        res = rd_kafka_conf_set(conf, (char *) prop[i].name.data,
                                (char *) prop[i].value.data, errstr, size);
    }

    for (set = ngx_kafka_fixed; res == RD_KAFKA_CONF_OK && set->name; set++) {
        res = rd_kafka_conf_set(conf, set->name, set->value, errstr, size);
    }

    if (res == RD_KAFKA_CONF_OK && brokers) {
        res = rd_kafka_conf_set(conf, "bootstrap.servers",
                                (char *) kcf->brokers.data, errstr, size);
    }

    if (res != RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }

    return conf;
}


rd_kafka_conf_t *
ngx_kafka_conf_reader(rd_kafka_conf_t *conf, char *errstr, size_t size)
{
    const ngx_kafka_setting_t  *set;

    for (set = ngx_kafka_reading; set->name; set++) {
        if (rd_kafka_conf_set(conf, set->name, set->value, errstr, size)
            != RD_KAFKA_CONF_OK)
        {
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }

    return conf;
}


/* Some reasons of librdkafka end with a line feed, some hold one. */
u_char *
ngx_kafka_conf_one_line(u_char *buf, size_t size, const char *text)
{
    u_char  *last;

    last = ngx_cpystrn(buf, (u_char *) text, size);
    json_one_line((char *) buf, last - buf);

    while (last > buf && last[-1] == ' ') {
        *--last = '\0';
    }

    return buf;
}


/*
 * librdkafka names the property in its reason, as a rule, or one of the same
 * family that is missing ("sasl.username"): find its line.
 */
void
ngx_kafka_conf_blame(ngx_log_t *log, ngx_kafka_conf_t *kcf,
    const char *reason)
{
    u_char                *dot;
    ngx_str_t              family;
    ngx_uint_t             i;
    ngx_kafka_place_t     *place;
    ngx_kafka_property_t  *prop;

    place = &kcf->place;
    prop = kcf->properties.elts;

    for (i = 0; i < kcf->properties.nelts; i++) {
        if (ngx_kafka_conf_named(reason, (char *) prop[i].name.data)) {
            place = &prop[i].place;
            break;
        }

        family = prop[i].name;
        dot = ngx_strlchr(family.data, family.data + family.len, '.');

        if (dot
            && memmem(reason, ngx_strlen(reason), family.data,
                      dot + 1 - family.data))
        {
            place = &prop[i].place;
        }
    }

    ngx_kafka_conf_error(log, place, "kafka_producer \"%V\" cannot start: %s",
                         &kcf->name, reason);
}


/* By this name, or by another one of the same property. */
static ngx_uint_t
ngx_kafka_conf_named(const char *reason, const char *name)
{
    const char               *canonical;
    const ngx_kafka_alias_t  *alias;

    canonical = ngx_kafka_conf_canonical(name);

    if (ngx_strstr(reason, name) || ngx_strstr(reason, canonical)) {
        return 1;
    }

    for (alias = ngx_kafka_aliases; alias->alias; alias++) {
        if (ngx_strcmp(alias->name, canonical) == 0
            && ngx_strstr(reason, alias->alias))
        {
            return 1;
        }
    }

    return 0;
}


ngx_kafka_topic_conf_t *
ngx_kafka_conf_declare(ngx_kafka_conf_t *kcf, ngx_str_t *name)
{
    ngx_kafka_name_t        *node;
    ngx_kafka_topic_conf_t  *topic;

    node = ngx_palloc(kcf->topics.pool, sizeof(ngx_kafka_name_t));
    topic = ngx_array_push(&kcf->topics);

    if (node == NULL || topic == NULL) {
        return NULL;
    }

    ngx_memzero(topic, sizeof(ngx_kafka_topic_conf_t));

    topic->name = *name;
    topic->partitions = NGX_KAFKA_DEFAULT;
    topic->replication = NGX_KAFKA_DEFAULT;

    node->sn.str = *name;
    node->sn.node.key = ngx_murmur_hash2(name->data, name->len);
    node->index = kcf->topics.nelts - 1;

    ngx_rbtree_insert(&kcf->names, &node->sn.node);

    return topic;
}


ngx_int_t
ngx_kafka_conf_topic(ngx_kafka_conf_t *kcf, ngx_str_t *name)
{
    ngx_str_node_t  *sn;

    sn = ngx_str_rbtree_lookup(&kcf->names, name,
                               ngx_murmur_hash2(name->data, name->len));

    return sn ? (ngx_int_t) ((ngx_kafka_name_t *) sn)->index : NGX_ERROR;
}
