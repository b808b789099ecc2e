/* Directives, configuration and hooks of the modules http and core. */

#include "http/ngx_http_kafka_module.h"
#include "http/ngx_http_kafka_block.h"
#include "http/ngx_http_kafka_handler.h"
#include "http/ngx_http_kafka_memory.h"
#include "http/ngx_http_kafka_pass.h"
#include "http/ngx_http_kafka_resolve.h"
#include "http/ngx_http_kafka_set.h"
#include "http/ngx_http_kafka_variables.h"
#include "limit/ngx_http_kafka_limit.h"


/* Inherits a field that is NULL unless it is given. */
#define ngx_http_kafka_inherit(field)                                         \
    conf->field = conf->field ? conf->field : prev->field


static void *ngx_http_kafka_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_kafka_create_loc_conf(ngx_conf_t *cf);
static void ngx_http_kafka_merge_places(ngx_http_kafka_loc_conf_t *prev,
    ngx_http_kafka_loc_conf_t *conf);
static void ngx_http_kafka_merge_records(ngx_http_kafka_loc_conf_t *prev,
    ngx_http_kafka_loc_conf_t *conf);
static char *ngx_http_kafka_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_kafka_pass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_kafka_init_process(ngx_cycle_t *cycle);
static void ngx_http_kafka_exit_process(ngx_cycle_t *cycle);


static ngx_conf_enum_t  ngx_http_kafka_formats[] = {
    { ngx_string("raw"), NGX_HTTP_KAFKA_RAW },
    { ngx_string("json"), NGX_HTTP_KAFKA_JSON },
    { ngx_string("ndjson"), NGX_HTTP_KAFKA_NDJSON },
    { ngx_string("array"), NGX_HTTP_KAFKA_ARRAY },
    { ngx_string("cloudevents"), NGX_HTTP_KAFKA_CLOUDEVENTS },
    { ngx_string("auto"), NGX_HTTP_KAFKA_AUTO },
    { ngx_string("confluent"), NGX_HTTP_KAFKA_CONFLUENT },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_kafka_empties[] = {
    { ngx_string("value"), NGX_HTTP_KAFKA_EMPTY_VALUE },
    { ngx_string("null"), NGX_HTTP_KAFKA_EMPTY_NULL },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_kafka_acks[] = {
    { ngx_string("delivered"), NGX_HTTP_KAFKA_DELIVERED },
    { ngx_string("queued"), NGX_HTTP_KAFKA_QUEUED },
    { ngx_string("client"), NGX_HTTP_KAFKA_CLIENT },
    { ngx_string("stored"), NGX_HTTP_KAFKA_STORED },
    { ngx_null_string, 0 }
};


static ngx_conf_num_bounds_t  ngx_http_kafka_records_bounds = {
    ngx_conf_check_num_bounds, 1, 100000
};


static ngx_conf_post_t  ngx_http_kafka_base_post = {
    ngx_http_kafka_check_base
};


static ngx_command_t  ngx_http_kafka_commands[] = {

    { ngx_string("kafka_producer"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_kafka_producer_block,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kafka_drain_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_kafka_set_msec,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_kafka_main_conf_t, drain_timeout),
      NULL },

    { ngx_string("kafka_limit_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE3|NGX_CONF_TAKE4,
      ngx_http_kafka_limit_zone,
      0,
      0,
      NULL },

    { ngx_string("kafka_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE123,
      ngx_http_kafka_limit_set,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, limits),
      NULL },

    { ngx_string("kafka_pass"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_HTTP_LMT_CONF|NGX_CONF_TAKE1,
      ngx_http_kafka_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kafka_topic"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
                        |NGX_CONF_TAKE1,
      ngx_http_kafka_set_topic,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, topic),
      NULL },

    { ngx_string("kafka_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
                        |NGX_CONF_TAKE1,
      ngx_http_kafka_set_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, key),
      NULL },

    { ngx_string("kafka_key_field"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kafka_set_field,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, key_field),
      NULL },

    { ngx_string("kafka_idempotency_field"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kafka_set_field,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, idempotency_field),
      NULL },

    { ngx_string("kafka_header"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
                        |NGX_CONF_TAKE2,
      ngx_http_kafka_set_header,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kafka_request_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, request_headers),
      NULL },

    { ngx_string("kafka_pass_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_kafka_set_pass_headers,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kafka_partition"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
                        |NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, partition),
      NULL },

    { ngx_string("kafka_timestamp"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
                        |NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, timestamp),
      NULL },

    { ngx_string("kafka_body"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_TAKE1,
      ngx_http_kafka_set_body,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, body),
      NULL },

    { ngx_string("kafka_batch_field"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kafka_set_batch_field,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kafka_max_records"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, max_records),
      &ngx_http_kafka_records_bounds },

    { ngx_string("kafka_stream"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_kafka_set_stream,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, stream),
      NULL },

    { ngx_string("kafka_decode"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
                        |NGX_CONF_TAKE1234,
      ngx_http_kafka_set_decode,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kafka_strip_bom"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, strip_bom),
      NULL },

    { ngx_string("kafka_inflate_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kafka_set_inflate,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, inflate_limit),
      NULL },

    { ngx_string("kafka_invalid"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_kafka_set_invalid,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kafka_format"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, format),
      &ngx_http_kafka_formats },

    { ngx_string("kafka_empty"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
                        |NGX_CONF_TAKE1,
      ngx_http_kafka_set_null,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, empty),
      &ngx_http_kafka_empties },

    { ngx_string("kafka_delete"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
                        |NGX_CONF_FLAG,
      ngx_http_kafka_set_null,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, deletes),
      NULL },

    { ngx_string("kafka_schema"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kafka_set_schema,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kafka_ack"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kafka_set_ack,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, ack),
      &ngx_http_kafka_acks },

    { ngx_string("kafka_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kafka_set_msec,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, timeout),
      NULL },

    { ngx_string("kafka_response"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
                        |NGX_CONF_TAKE12,
      ngx_http_kafka_set_response,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, response),
      NULL },

    { ngx_string("kafka_intercept_errors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, intercept_errors),
      NULL },

    { ngx_string("kafka_problem_base"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kafka_loc_conf_t, problem_base),
      &ngx_http_kafka_base_post },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_kafka_module_ctx = {
    ngx_http_kafka_add_variables,          /* preconfiguration */
    ngx_http_kafka_postconfiguration,      /* postconfiguration */

    ngx_http_kafka_create_main_conf,       /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_kafka_create_loc_conf,        /* create location configuration */
    ngx_http_kafka_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_kafka_module = {
    NGX_MODULE_V1,
    &ngx_http_kafka_module_ctx,            /* module context */
    ngx_http_kafka_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_kafka_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_kafka_exit_process,           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/*
 * A core module's init_conf knows the worker's user, and its refusal keeps
 * the old cycle; a failing init_module would end the master.
 */
static ngx_core_module_t  ngx_kafka_module_ctx = {
    ngx_string("kafka"),
    NULL,
    ngx_kafka_init_conf
};


ngx_module_t  ngx_kafka_module = {
    NGX_MODULE_V1,
    &ngx_kafka_module_ctx,                 /* module context */
    NULL,                                  /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_kafka_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_kafka_main_conf_t  *kmcf;

    kmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_kafka_main_conf_t));
    if (kmcf == NULL
        || ngx_array_init(&kmcf->producers, cf->pool, 2,
                          sizeof(ngx_kafka_conf_t *))
           != NGX_OK
        || ngx_array_init(&kmcf->locations, cf->pool, 8,
                          sizeof(ngx_http_kafka_loc_conf_t *))
           != NGX_OK)
    {
        return NULL;
    }

    kmcf->drain_timeout = NGX_CONF_UNSET_MSEC;

    return kmcf;
}


static void *
ngx_http_kafka_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_kafka_loc_conf_t));
    if (klcf == NULL) {
        return NULL;
    }

    klcf->format = NGX_CONF_UNSET_UINT;
    klcf->empty = NGX_CONF_UNSET_UINT;
    klcf->deletes = NGX_CONF_UNSET;
    klcf->strip_bom = NGX_CONF_UNSET;
    klcf->stream = NGX_CONF_UNSET;
    klcf->ack = NGX_CONF_UNSET_UINT;
    klcf->timeout = NGX_CONF_UNSET_MSEC;
    klcf->intercept_errors = NGX_CONF_UNSET;
    klcf->request_headers = NGX_CONF_UNSET;
    klcf->max_records = NGX_CONF_UNSET;
    klcf->inflate_limit = NGX_CONF_UNSET_SIZE;

    return klcf;
}


/* What is inherited with the place where it is set. */
static void
ngx_http_kafka_merge_places(ngx_http_kafka_loc_conf_t *prev,
    ngx_http_kafka_loc_conf_t *conf)
{
    if (conf->timeout == NGX_CONF_UNSET_MSEC) {
        conf->timeout = prev->timeout;
        conf->timeout_place = prev->timeout_place;
    }

    if (conf->ack == NGX_CONF_UNSET_UINT) {
        conf->ack_place = prev->ack_place;
    }

    if (conf->inflate_limit == NGX_CONF_UNSET_SIZE) {
        conf->inflate_place = prev->inflate_place;
    }

    if (conf->null_place.line == 0) {
        conf->null_place = prev->null_place;
    }
}


/* What requests of REST Proxy's format bring themselves is not inherited. */
static void
ngx_http_kafka_merge_records(ngx_http_kafka_loc_conf_t *prev,
    ngx_http_kafka_loc_conf_t *conf)
{
    if (conf->format == NGX_HTTP_KAFKA_CONFLUENT) {
        ngx_http_kafka_inherit(key_field);
        return;
    }

    if (conf->topic == NULL) {
        conf->topic = prev->topic;
        conf->topic_place = prev->topic_place;
    }

    /* a location has one of the two, so it inherits both or none */
    if (conf->key == NULL && conf->key_field == NULL) {
        conf->key = prev->key;
        conf->key_field = prev->key_field;
    }

    if (conf->response == NULL && conf->response_status == 0) {
        conf->response = prev->response;
        conf->response_status = prev->response_status;
    }

    if (conf->batch_field == NULL) {
        conf->batch_field = prev->batch_field;
        conf->batch_text = prev->batch_text;
    }

    if (conf->dead_letter.data == NULL) {
        conf->dead_letter = prev->dead_letter;
        conf->dead_place = prev->dead_place;
    }

    ngx_http_kafka_inherit(partition);
    ngx_http_kafka_inherit(timestamp);
}


static char *
ngx_http_kafka_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_kafka_loc_conf_t  *prev = parent;
    ngx_http_kafka_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_kafka_loc_conf_t   **klcfp;
    ngx_http_kafka_main_conf_t   *kmcf;

    ngx_conf_merge_uint_value(conf->format, prev->format, NGX_HTTP_KAFKA_RAW);

    ngx_http_kafka_merge_places(prev, conf);
    ngx_http_kafka_merge_records(prev, conf);

    ngx_http_kafka_inherit(schema);
    ngx_http_kafka_inherit(idempotency_field);
    ngx_http_kafka_inherit(headers);
    ngx_http_kafka_inherit(passed);
    ngx_http_kafka_inherit(limits);
    ngx_http_kafka_inherit(decode);

    ngx_conf_merge_uint_value(conf->empty, prev->empty,
                              NGX_HTTP_KAFKA_EMPTY_VALUE);
    ngx_conf_merge_value(conf->deletes, prev->deletes, 0);
    ngx_conf_merge_value(conf->strip_bom, prev->strip_bom, 0);
    ngx_conf_merge_value(conf->stream, prev->stream, 0);
    ngx_conf_merge_uint_value(conf->ack, prev->ack,
                              NGX_HTTP_KAFKA_DELIVERED);
    ngx_conf_merge_value(conf->intercept_errors, prev->intercept_errors, 0);
    ngx_conf_merge_str_value(conf->problem_base, prev->problem_base,
                             "https://sluice.example/problems/");
    ngx_conf_merge_value(conf->request_headers, prev->request_headers, 1);
    ngx_conf_merge_value(conf->max_records, prev->max_records, 1000);
    ngx_conf_merge_size_value(conf->inflate_limit, prev->inflate_limit,
                              8 * 1024 * 1024);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if ((clcf->noname || clcf->lmt_excpt) && conf->pass.data == NULL
        && prev->pass.data && clcf->handler == NULL)
    {
        kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kafka_module);

        klcfp = ngx_array_push(&kmcf->locations);
        if (klcfp == NULL) {
            return NGX_CONF_ERROR;
        }

        *klcfp = conf;

        conf->pass = prev->pass;
        conf->pass_place = prev->pass_place;

        if (conf->body == NULL) {
            conf->body = prev->body;
            conf->body_sent = prev->body_sent;
        }

        if (clcf->lmt_excpt) {
            clcf->handler = ngx_http_kafka_handler;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_kafka_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    ngx_str_t                    *value;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_kafka_loc_conf_t   **klcfp;
    ngx_http_kafka_main_conf_t   *kmcf;

    if (klcf->pass.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kafka_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    klcfp = ngx_array_push(&kmcf->locations);
    if (klcfp == NULL) {
        return NGX_CONF_ERROR;
    }

    /* resolved later: the kafka_producer block may come after the server */
    *klcfp = klcf;

    klcf->pass = value[1];
    klcf->pass_place = ngx_kafka_conf_here(cf);

    clcf->handler = ngx_http_kafka_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_kafka_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                    i;
    ngx_kafka_conf_t            **kcfp;
    ngx_http_kafka_main_conf_t   *kmcf;

    /* the cache manager and loader call this too */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kafka_module);

    if (kmcf == NULL || kmcf->zone == NULL) {
        return NGX_OK;
    }

    if (ngx_kafka_counters_enter(kmcf->zone) != NGX_OK) {
        /* each location answers 503 */
        return NGX_OK;
    }

    kmcf->wants_body = ngx_http_kafka_body_wanted(cycle);

    kcfp = kmcf->producers.elts;

    for (i = 0; i < kmcf->producers.nelts; i++) {
        kcfp[i]->producer = ngx_kafka_producer_start(cycle, kcfp[i],
                                                     kmcf->drain_timeout);
    }

    return NGX_OK;
}


static void
ngx_http_kafka_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_kafka_main_conf_t  *kmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kafka_module);

    if (kmcf == NULL || kmcf->zone == NULL) {
        return;
    }

    ngx_kafka_producers_exit();
    ngx_kafka_counters_leave();
}
