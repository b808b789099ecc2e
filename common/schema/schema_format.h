/* The formats of "format": RFC 3339, 3986, 4122 and 5321. */

#ifndef SLUICE_SCHEMA_FORMAT_H
#define SLUICE_SCHEMA_FORMAT_H


#include "schema/schema_node.h"


#pragma GCC visibility push(hidden)


/* A format's check, and its static name in *kept; NULL: unknown. */
schema_format_t *schema_format(const char *name, const char **kept);


#pragma GCC visibility pop


#endif
