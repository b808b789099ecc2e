/* Setters of the directives that say how records are made. */

#include "http/ngx_http_kafka_module.h"


#define NGX_HTTP_KAFKA_RECORDS_MAX  100000
#define NGX_HTTP_KAFKA_NAME_MAX     255     /* bytes of a header's name */


static void ngx_http_kafka_pointer_cleanup(void *data);


char *
ngx_http_kafka_set_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    if (klcf->key_field) {
        return "conflicts with \"kafka_key_field\"";
    }

    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}


char *
ngx_http_kafka_set_field(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    ngx_str_t        *value;
    json_pointer_t  **field;

    field = (json_pointer_t **) ((u_char *) conf + cmd->offset);

    if (*field) {
        return "is duplicate";
    }

    if (field == &klcf->key_field && klcf->key) {
        return "conflicts with \"kafka_key\"";
    }

    value = cf->args->elts;

    klcf->field_place.file = cf->conf_file->file.name;
    klcf->field_place.line = cf->conf_file->line;

    return ngx_http_kafka_open_pointer(cf, &value[1], field);
}


char *
ngx_http_kafka_open_pointer(ngx_conf_t *cf, ngx_str_t *text,
    json_pointer_t **pointer)
{
    const char          *reason;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    *pointer = json_pointer_compile((char *) text->data, text->len, &reason);

    if (*pointer == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid JSON Pointer \"%V\": %s", text, reason);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_kafka_pointer_cleanup;
    cln->data = *pointer;

    return NGX_CONF_OK;
}


static void
ngx_http_kafka_pointer_cleanup(void *data)
{
    json_pointer_free(data);
}


char *
ngx_http_kafka_set_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    ngx_str_t                         *value;
    ngx_uint_t                         i;
    ngx_http_kafka_header_t           *h;
    ngx_http_compile_complex_value_t   ccv;

    (void) cmd;

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].len > NGX_HTTP_KAFKA_NAME_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid header name \"%V\", give 1 to 255 bytes",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < value[1].len; i++) {
        if (value[1].data[i] < 0x20 || value[1].data[i] > 0x7e) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid header name \"%V\", give printable "
                               "ASCII", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    if (klcf->headers == NULL) {
        klcf->headers = ngx_array_create(cf->pool, 4,
                                         sizeof(ngx_http_kafka_header_t));
        if (klcf->headers == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    h = ngx_array_push(klcf->headers);
    if (h == NULL) {
        return NGX_CONF_ERROR;
    }

    h->name = value[1];

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[2];
    ccv.complex_value = &h->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_kafka_set_max_records(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    (void) cmd;

    if (klcf->max_records != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 1 || n > NGX_HTTP_KAFKA_RECORDS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid kafka_max_records \"%V\", give 1 to "
                           "100000", &value[1]);
        return NGX_CONF_ERROR;
    }

    klcf->max_records = n;

    return NGX_CONF_OK;
}


char *
ngx_http_kafka_set_invalid(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    ngx_str_t  *value;

    (void) cmd;

    if (klcf->dead_letter.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    klcf->dead_place.file = cf->conf_file->file.name;
    klcf->dead_place.line = cf->conf_file->line;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "reject") == 0) {
        klcf->dead_letter.data = (u_char *) "";
        return NGX_CONF_OK;
    }

    if (cf->args->nelts == 3
        && ngx_strcmp(value[1].data, "dead_letter") == 0
        && value[2].len)
    {
        klcf->dead_letter = value[2];
        return NGX_CONF_OK;
    }

    return "takes \"reject\", or \"dead_letter\" and a topic";
}
