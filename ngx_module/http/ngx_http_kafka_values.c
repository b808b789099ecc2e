/* $kafka_arg_NAME and $kafka_json_NAME; they know no context of a request. */

#include "http/ngx_http_kafka_values.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_json.h"


#define NGX_HTTP_KAFKA_VALUE_LEN  (1 << 28)   /* nginx has 28 bits for one */


static ngx_int_t ngx_http_kafka_define_json(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *of);
static ngx_int_t ngx_http_kafka_json(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_uint_t ngx_http_kafka_begins(ngx_str_t *name, ngx_str_t *prefix);


static ngx_str_t  ngx_http_kafka_arg_name = ngx_string("arg_");
static ngx_str_t  ngx_http_kafka_json_name = ngx_string("kafka_json_");
static ngx_str_t  ngx_http_kafka_own_name = ngx_string("kafka_");


/* Variables that hold a client's bytes; "_" at the end: and all such. */
static ngx_str_t  ngx_http_kafka_foreign_names[] = {
    ngx_string("arg_"),
    ngx_string("args"),
    ngx_string("content_type"),
    ngx_string("cookie_"),
    ngx_string("document_uri"),
    ngx_string("host"),
    ngx_string("http_"),
    ngx_string("kafka_arg_"),
    ngx_string("proxy_add_x_forwarded_for"),
    ngx_string("query_string"),
    ngx_string("remote_user"),
    ngx_string("request"),
    ngx_string("request_body"),
    ngx_string("request_uri"),
    ngx_string("ssl_client_"),
    ngx_string("ssl_server_name"),
    ngx_string("uri"),
    ngx_null_string
};


ngx_int_t
ngx_http_kafka_arg(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t *name = (ngx_str_t *) data;

    size_t     i, cut;
    u_char    *p;
    ngx_str_t  value;

    cut = sizeof("kafka_arg_") - 1;

    if (name->len == cut
        || ngx_http_arg(r, name->data + cut, name->len - cut, &value)
           != NGX_OK)
    {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, value.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < value.len; i++) {
        /* as forms and URLSearchParams write a space */
        p[i] = value.data[i] == '+' ? ' ' : value.data[i];
    }

    value.data = p;

    (void) ngx_http_kafka_percent_decode(&value);

    v->data = value.data;
    v->len = value.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_resolve_values(ngx_conf_t *cf)
{
    ngx_str_t                    name, of;
    ngx_uint_t                   i;
    ngx_http_variable_t         *v;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_kafka_main_conf_t  *kmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kafka_module);

    kmcf->request_body = NGX_ERROR;
    kmcf->json_body = NGX_ERROR;

    /* the array grows meanwhile, and may move */

    for (i = 0; i < cmcf->variables.nelts; i++) {
        v = cmcf->variables.elts;
        name = v[i].name;

        if (ngx_http_kafka_is(&name, "request_body")) {
            kmcf->request_body = i;

        } else if (ngx_http_kafka_is(&name, "kafka_json_request_body")) {
            kmcf->json_body = i;
        }

        if (!ngx_http_kafka_begins(&name, &ngx_http_kafka_json_name)) {
            continue;
        }

        of.data = name.data + ngx_http_kafka_json_name.len;
        of.len = name.len - ngx_http_kafka_json_name.len;

        if (ngx_http_kafka_define_json(cf, &name, &of) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* nginx refuses what $kafka_json_NAME is of, where there is no such NAME. */
static ngx_int_t
ngx_http_kafka_define_json(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *of)
{
    ngx_int_t             index;
    ngx_str_t             decoded;
    ngx_http_variable_t  *v;

    v = ngx_http_add_variable(cf, name, NGX_HTTP_VAR_NOCACHEABLE);
    if (v == NULL) {
        return NGX_ERROR;
    }

    if (v->get_handler) {
        /* of a map or the like */
        return NGX_OK;
    }

    if (ngx_http_kafka_begins(of, &ngx_http_kafka_arg_name)) {
        decoded.len = ngx_http_kafka_own_name.len + of->len;

        decoded.data = ngx_pnalloc(cf->pool, decoded.len);
        if (decoded.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(ngx_cpymem(decoded.data, ngx_http_kafka_own_name.data,
                              ngx_http_kafka_own_name.len),
                   of->data, of->len);
        of = &decoded;
    }

    index = ngx_http_get_variable_index(cf, of);
    if (index == NGX_ERROR) {
        return NGX_ERROR;
    }

    v->get_handler = ngx_http_kafka_json;
    v->data = index;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_json(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    u_char                     *p;
    size_t                      size;
    ngx_uint_t                  i;
    ngx_http_variable_value_t  *of;

    of = ngx_http_get_flushed_variable(r, data);

    if (of == NULL || of->not_found) {
        v->not_found = 1;
        return NGX_OK;
    }

    /* ngx_http_kafka_escape() takes six bytes for one, and asks for room */
    size = of->len + 7;

    for (i = 0; i < of->len; i++) {
        if (of->data[i] < 0x20 || of->data[i] >= 0x7f
            || of->data[i] == '"' || of->data[i] == '\\')
        {
            size += 5;
        }
    }

    if (size >= NGX_HTTP_KAFKA_VALUE_LEN) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(r->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;
    v->len = ngx_http_kafka_escape(p, p + size, of->data, of->len) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


ngx_uint_t
ngx_http_kafka_foreign(ngx_str_t *name)
{
    ngx_str_t  *known;

    for (known = ngx_http_kafka_foreign_names; known->len; known++) {
        if (ngx_http_kafka_begins(name, known)
            && (name->len == known->len
                || known->data[known->len - 1] == '_'))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_kafka_begins(ngx_str_t *name, ngx_str_t *prefix)
{
    return name->len >= prefix->len
           && ngx_strncasecmp(name->data, prefix->data, prefix->len) == 0;
}
