/* The block kafka_producer. */

#ifndef NGX_HTTP_KAFKA_BLOCK_H
#define NGX_HTTP_KAFKA_BLOCK_H


#include <ngx_config.h>
#include <ngx_core.h>


/* Setter of "kafka_producer", which adds to kmcf->producers. */
char *ngx_http_kafka_producer_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif
