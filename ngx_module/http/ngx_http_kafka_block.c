/* The directives of a kafka_producer block. */

#include "http/ngx_http_kafka_block.h"
#include "http/ngx_http_kafka_set.h"


#define NGX_HTTP_KAFKA_TOPIC_MAX    249     /* bytes, Kafka's own limit */
#define NGX_HTTP_KAFKA_NUMBER_MAX   32767   /* partitions, replicas */


typedef char *(*ngx_http_kafka_set_pt)(ngx_conf_t *cf, ngx_kafka_conf_t *kcf);

typedef struct {
    const char             *name;
    ngx_uint_t              min;            /* arguments */
    ngx_uint_t              max;
    ngx_http_kafka_set_pt   set;
} ngx_http_kafka_directive_t;


static char *ngx_http_kafka_block_directive(ngx_conf_t *cf,
    ngx_command_t *dummy, void *conf);
static char *ngx_http_kafka_brokers(ngx_conf_t *cf, ngx_kafka_conf_t *kcf);
static ngx_int_t ngx_http_kafka_broker(ngx_conf_t *cf, u_char *p,
    u_char *last);
static char *ngx_http_kafka_include(ngx_conf_t *cf, ngx_kafka_conf_t *kcf);
static char *ngx_http_kafka_property(ngx_conf_t *cf, ngx_kafka_conf_t *kcf);
static char *ngx_http_kafka_queue(ngx_conf_t *cf, ngx_kafka_conf_t *kcf);
static char *ngx_http_kafka_timeout(ngx_conf_t *cf, ngx_kafka_conf_t *kcf);
static char *ngx_http_kafka_topic(ngx_conf_t *cf, ngx_kafka_conf_t *kcf);
static char *ngx_http_kafka_receipts(ngx_conf_t *cf, ngx_kafka_conf_t *kcf);
static char *ngx_http_kafka_group(ngx_conf_t *cf,
    ngx_kafka_receipts_conf_t *receipts, ngx_str_t *value);
static char *ngx_http_kafka_check_receipts(ngx_conf_t *cf,
    ngx_kafka_conf_t *kcf);
static char *ngx_http_kafka_topic_option(ngx_conf_t *cf,
    ngx_kafka_topic_conf_t *topic, ngx_str_t *arg);
static ngx_uint_t ngx_http_kafka_option(ngx_str_t *arg, const char *name,
    ngx_str_t *value);
static char *ngx_http_kafka_topic_number(ngx_conf_t *cf, ngx_int_t *number,
    ngx_str_t *arg, ngx_str_t *value);
static ngx_int_t ngx_http_kafka_topic_name(ngx_str_t *name);


static const ngx_http_kafka_directive_t  ngx_http_kafka_directives[] = {
    { "brokers", 1, 64, ngx_http_kafka_brokers },
    { "include", 1, 1, ngx_http_kafka_include },
    { "kafka_receipts", 1, 5, ngx_http_kafka_receipts },
    { "property", 2, 2, ngx_http_kafka_property },
    { "property_file", 2, 2, ngx_http_kafka_property },
    { "queue", 1, 1, ngx_http_kafka_queue },
    { "timeout", 1, 1, ngx_http_kafka_timeout },
    { "topic", 1, 5, ngx_http_kafka_topic },
    { NULL, 0, 0, NULL }
};


char *
ngx_http_kafka_producer_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_main_conf_t  *kmcf = conf;

    char               *rv;
    ngx_str_t          *value;
    ngx_conf_t          save;
    ngx_kafka_conf_t   *kcf, **kcfp;

    value = cf->args->elts;
    kcf = ngx_http_kafka_find_producer(kmcf, &value[1]);

    if (kcf) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate kafka_producer \"%V\", first in %V:%ui",
                           &value[1], &kcf->place.file, kcf->place.line);
        return NGX_CONF_ERROR;
    }

    kcf = ngx_pcalloc(cf->pool, sizeof(ngx_kafka_conf_t));
    kcfp = ngx_array_push(&kmcf->producers);

    if (kcf == NULL || kcfp == NULL
        || ngx_array_init(&kcf->properties, cf->pool, 8,
                          sizeof(ngx_kafka_property_t))
           != NGX_OK
        || ngx_array_init(&kcf->topics, cf->pool, 8,
                          sizeof(ngx_kafka_topic_conf_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    *kcfp = kcf;

    ngx_rbtree_init(&kcf->names, &kcf->sentinel, ngx_str_rbtree_insert_value);

    kcf->name = value[1];
    kcf->place = ngx_kafka_conf_here(cf);
    kcf->timeout = NGX_CONF_UNSET_MSEC;
    kcf->queue = NGX_CONF_UNSET_SIZE;

    save = *cf;
    cf->handler = ngx_http_kafka_block_directive;
    cf->handler_conf = (void *) kcf;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (kcf->brokers.len == 0) {
        ngx_kafka_conf_error(cf->log, &kcf->place,
                             "kafka_producer \"%V\" has no \"brokers\"",
                             &kcf->name);
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_msec_value(kcf->timeout, 5000);
    ngx_conf_init_size_value(kcf->queue, 64 * 1024 * 1024);

    return kcf->receipts ? ngx_http_kafka_check_receipts(cf, kcf)
                         : NGX_CONF_OK;
}


ngx_kafka_conf_t *
ngx_http_kafka_find_producer(ngx_http_kafka_main_conf_t *kmcf,
    ngx_str_t *name)
{
    ngx_uint_t          i;
    ngx_kafka_conf_t  **kcfp;

    kcfp = kmcf->producers.elts;

    for (i = 0; i < kmcf->producers.nelts; i++) {
        if (kcfp[i]->name.len == name->len
            && ngx_strncmp(kcfp[i]->name.data, name->data, name->len) == 0)
        {
            return kcfp[i];
        }
    }

    return NULL;
}


static char *
ngx_http_kafka_block_directive(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf)
{
    char                              *rv;
    ngx_str_t                         *value;
    ngx_uint_t                         n;
    const ngx_http_kafka_directive_t  *dir;

    value = cf->args->elts;
    n = cf->args->nelts - 1;

    for (dir = ngx_http_kafka_directives; dir->name; dir++) {

        if (ngx_strcmp(value[0].data, dir->name) != 0) {
            continue;
        }

        if (n < dir->min || n > dir->max) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of arguments in \"%V\" "
                               "directive", &value[0]);
            return NGX_CONF_ERROR;
        }

        rv = dir->set(cf, conf);

        if (rv == NGX_CONF_OK || rv == NGX_CONF_ERROR) {
            return rv;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" directive %s",
                           &value[0], rv);
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown directive \"%V\" in kafka_producer", &value[0]);
    return NGX_CONF_ERROR;
}


static char *
ngx_http_kafka_include(ngx_conf_t *cf, ngx_kafka_conf_t *kcf)
{
    return ngx_conf_include(cf, NULL, NULL);
}


static char *
ngx_http_kafka_brokers(ngx_conf_t *cf, ngx_kafka_conf_t *kcf)
{
    u_char      *p, *end, *last;
    size_t       len;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (kcf->brokers.data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    len = 0;

    for (i = 1; i < cf->args->nelts; i++) {
        len += value[i].len + 1;
    }

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    kcf->brokers.data = p;
    kcf->brokers.len = len - 1;

    for (i = 1; i < cf->args->nelts; i++) {
        p = ngx_cpymem(p, value[i].data, value[i].len);
        *p++ = ',';
    }

    last = p - 1;
    *last = '\0';

    for (p = kcf->brokers.data; p <= last; p = end + 1) {
        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        if (ngx_http_kafka_broker(cf, p, end) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* host, host:port or [IPv6]:port, also behind librdkafka's "SSL://" */
static ngx_int_t
ngx_http_kafka_broker(ngx_conf_t *cf, u_char *p, u_char *last)
{
    u_char     *host, *end, *port, *zone, address[16];
    ngx_int_t   n;

    host = ngx_strlcasestrn(p, last, (u_char *) "://", 2);
    host = host ? host + 3 : p;
    end = last;
    port = NULL;

    if (host < last && *host == '[') {
        end = ngx_strlchr(host, last, ']');
        if (end == NULL) {
            goto invalid;
        }

        port = end + 1 < last ? end + 1 : NULL;
        host++;

        /* "fe80::1%eth0" */
        zone = ngx_strlchr(host, end, '%');

        if (ngx_inet6_addr(host, (zone ? zone : end) - host, address)
            != NGX_OK)
        {
            goto invalid;
        }

    } else {
        port = ngx_strlchr(host, last, ':');
        end = port ? port : last;
    }

    if (host == end) {
        goto invalid;
    }

    if (port) {
        n = *port == ':' ? ngx_atoi(port + 1, last - port - 1) : NGX_ERROR;

        if (n < 1 || n > 65535) {
            goto invalid;
        }
    }

    return NGX_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid broker \"%*s\", give host:port or "
                       "[IPv6]:port", (size_t) (last - p), p);
    return NGX_ERROR;
}


/* "property" and "property_file" */
static char *
ngx_http_kafka_property(ngx_conf_t *cf, ngx_kafka_conf_t *kcf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    return ngx_kafka_conf_property(cf, kcf, &value[1], &value[2],
                                   value[0].len > sizeof("property") - 1);
}


static char *
ngx_http_kafka_queue(ngx_conf_t *cf, ngx_kafka_conf_t *kcf)
{
    ssize_t     size;
    ngx_str_t  *value;

    if (kcf->queue != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);
    if (size == NGX_ERROR || size < 1024) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid queue \"%V\", give 1k or more", &value[1]);
        return NGX_CONF_ERROR;
    }

    kcf->queue = size;

    return NGX_CONF_OK;
}


static char *
ngx_http_kafka_timeout(ngx_conf_t *cf, ngx_kafka_conf_t *kcf)
{
    ngx_int_t   ms;
    ngx_str_t  *value;

    if (kcf->timeout != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ms = ngx_parse_time(&value[1], 0);
    if (ms == NGX_ERROR || ms < 10 || ms > 900000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid timeout \"%V\", give 10ms to 15m",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    kcf->timeout = ms;

    return NGX_CONF_OK;
}


static char *
ngx_http_kafka_topic(ngx_conf_t *cf, ngx_kafka_conf_t *kcf)
{
    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_kafka_topic_conf_t  *topic;

    value = cf->args->elts;

    if (ngx_http_kafka_topic_name(&value[1]) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid topic \"%V\", give 1 to 249 of letters, "
                           "digits, \".\", \"_\" and \"-\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_kafka_conf_topic(kcf, &value[1]) != NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate topic \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    topic = ngx_kafka_conf_declare(kcf, &value[1]);
    if (topic == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_kafka_topic_option(cf, topic, &value[i])
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_kafka_topic_option(ngx_conf_t *cf, ngx_kafka_topic_conf_t *topic,
    ngx_str_t *arg)
{
    char        *rv;
    ngx_str_t    value;
    ngx_uint_t   twice;

    rv = NGX_CONF_OK;

    if (ngx_strcmp(arg->data, "create") == 0) {
        twice = topic->create;
        topic->create = 1;

    } else if (ngx_http_kafka_option(arg, "partitions=", &value)) {
        twice = topic->partitions != NGX_KAFKA_DEFAULT;
        rv = ngx_http_kafka_topic_number(cf, &topic->partitions, arg, &value);

    } else if (ngx_http_kafka_option(arg, "replication=", &value)) {
        twice = topic->replication != NGX_KAFKA_DEFAULT;
        rv = ngx_http_kafka_topic_number(cf, &topic->replication, arg, &value);

    } else if (ngx_http_kafka_option(arg, "schema=", &value)) {
        twice = topic->schema != NULL;
        rv = ngx_http_kafka_open_schema(cf, &value, &topic->schema);

    } else if (ngx_http_kafka_option(arg, "key=", &value)) {
        twice = topic->key != NULL;
        rv = ngx_http_kafka_open_pointer(cf, &value, &topic->key);

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", give create, "
                           "partitions=, replication=, schema= or key=", arg);
        return NGX_CONF_ERROR;
    }

    if (rv == NGX_CONF_OK && twice) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                           arg);
        return NGX_CONF_ERROR;
    }

    return rv;
}


static char *
ngx_http_kafka_receipts(ngx_conf_t *cf, ngx_kafka_conf_t *kcf)
{
    char                       *rv;
    ngx_str_t                  *value, group;
    ngx_uint_t                  i;
    ngx_kafka_receipts_conf_t  *receipts;

    if (kcf->receipts) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_kafka_topic_name(&value[1]) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid topic \"%V\" of receipts, give 1 to 249 "
                           "of letters, digits, \".\", \"_\" and \"-\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    receipts = ngx_pcalloc(cf->pool, sizeof(ngx_kafka_receipts_conf_t));
    if (receipts == NULL) {
        return NGX_CONF_ERROR;
    }

    receipts->topic.name = value[1];
    receipts->topic.partitions = NGX_KAFKA_DEFAULT;
    receipts->topic.replication = NGX_KAFKA_DEFAULT;
    receipts->place = ngx_kafka_conf_here(cf);

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_kafka_option(&value[i], "group=", &group)) {
            rv = ngx_http_kafka_group(cf, receipts, &group);

        } else if (ngx_strncmp(value[i].data, "schema=", 7) == 0
                   || ngx_strncmp(value[i].data, "key=", 4) == 0)
        {
            rv = "takes no schema= and no key=";

        } else {
            rv = ngx_http_kafka_topic_option(cf, &receipts->topic, &value[i]);
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (receipts->named == 0) {
        return "needs \"group=\": the group of the daemon whose commit counts";
    }

    kcf->receipts = receipts;

    return NGX_CONF_OK;
}


/* A name, or $kafka_topic: the topic's own. */
static char *
ngx_http_kafka_group(ngx_conf_t *cf, ngx_kafka_receipts_conf_t *receipts,
    ngx_str_t *value)
{
    if (receipts->named) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate parameter \"group=%V\"", value);
        return NGX_CONF_ERROR;
    }

    receipts->named = 1;

    if (ngx_strcmp(value->data, "$kafka_topic") == 0) {
        return NGX_CONF_OK;
    }

    if (value->len == 0 || value->data[0] == '$') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"group=%V\", give the "
                           "\"group\" of a daemon, or $kafka_topic where "
                           "each topic's is named as the topic", value);
        return NGX_CONF_ERROR;
    }

    receipts->group = *value;

    return NGX_CONF_OK;
}


static char *
ngx_http_kafka_check_receipts(ngx_conf_t *cf, ngx_kafka_conf_t *kcf)
{
    ngx_str_t  *name;

    name = &kcf->receipts->topic.name;

    if (ngx_kafka_conf_topic(kcf, name) == NGX_ERROR) {
        return NGX_CONF_OK;
    }

    ngx_kafka_conf_error(cf->log, &kcf->receipts->place,
                         "topic \"%V\" of \"kafka_receipts\" is also declared "
                         "by \"topic\", where clients could write receipts: "
                         "name another one", name);

    return NGX_CONF_ERROR;
}


/* Whether an argument begins with "name", which ends with "=". */
static ngx_uint_t
ngx_http_kafka_option(ngx_str_t *arg, const char *name, ngx_str_t *value)
{
    size_t  len;

    len = ngx_strlen(name);

    value->data = arg->data + len;
    value->len = arg->len - len;

    return ngx_strncmp(arg->data, name, len) == 0;
}


static char *
ngx_http_kafka_topic_number(ngx_conf_t *cf, ngx_int_t *number, ngx_str_t *arg,
    ngx_str_t *value)
{
    *number = ngx_atoi(value->data, value->len);

    if (*number < 1 || *number > NGX_HTTP_KAFKA_NUMBER_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", give 1 to 32767", arg);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_kafka_topic_name(ngx_str_t *name)
{
    u_char      ch;
    ngx_uint_t  i;

    if (name->len == 0 || name->len > NGX_HTTP_KAFKA_TOPIC_MAX
        || ngx_strcmp(name->data, ".") == 0
        || ngx_strcmp(name->data, "..") == 0)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if ((ch < 'a' || ch > 'z') && (ch < 'A' || ch > 'Z')
            && (ch < '0' || ch > '9') && ch != '.' && ch != '_' && ch != '-')
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
