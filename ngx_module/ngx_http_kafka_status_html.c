#include "ngx_http_kafka_status.h"
ngx_str_t  ngx_http_kafka_html = ngx_string("<!doctype html>\n");
ngx_str_t  ngx_http_kafka_html_policy = ngx_string("default-src 'none'");
