/* kafka_status, kafka_ready, kafka_live: directives and answers. */

#include "status/ngx_http_kafka_status.h"


/* What is answered; "print" returns the status, or NGX_ERROR. */
typedef struct {
    ngx_str_t                  name;        /* parameter of kafka_status */
    ngx_str_t                  type;
    ngx_int_t                (*print)(ngx_http_request_t *r,
                                   ngx_http_kafka_text_t *text);
} ngx_http_kafka_page_t;


typedef struct {
    ngx_http_kafka_page_t     *page;        /* NULL: none */
    ngx_command_t             *cmd;         /* that set it */
    ngx_str_t                  drain;       /* file of kafka_ready, or none */
} ngx_http_kafka_status_loc_conf_t;


static ngx_int_t ngx_http_kafka_status_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_kafka_print_ready(ngx_http_request_t *r,
    ngx_http_kafka_text_t *text);
static const char *ngx_http_kafka_draining(ngx_http_request_t *r);
static ngx_int_t ngx_http_kafka_print_live(ngx_http_request_t *r,
    ngx_http_kafka_text_t *text);
static void *ngx_http_kafka_status_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_kafka_status_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_kafka_set_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kafka_set_ready(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kafka_set_live(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kafka_set_page(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_kafka_status_loc_conf_t *kslcf, ngx_http_kafka_page_t *page);


/* the first one is the default; what prints nothing redirects */
static ngx_http_kafka_page_t  ngx_http_kafka_pages[] = {
    { ngx_string("json"), ngx_string("application/json"),
      ngx_http_kafka_print_status },
    { ngx_string("prometheus"),
      ngx_string("text/plain; version=0.0.4; charset=utf-8"),
      ngx_http_kafka_print_metrics },
    { ngx_string("html"), ngx_null_string, NULL },
    { ngx_null_string, ngx_null_string, NULL }
};


static ngx_http_kafka_page_t  ngx_http_kafka_ready = {
    ngx_null_string, ngx_string("application/json"), ngx_http_kafka_print_ready
};


static ngx_http_kafka_page_t  ngx_http_kafka_live = {
    ngx_null_string, ngx_string("application/json"), ngx_http_kafka_print_live
};


static ngx_command_t  ngx_http_kafka_status_commands[] = {

    { ngx_string("kafka_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_kafka_set_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kafka_ready"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_kafka_set_ready,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kafka_live"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_kafka_set_live,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_kafka_status_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_kafka_status_create_loc_conf, /* create location configuration */
    ngx_http_kafka_status_merge_loc_conf   /* merge location configuration */
};


ngx_module_t  ngx_http_kafka_status_module = {
    NGX_MODULE_V1,
    &ngx_http_kafka_status_module_ctx,     /* module context */
    ngx_http_kafka_status_commands,        /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_kafka_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                          status;
    ngx_str_t                          allow, store, body;
    ngx_http_kafka_text_t              text;
    ngx_http_complex_value_t           moved;
    ngx_http_kafka_status_loc_conf_t  *kslcf;

    kslcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_status_module);

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        ngx_str_set(&allow, "GET, HEAD");

        return ngx_http_kafka_header(r, "Allow", &allow) == NGX_OK
               ? NGX_HTTP_NOT_ALLOWED : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (kslcf->page->print == NULL) {
        ngx_memzero(&moved, sizeof(ngx_http_complex_value_t));
        ngx_str_set(&moved.value, "status.html");

        return ngx_http_send_response(r, NGX_HTTP_MOVED_TEMPORARILY, NULL,
                                      &moved);
    }

    ngx_http_kafka_text_init(&text, r->pool);
    status = kslcf->page->print(r, &text);

    ngx_str_set(&store, "no-store");

    if (status == NGX_ERROR || text.start == NULL
        || ngx_http_kafka_header(r, "Cache-Control", &store) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body.data = text.start;
    body.len = text.last - text.start;

    return ngx_http_kafka_send(r, status, &kslcf->page->type, &body);
}


static ngx_int_t
ngx_http_kafka_print_ready(ngx_http_request_t *r, ngx_http_kafka_text_t *text)
{
    ngx_uint_t                    i;
    const char                   *reason;
    ngx_kafka_conf_t            **kcfp;
    ngx_http_kafka_main_conf_t   *kmcf;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);
    kcfp = kmcf->producers.elts;

    reason = ngx_http_kafka_draining(r);

    if (reason) {
        ngx_http_kafka_print(text, "{\"ready\":false,\"reason\":\"%s\"}\n",
                             reason);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    for (i = 0; i < kmcf->producers.nelts; i++) {

        reason = kcfp[i]->producer ? ngx_kafka_unready(kcfp[i]->producer)
                                   : "the producer could not start";

        if (reason) {
            ngx_http_kafka_print(text, "{\"ready\":false,\"producer\":\"");
            ngx_http_kafka_print_json(text, &kcfp[i]->name);
            ngx_http_kafka_print(text, "\",\"reason\":\"%s\"}\n", reason);
            return NGX_HTTP_SERVICE_UNAVAILABLE;
        }
    }

    ngx_http_kafka_print(text, "{\"ready\":true}\n");

    return NGX_HTTP_OK;
}


/* NULL where the drain file, if one is named, is not there. */
static const char *
ngx_http_kafka_draining(ngx_http_request_t *r)
{
    ngx_err_t                          err;
    ngx_file_info_t                    fi;
    ngx_http_kafka_status_loc_conf_t  *kslcf;

    static time_t  logged;

    kslcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_status_module);

    if (kslcf->drain.len == 0) {
        return NULL;
    }

    if (ngx_file_info(kslcf->drain.data, &fi) != NGX_FILE_ERROR) {
        return "the drain file exists";
    }

    err = ngx_errno;

    if (err == NGX_ENOENT || err == NGX_ENOTDIR) {
        return NULL;
    }

    /* the file may be there: what cannot be known is not promised */

    if (logged != ngx_time()) {
        logged = ngx_time();
        ngx_log_error(NGX_LOG_ERR, r->connection->log, err,
                      "could not look for drain file \"%V\"", &kslcf->drain);
    }

    return "the drain file cannot be looked for";
}


static ngx_int_t
ngx_http_kafka_print_live(ngx_http_request_t *r, ngx_http_kafka_text_t *text)
{
    ngx_http_kafka_print(text, "{\"live\":true}\n");

    return NGX_HTTP_OK;
}


static void *
ngx_http_kafka_status_create_loc_conf(ngx_conf_t *cf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     kslcf->page = NULL;
     *     kslcf->cmd = NULL;
     *     kslcf->drain = { 0, NULL };
     */

    return ngx_pcalloc(cf->pool, sizeof(ngx_http_kafka_status_loc_conf_t));
}


/* An "if" has the handler of its location. */
static char *
ngx_http_kafka_status_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_kafka_status_loc_conf_t  *prev = parent;
    ngx_http_kafka_status_loc_conf_t  *conf = child;

    if (conf->page == NULL) {
        conf->page = prev->page;
    }

    ngx_conf_merge_str_value(conf->drain, prev->drain, "");

    return NGX_CONF_OK;
}


static char *
ngx_http_kafka_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_status_loc_conf_t  *kslcf = conf;

    ngx_str_t              *value;
    ngx_http_kafka_page_t  *page;

    value = cf->args->elts;
    page = ngx_http_kafka_pages;

    if (cf->args->nelts == 1) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"kafka_status\" without a format answers JSON, "
                           "whatever Accept says: give json or prometheus");

    } else {
        while (page->name.len && ngx_strcmp(value[1].data, page->name.data)) {
            page++;
        }
    }

    if (page->name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", give json or "
                           "prometheus", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (page->print == NULL) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"kafka_status html\" redirects to "
                           "\"status.html\" beside it: serve that file of "
                           "share/sluice, the next version refuses \"html\"");
    }

    return ngx_http_kafka_set_page(cf, cmd, kslcf, page);
}


static char *
ngx_http_kafka_set_ready(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_status_loc_conf_t  *kslcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (ngx_strncmp(value[1].data, "drain=", 6) != 0
            || value[1].len == 6)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", give drain= and a "
                               "file", &value[1]);
            return NGX_CONF_ERROR;
        }

        kslcf->drain.data = value[1].data + 6;
        kslcf->drain.len = value[1].len - 6;

        if (ngx_conf_full_name(cf->cycle, &kslcf->drain, 0) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_kafka_set_page(cf, cmd, kslcf, &ngx_http_kafka_ready);
}


static char *
ngx_http_kafka_set_live(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_kafka_set_page(cf, cmd, conf, &ngx_http_kafka_live);
}


static char *
ngx_http_kafka_set_page(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_kafka_status_loc_conf_t *kslcf, ngx_http_kafka_page_t *page)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (kslcf->cmd == cmd) {
        return "is duplicate";
    }

    kslcf->cmd = cmd;
    kslcf->page = page;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_kafka_status_handler;

    return NGX_CONF_OK;
}
