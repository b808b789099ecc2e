/* Inside the configuration reader: a place in the file and its messages. */

#ifndef SLUICE_CONF_IMPL_H
#define SLUICE_CONF_IMPL_H


#include <cjson/cJSON.h>

#include "conf/conf.h"


typedef struct {
    const char  *file;
    const char  *text;
    size_t       len;
    json_doc_t   doc;
    char        *err;       /* CONF_ERROR_MAX bytes */
    const char  *column;    /* the column being read, or NULL */
} conf_reader_t;


/* A value in cJSON's tree and the token it came from, which knows its line. */
typedef struct {
    cJSON     *item;
    uint32_t   token;
    bool       secret;      /* read from { "file": }: in no message */
} conf_node_t;


/* Sets the reader's message to "file:line:column: ..."; returns -1. */
int conf_fail(conf_reader_t *cr, uint32_t token, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The members of an object, one a call; *iter begins as the object itself
 * with its token.  Returns false behind the last.
 */
typedef struct {
    cJSON     *next;
    uint32_t   token;      /* of the next member's name */
} conf_iter_t;

void conf_iter_init(conf_iter_t *iter, const conf_node_t *object);
int conf_iter_next(conf_reader_t *cr, conf_iter_t *iter, conf_node_t *name,
    conf_node_t *value);

/*
 * Where a string is due: { "file": PATH } becomes the file's content without
 * its last line end, a string itself, with ${CREDENTIALS_DIRECTORY} expanded
 * in PATH.  Anything else stays for the caller to refuse.
 */
int conf_resolve(conf_reader_t *cr, conf_node_t *node);

/*
 * A resolved string as a copy with ${CREDENTIALS_DIRECTORY} expanded unless
 * it came from a file; "name" is for the message when it is no string.
 */
int conf_get_secret(conf_reader_t *cr, const conf_node_t *node,
    const char *name, char **value);

/* A value as JSON text of its own, or NULL: memory. */
char *conf_json(conf_reader_t *cr, const conf_node_t *node);

/*
 * conf_tables.c: what "mode", "key" and "newer" ask of each other and of the
 * columns; "place" is the table's, 0 for the whole configuration's.
 */
int conf_check_mode(conf_reader_t *cr, const conf_t *conf, uint32_t place);

/* Where a key of the whole configuration stands, for messages. */
uint32_t conf_place(conf_reader_t *cr, const char *key);

/* conf_route.c: the tables, conf->targets. */
int conf_complete_route(conf_reader_t *cr, conf_t *conf);
void conf_route_free(conf_t *conf);


#endif
