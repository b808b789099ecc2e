/* Checks of what several directives say together. */

#ifndef NGX_HTTP_KAFKA_RESOLVE_H
#define NGX_HTTP_KAFKA_RESOLVE_H


#include "http/ngx_http_kafka_module.h"


/* Checks what needs all of the http block, adds the shared zones. */
ngx_int_t ngx_http_kafka_postconfiguration(ngx_conf_t *cf);

/* Checks what needs the whole configuration, proves the producers. */
char *ngx_kafka_init_conf(ngx_cycle_t *cycle, void *conf);


#endif
