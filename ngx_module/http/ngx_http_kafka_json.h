/* Writes JSON text into a buffer. */

#ifndef NGX_HTTP_KAFKA_JSON_H
#define NGX_HTTP_KAFKA_JSON_H


#include <ngx_config.h>
#include <ngx_core.h>


/* Adds a literal, for which there is room. */
#define ngx_http_kafka_add(p, literal)                                        \
    (p) = ngx_cpymem(p, literal, sizeof(literal) - 1)


/*
 * Adds a text, escaped for a JSON string; invalid UTF-8 becomes U+FFFD.  One
 * byte takes up to six.  What does not fit before "last" is left out.
 */
u_char *ngx_http_kafka_escape(u_char *p, u_char *last, const u_char *text,
    size_t len);

/* Adds ,"name":"value" with the value escaped. */
u_char *ngx_http_kafka_member(u_char *p, u_char *last, const char *name,
    const u_char *value, size_t len);


#endif
