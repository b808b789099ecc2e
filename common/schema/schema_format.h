/* "format": RFC 3339, 3986, 4122 and 5321, as a whole string each. */

#ifndef SLUICE_SCHEMA_FORMAT_H
#define SLUICE_SCHEMA_FORMAT_H


#include "schema/schema_node.h"


#pragma GCC visibility push(hidden)


/* The check of a format, its static name in *kept; NULL: it is not known. */
schema_format_t *schema_format(const char *name, const char **kept);


#pragma GCC visibility pop


#endif
