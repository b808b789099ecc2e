/* The block kafka_producer. */

#ifndef NGX_HTTP_KAFKA_BLOCK_H
#define NGX_HTTP_KAFKA_BLOCK_H


#include "http/ngx_http_kafka_module.h"


/* Setter of "kafka_producer", which adds to kmcf->producers. */
char *ngx_http_kafka_producer_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* The block with this name among those read so far, or NULL. */
ngx_kafka_conf_t *ngx_http_kafka_find_producer(
    ngx_http_kafka_main_conf_t *kmcf, ngx_str_t *name);


#endif
