/* Setters of the keys whose kind fills no field by itself. */

#ifndef SLUICE_CONF_SETTERS_H
#define SLUICE_CONF_SETTERS_H


#include "conf/walk.h"


/* setters.c: scope conf_t */
conf_set_t  conf_set_ignored;
conf_set_t  conf_set_postgres;
conf_set_t  conf_set_start;
conf_set_t  conf_set_listen;
conf_set_t  conf_set_where;
conf_set_t  conf_set_delete_when;
conf_set_t  conf_set_registry_secret;

/* the same, of a condition conf_where_t */
conf_set_t  conf_set_parts;
conf_set_t  conf_set_values;

/* tables.c: scope conf_t; of type and transform conf_column_t */
conf_set_t  conf_set_table;
conf_set_t  conf_set_columns;
conf_set_t  conf_set_type;
conf_set_t  conf_set_transform;
conf_set_t  conf_set_routes;

/* topics.c: scope conf_t */
conf_set_t  conf_set_topics;

/* properties.c: scope conf_t */
conf_set_t  conf_set_properties;

/*
 * Writes "table", the key of the offsets, from "table_schema" and "table_name".
 * Returns 0, or -1 when memory is short.
 */
int conf_table_key(conf_reader_t *cr, conf_t *conf);


#endif
