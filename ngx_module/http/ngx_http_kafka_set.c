/* Setters of directives for which nginx has none. */

#include "http/ngx_http_kafka_set.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_values.h"


#define NGX_HTTP_KAFKA_NAME_MAX    255      /* bytes of a header's name */
#define NGX_HTTP_KAFKA_SCHEMA_MAX  (1024 * 1024)    /* bytes of a file */
#define NGX_HTTP_KAFKA_INFLATE_MIN 1024     /* bytes */
#define NGX_HTTP_KAFKA_BASE_MAX    256      /* bytes of a problem's base */
#define NGX_HTTP_KAFKA_BATCH_DEPTH 16       /* names of "kafka_batch_field" */


static void ngx_http_kafka_pointer_cleanup(void *data);
static void ngx_http_kafka_schema_cleanup(void *data);


char *
ngx_http_kafka_set_topic(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    klcf->topic_place = ngx_kafka_conf_here(cf);

    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}


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
ngx_http_kafka_set_body(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    char                       *rv;
    ngx_str_t                  *name, *text;
    ngx_uint_t                 *index;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    rv = ngx_http_set_complex_value_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    v = cmcf->variables.elts;
    text = &klcf->body->value;

    /* nginx keeps the indices of all variables here */

    for (index = klcf->body->flushes;
         index && *index != (ngx_uint_t) -1;
         index++)
    {
        name = &v[*index].name;

        if (ngx_http_kafka_is(name, "request_body")
            || ngx_http_kafka_is(name, "kafka_json_request_body"))
        {
            klcf->body_sent = 1;
        }

        /* what has quotes is JSON */

        if (ngx_http_kafka_foreign(name)
            && ngx_strlchr(text->data, text->data + text->len, '"'))
        {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"$%V\" in \"kafka_body\" is not escaped, "
                               "a quote from a client ends its string: use "
                               "\"$kafka_json_%V\"", name, name);
        }
    }

    return NGX_CONF_OK;
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

    klcf->field_place = ngx_kafka_conf_here(cf);

    return ngx_http_kafka_open_pointer(cf, &value[1], field);
}


char *
ngx_http_kafka_set_batch_field(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   n;

    if (klcf->batch_field) {
        return "is duplicate";
    }

    value = cf->args->elts;

    klcf->batch_text = value[1];
    klcf->batch_place = ngx_kafka_conf_here(cf);

    rv = ngx_http_kafka_open_pointer(cf, &value[1], &klcf->batch_field);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    n = json_pointer_count(klcf->batch_field);

    return n && n <= NGX_HTTP_KAFKA_BATCH_DEPTH
           ? NGX_CONF_OK : "takes a JSON Pointer of 1 to 16 names";
}


/* Its bytes stand in JSON as they are. */
char *
ngx_http_kafka_check_base(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t  *base = data;

    size_t  i;

    for (i = 0; i < base->len; i++) {
        if (base->data[i] <= ' ' || base->data[i] >= 0x7f
            || base->data[i] == '"' || base->data[i] == '\\')
        {
            break;
        }
    }

    return base->len && i == base->len && i <= NGX_HTTP_KAFKA_BASE_MAX
           ? NGX_CONF_OK
           : "takes a URI of up to 256 bytes";
}


char *
ngx_http_kafka_set_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    ngx_str_t                         *value;
    ngx_uint_t                         i;
    ngx_http_kafka_header_t           *h;
    ngx_http_compile_complex_value_t   ccv;

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
ngx_http_kafka_set_invalid(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    ngx_str_t  *value;

    if (klcf->dead_letter.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    klcf->dead_place = ngx_kafka_conf_here(cf);

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


char *
ngx_http_kafka_set_schema(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    ngx_str_t  *value;

    if (klcf->schema) {
        return "is duplicate";
    }

    value = cf->args->elts;

    klcf->schema_place = ngx_kafka_conf_here(cf);

    return ngx_http_kafka_open_schema(cf, &value[1], &klcf->schema);
}


char *
ngx_http_kafka_set_msec(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *p = conf;

    char               *rv;
    ngx_str_t          *value;
    ngx_msec_t         *msp;
    ngx_kafka_place_t  *place;

    rv = ngx_conf_set_msec_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    value = cf->args->elts;
    msp = (ngx_msec_t *) (p + cmd->offset);

    if (*msp == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid %V \"%V\", it must be longer than 0",
                           &value[0], &value[1]);
        return NGX_CONF_ERROR;
    }

    /* the field behind it */
    place = (ngx_kafka_place_t *) (msp + 1);
    *place = ngx_kafka_conf_here(cf);

    return NGX_CONF_OK;
}


char *
ngx_http_kafka_set_null(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    klcf->null_place = ngx_kafka_conf_here(cf);

    return cmd->post ? ngx_conf_set_enum_slot(cf, cmd, conf)
                     : ngx_conf_set_flag_slot(cf, cmd, conf);
}


char *
ngx_http_kafka_set_stream(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    klcf->stream_place = ngx_kafka_conf_here(cf);

    return ngx_conf_set_flag_slot(cf, cmd, conf);
}


char *
ngx_http_kafka_set_ack(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    klcf->ack_place = ngx_kafka_conf_here(cf);

    return ngx_conf_set_enum_slot(cf, cmd, conf);
}


char *
ngx_http_kafka_set_response(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    ngx_str_t                         *value, *body;
    ngx_int_t                          status;
    ngx_http_compile_complex_value_t   ccv;

    if (klcf->response || klcf->response_status) {
        return "is duplicate";
    }

    value = cf->args->elts;
    body = &value[1];
    status = body->len == 3 ? ngx_atoi(body->data, 3) : NGX_ERROR;

    if (status != NGX_ERROR || cf->args->nelts == 3) {

        if (status != NGX_HTTP_OK && status != NGX_HTTP_ACCEPTED
            && status != NGX_HTTP_NO_CONTENT)
        {
            return "takes a status of 200, 202 or 204, a body, or both";
        }

        if (status == NGX_HTTP_NO_CONTENT && cf->args->nelts == 3) {
            return "takes no body with status 204";
        }

        klcf->response_status = status;
        body = &value[2];
    }

    if (klcf->response_status && cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    klcf->response = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (klcf->response == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = body;
    ccv.complex_value = klcf->response;

    return ngx_http_compile_complex_value(&ccv) == NGX_OK ? NGX_CONF_OK
                                                          : NGX_CONF_ERROR;
}


char *
ngx_http_kafka_set_decode(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    ngx_str_t       *value;
    ngx_uint_t       i, behind_form;
    inflate_step_t  *step;

    if (klcf->decode) {
        return "is duplicate";
    }

    value = cf->args->elts;

    klcf->decode = ngx_array_create(cf->pool, 4, sizeof(inflate_step_t));
    if (klcf->decode == NULL) {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    behind_form = 0;

    for (i = 1; i < cf->args->nelts; i++) {

        step = ngx_array_push(klcf->decode);
        if (step == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memzero(step, sizeof(inflate_step_t));

        step->coding = inflate_coding((char *) value[i].data, value[i].len);

        if (ngx_strcmp(value[i].data, "base64") == 0) {
            step->coding = INFLATE_BASE64;
            step->plus = behind_form;

        } else if (ngx_strncmp(value[i].data, "form=", 5) == 0
                   && value[i].len > 5)
        {
            step->coding = INFLATE_FORM;
            step->name = (char *) value[i].data + 5;
            step->len = value[i].len - 5;

        } else if (step->coding == INFLATE_UNKNOWN
                   || step->coding == INFLATE_IDENTITY)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid step \"%V\" of \"kafka_decode\", "
                               "give form=NAME, base64 or one of: %s",
                               &value[i], inflate_codings);
            return NGX_CONF_ERROR;
        }

        behind_form = step->coding == INFLATE_FORM;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_kafka_set_inflate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    char       *rv;
    ngx_str_t  *value;

    rv = ngx_conf_set_size_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (klcf->inflate_limit < NGX_HTTP_KAFKA_INFLATE_MIN) {
        value = cf->args->elts;
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid %V \"%V\", give 1k or more", &value[0],
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    klcf->inflate_place = ngx_kafka_conf_here(cf);

    return NGX_CONF_OK;
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
ngx_http_kafka_open_schema(ngx_conf_t *cf, ngx_str_t *file, schema_t **schema)
{
    u_char              *buf;
    ssize_t              n;
    ngx_fd_t             fd;
    ngx_str_t            name;
    schema_error_t       err;
    ngx_pool_cleanup_t  *cln;

    name = *file;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL || ngx_conf_full_name(cf->cycle, &name, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(name.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "could not open schema \"%V\"", &name);
        return NGX_CONF_ERROR;
    }

    n = -1;
    buf = ngx_palloc(cf->temp_pool, NGX_HTTP_KAFKA_SCHEMA_MAX + 1);

    if (buf) {
        n = ngx_read_fd(fd, buf, NGX_HTTP_KAFKA_SCHEMA_MAX + 1);
    }

    (void) ngx_close_file(fd);

    if (n == -1 || n > NGX_HTTP_KAFKA_SCHEMA_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, n == -1 ? ngx_errno : 0,
                           "could not read schema \"%V\"%s", &name,
                           n == -1 ? "" : ": it is longer than 1m");
        return NGX_CONF_ERROR;
    }

    *schema = schema_compile((char *) buf, n, &err);
    if (*schema == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid schema %V:%ud: %s", &name, err.line,
                           err.reason);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_kafka_schema_cleanup;
    cln->data = *schema;

    return NGX_CONF_OK;
}


static void
ngx_http_kafka_schema_cleanup(void *data)
{
    schema_free(data);
}
