/* kafka_status, kafka_ready, kafka_live: directives and answers. */

#include "status/ngx_http_kafka_status.h"


/* kslcf->page */
#define NGX_HTTP_KAFKA_PAGE_UNSET       0
#define NGX_HTTP_KAFKA_PAGE_ACCEPT      1
#define NGX_HTTP_KAFKA_PAGE_JSON        2
#define NGX_HTTP_KAFKA_PAGE_PROMETHEUS  3
#define NGX_HTTP_KAFKA_PAGE_HTML        4


typedef struct {
    ngx_uint_t                 page;        /* of kafka_status, 0: none */
    ngx_str_t                  drain;       /* file of kafka_ready, or none */
} ngx_http_kafka_status_loc_conf_t;


static ngx_int_t ngx_http_kafka_status_handler(ngx_http_request_t *r);
static ngx_uint_t ngx_http_kafka_status_choose(ngx_http_request_t *r);
static ngx_uint_t ngx_http_kafka_accepted(ngx_str_t *accept,
    const char *type);
static u_char *ngx_http_kafka_range(u_char *p, u_char *last,
    const char *type, ngx_uint_t *exact, ngx_uint_t *q);
static ngx_uint_t ngx_http_kafka_qvalue(u_char *p, u_char *last);
static ngx_int_t ngx_http_kafka_status_html(ngx_http_request_t *r);
static ngx_int_t ngx_http_kafka_ready_handler(ngx_http_request_t *r);
static const char *ngx_http_kafka_draining(ngx_http_request_t *r,
    ngx_str_t *file);
static ngx_int_t ngx_http_kafka_live_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_kafka_send_page(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *type, u_char *text, u_char *last);
static void *ngx_http_kafka_status_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_kafka_status_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_kafka_set_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kafka_set_ready(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kafka_set_live(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kafka_set_page(ngx_conf_t *cf,
    ngx_http_handler_pt handler);


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


static ngx_str_t  ngx_http_kafka_json_type = ngx_string("application/json");
static ngx_str_t  ngx_http_kafka_text_type =
    ngx_string("text/plain; version=0.0.4; charset=utf-8");
static ngx_str_t  ngx_http_kafka_html_type =
    ngx_string("text/html; charset=utf-8");


static ngx_int_t
ngx_http_kafka_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_str_t                  *type, vary;
    ngx_uint_t                  chosen;
    ngx_http_kafka_page_t       page;
    ngx_http_kafka_status_loc_conf_t  *kslcf;

    kslcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_status_module);

    chosen = kslcf->page;

    if (chosen == NGX_HTTP_KAFKA_PAGE_ACCEPT) {
        chosen = ngx_http_kafka_status_choose(r);

        ngx_str_set(&vary, "Accept");

        if (ngx_http_kafka_header(r, "Vary", &vary) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

    } else if (chosen == NGX_HTTP_KAFKA_PAGE_HTML
               && r->args.len == 4
               && ngx_strncmp(r->args.data, "json", 4) == 0)
    {
        /* what the page shows */
        chosen = NGX_HTTP_KAFKA_PAGE_JSON;
    }

    if (chosen == NGX_HTTP_KAFKA_PAGE_HTML) {
        return ngx_http_kafka_status_html(r);
    }

    ngx_http_kafka_page_init(&page, r->pool);

    if (chosen == NGX_HTTP_KAFKA_PAGE_PROMETHEUS) {
        type = &ngx_http_kafka_text_type;
        rc = ngx_http_kafka_status_prometheus(r, &page);

    } else {
        type = &ngx_http_kafka_json_type;
        rc = ngx_http_kafka_status_json(r, &page);
    }

    if (rc != NGX_OK || page.start == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kafka_send_page(r, NGX_HTTP_OK, type, page.start,
                                    page.last);
}


/* RFC 9110, section 12.5.1; JSON where nothing is preferred. */
static ngx_uint_t
ngx_http_kafka_status_choose(ngx_http_request_t *r)
{
    ngx_str_t         accept;
    ngx_uint_t        i, q, best, chosen;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static struct {
        const char  *type;
        ngx_uint_t   page;
    } types[] = {
        { "application/json", NGX_HTTP_KAFKA_PAGE_JSON },
        { "text/html", NGX_HTTP_KAFKA_PAGE_HTML },
        { "text/plain", NGX_HTTP_KAFKA_PAGE_PROMETHEUS },
        { "application/openmetrics-text", NGX_HTTP_KAFKA_PAGE_PROMETHEUS }
    };

    ngx_str_null(&accept);

    /* nginx keeps Accept by itself only where it was built to */

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == 6
            && ngx_strncasecmp(h[i].key.data, (u_char *) "Accept", 6) == 0)
        {
            accept = h[i].value;
            break;
        }
    }

    chosen = NGX_HTTP_KAFKA_PAGE_JSON;
    best = 0;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        q = ngx_http_kafka_accepted(&accept, types[i].type);

        if (q > best) {
            best = q;
            chosen = types[i].page;
        }
    }

    return chosen;
}


/* The weight of a type, in thousandths: of the range that fits it best. */
static ngx_uint_t
ngx_http_kafka_accepted(ngx_str_t *accept, const char *type)
{
    u_char      *p, *last;
    ngx_uint_t   exact, fit, q, best;

    p = accept->data;
    last = p + accept->len;
    best = 0;
    fit = 0;

    while (p < last) {
        p = ngx_http_kafka_range(p, last, type, &exact, &q);

        if (exact > fit) {
            fit = exact;
            best = q;

        } else if (exact && exact == fit) {
            best = ngx_max(best, q);
        }
    }

    return best;
}


/* Reads one range; "exact" is 0 where it does not hold the type. */
static u_char *
ngx_http_kafka_range(u_char *p, u_char *last, const char *type,
    ngx_uint_t *exact, ngx_uint_t *q)
{
    u_char  *end, *param, *start;
    size_t   len, major;

    while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
        p++;
    }

    start = p;
    end = ngx_strlchr(p, last, ',');
    end = end ? end : last;

    while (p < end && *p != ';' && *p != ' ' && *p != '\t') {
        p++;
    }

    len = p - start;
    major = strchr(type, '/') - type + 1;
    *exact = 0;
    *q = 1000;

    if (len == ngx_strlen(type)
        && ngx_strncasecmp(start, (u_char *) type, len) == 0)
    {
        *exact = 3;

    } else if (len == major + 1 && start[major] == '*'
               && ngx_strncasecmp(start, (u_char *) type, major) == 0)
    {
        *exact = 2;

    } else if (len == 3 && ngx_strncmp(start, "*/*", 3) == 0) {
        *exact = 1;
    }

    for (param = p; param < end; param++) {

        if (*param != ';') {
            continue;
        }

        do {
            param++;
        } while (param < end && (*param == ' ' || *param == '\t'));

        if (end - param > 2 && (*param == 'q' || *param == 'Q')
            && param[1] == '=')
        {
            *q = ngx_http_kafka_qvalue(param + 2, end);
        }

        param--;
    }

    return end;
}


/* RFC 9110, section 12.4.2; in thousandths, 0 where it is malformed. */
static ngx_uint_t
ngx_http_kafka_qvalue(u_char *p, u_char *last)
{
    ngx_uint_t  q, unit;

    if (p == last || (*p != '0' && *p != '1')) {
        return 0;
    }

    q = (*p++ - '0') * 1000;

    if (p < last && *p == '.') {
        p++;

        for (unit = 100; unit && p < last && *p >= '0' && *p <= '9'; p++) {
            q += (*p - '0') * unit;
            unit /= 10;
        }
    }

    return ngx_min(q, 1000);
}


static ngx_int_t
ngx_http_kafka_status_html(ngx_http_request_t *r)
{
    ngx_str_t  sniff;

    ngx_str_set(&sniff, "nosniff");

    if (ngx_http_kafka_header(r, "Content-Security-Policy",
                              &ngx_http_kafka_html_policy)
        != NGX_OK
        || ngx_http_kafka_header(r, "X-Content-Type-Options", &sniff)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kafka_send_page(r, NGX_HTTP_OK, &ngx_http_kafka_html_type,
                                    ngx_http_kafka_html.data,
                                    ngx_http_kafka_html.data
                                    + ngx_http_kafka_html.len);
}


static ngx_int_t
ngx_http_kafka_ready_handler(ngx_http_request_t *r)
{
    ngx_uint_t                    i;
    const char                   *reason;
    ngx_kafka_conf_t            **kcfp;
    ngx_http_kafka_page_t         page;
    ngx_http_kafka_main_conf_t   *kmcf;
    ngx_http_kafka_status_loc_conf_t    *kslcf;

    kslcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_status_module);
    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);
    kcfp = kmcf->producers.elts;

    ngx_http_kafka_page_init(&page, r->pool);

    reason = ngx_http_kafka_draining(r, &kslcf->drain);

    if (reason) {
        ngx_http_kafka_print(&page, "{\"ready\":false,\"reason\":\"%s\"}\n",
                             reason);
    }

    for (i = 0; reason == NULL && i < kmcf->producers.nelts; i++) {

        reason = kcfp[i]->producer ? ngx_kafka_unready(kcfp[i]->producer)
                                   : "the producer could not start";

        if (reason) {
            ngx_http_kafka_print(&page, "{\"ready\":false,\"producer\":\"");
            ngx_http_kafka_print_json(&page, &kcfp[i]->name);
            ngx_http_kafka_print(&page, "\",\"reason\":\"%s\"}\n", reason);
        }
    }

    if (reason == NULL) {
        ngx_http_kafka_print(&page, "{\"ready\":true}\n");
    }

    if (page.start == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kafka_send_page(r, reason ? NGX_HTTP_SERVICE_UNAVAILABLE
                                              : NGX_HTTP_OK,
                                    &ngx_http_kafka_json_type, page.start,
                                    page.last);
}


/* NULL where the file, if one is named, is not there. */
static const char *
ngx_http_kafka_draining(ngx_http_request_t *r, ngx_str_t *file)
{
    ngx_err_t        err;
    ngx_file_info_t  fi;

    static time_t  logged;

    if (file->len == 0) {
        return NULL;
    }

    if (ngx_file_info(file->data, &fi) != NGX_FILE_ERROR) {
        return "the drain file exists";
    }

    err = ngx_errno;

    if (err == NGX_ENOENT || err == NGX_ENOTDIR) {
        return NULL;
    }

    /* it may be there: what cannot be known is not promised */

    if (logged != ngx_time()) {
        logged = ngx_time();
        ngx_log_error(NGX_LOG_ERR, r->connection->log, err,
                      "could not look for drain file \"%V\"", file);
    }

    return "the drain file cannot be looked for";
}


static ngx_int_t
ngx_http_kafka_live_handler(ngx_http_request_t *r)
{
    static u_char  text[] = "{\"live\":true}\n";

    return ngx_http_kafka_send_page(r, NGX_HTTP_OK, &ngx_http_kafka_json_type,
                                    text, text + sizeof(text) - 1);
}


static ngx_int_t
ngx_http_kafka_send_page(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, u_char *text, u_char *last)
{
    ngx_str_t  allow, body, store;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        ngx_str_set(&allow, "GET, HEAD");

        return ngx_http_kafka_header(r, "Allow", &allow) == NGX_OK
               ? NGX_HTTP_NOT_ALLOWED : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&store, "no-store");

    if (ngx_http_kafka_header(r, "Cache-Control", &store) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body.data = text;
    body.len = last - text;

    return ngx_http_kafka_send(r, status, type, &body);
}


static void *
ngx_http_kafka_status_create_loc_conf(ngx_conf_t *cf)
{
    /* all of it is unset as zeros */
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_kafka_status_loc_conf_t));
}


/* An "if" has the handler of its location. */
static char *
ngx_http_kafka_status_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_kafka_status_loc_conf_t  *prev = parent;
    ngx_http_kafka_status_loc_conf_t  *conf = child;

    (void) cf;

    if (conf->page == NGX_HTTP_KAFKA_PAGE_UNSET) {
        conf->page = prev->page;
    }

    if (conf->drain.data == NULL) {
        conf->drain = prev->drain;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_kafka_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_status_loc_conf_t  *kslcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    static struct {
        const char  *name;
        ngx_uint_t   page;
    } pages[] = {
        { "json", NGX_HTTP_KAFKA_PAGE_JSON },
        { "prometheus", NGX_HTTP_KAFKA_PAGE_PROMETHEUS },
        { "html", NGX_HTTP_KAFKA_PAGE_HTML }
    };

    (void) cmd;

    value = cf->args->elts;

    if (kslcf->page != NGX_HTTP_KAFKA_PAGE_UNSET) {
        return "is duplicate";
    }

    kslcf->page = NGX_HTTP_KAFKA_PAGE_ACCEPT;

    if (cf->args->nelts == 2) {

        for (i = 0; i < 3; i++) {
            if (ngx_strcmp(value[1].data, pages[i].name) == 0) {
                kslcf->page = pages[i].page;
                break;
            }
        }

        if (i == 3) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", give json, "
                               "prometheus or html", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_kafka_set_page(cf, ngx_http_kafka_status_handler);
}


static char *
ngx_http_kafka_set_ready(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_status_loc_conf_t  *kslcf = conf;

    ngx_str_t  *value;

    (void) cmd;

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

    return ngx_http_kafka_set_page(cf, ngx_http_kafka_ready_handler);
}


static char *
ngx_http_kafka_set_live(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    (void) cmd;
    (void) conf;

    return ngx_http_kafka_set_page(cf, ngx_http_kafka_live_handler);
}


static char *
ngx_http_kafka_set_page(ngx_conf_t *cf, ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == handler) {
        return "is duplicate";
    }

    clcf->handler = handler;

    return NGX_CONF_OK;
}
