/* The setters of the table's keys that need one. */

#ifndef SLUICE_CONF_SET_H
#define SLUICE_CONF_SET_H


#include "conf/keys.h"


/* conf.c: scope conf_t */
int conf_set_ignored(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_set_start(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_set_table(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_set_listen(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);

/* conf_route.c: scope conf_t */
int conf_route_path(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_route_tables(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);

/* conf_parts.c: scope conf_t */
int conf_read_columns(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);

/* conf_parts.c: scope conf_column_t */
int conf_column_path(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_column_meta(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_column_generated(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_column_type(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_column_default(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);

int conf_column_header(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_column_constant(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_column_transform(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);

/* conf_where.c: scope conf_t */
int conf_where_path(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_where_header(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_where_equals(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_where_in(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
int conf_where_exists(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);
/* What of the record's side contradicts itself, and the column of "rest". */
int conf_complete_record(conf_reader_t *cr, conf_t *conf);
void conf_where_free(conf_where_t *where);

/* conf_properties.c: scope conf_t */
int conf_read_kafka(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope);


#endif
