/* Checks of the keywords that hold no other schema. */

#ifndef SLUICE_SCHEMA_LEAF_H
#define SLUICE_SCHEMA_LEAF_H


#include "schema/schema_checker.h"


#pragma GCC visibility push(hidden)


schema_check_t  schema_check_type;
schema_check_t  schema_check_value;         /* enum, const */
schema_check_t  schema_check_required;
schema_check_t  schema_check_dependents;
schema_check_t  schema_check_count;         /* of members, of items */
schema_check_t  schema_check_unique;
schema_check_t  schema_check_length;
schema_check_t  schema_check_format;
schema_check_t  schema_check_bound;
schema_check_t  schema_check_multiple;


#pragma GCC visibility pop


#endif
