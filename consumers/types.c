/* PostgreSQL's types as far as a column's text depends on them. */

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "conf_value.h"
#include "types.h"


#define TYPE_NAME_MAX  64


typedef struct {
    const char   *name;
    type_kind_t   kind;
    int           modifiers;    /* numbers it takes in parentheses, at most */
} type_name_t;


static const type_name_t  type_names[] = {
    { "bigint",                      TYPE_BIGINT,   0 },
    { "bool",                        TYPE_BOOLEAN,  0 },
    { "boolean",                     TYPE_BOOLEAN,  0 },
    { "bytea",                       TYPE_BYTEA,    0 },
    { "char",                        TYPE_TEXT,     1 },
    { "character",                   TYPE_TEXT,     1 },
    { "character varying",           TYPE_TEXT,     1 },
    { "date",                        TYPE_TIME,     0 },
    { "decimal",                     TYPE_NUMERIC,  2 },
    { "double precision",            TYPE_FLOAT,    0 },
    { "float4",                      TYPE_FLOAT,    0 },
    { "float8",                      TYPE_FLOAT,    0 },
    { "int",                         TYPE_INTEGER,  0 },
    { "int2",                        TYPE_SMALLINT, 0 },
    { "int4",                        TYPE_INTEGER,  0 },
    { "int8",                        TYPE_BIGINT,   0 },
    { "integer",                     TYPE_INTEGER,  0 },
    { "json",                        TYPE_JSON,     0 },
    { "jsonb",                       TYPE_JSON,     0 },
    { "numeric",                     TYPE_NUMERIC,  2 },
    { "real",                        TYPE_FLOAT,    0 },
    { "smallint",                    TYPE_SMALLINT, 0 },
    { "text",                        TYPE_TEXT,     0 },
    { "time",                        TYPE_TIME,     1 },
    { "time without time zone",      TYPE_TIME,     1 },
    { "timestamp",                   TYPE_TIME,     1 },
    { "timestamp with time zone",    TYPE_TIME,     1 },
    { "timestamp without time zone", TYPE_TIME,     1 },
    { "timestamptz",                 TYPE_TIME,     1 },
    { "uuid",                        TYPE_UUID,     0 },
    { "varchar",                     TYPE_TEXT,     1 }
};


/*
 * Copies the name in lower case without its parenthesis; returns how many
 * numbers that held, -1 if it is malformed.
 */

static int
type_split(const char *name, char *base)
{
    int     numbers, digits;
    size_t  n;

    numbers = 0;

    for (n = 0; *name; name++) {

        if (*name != '(') {
            if (n == TYPE_NAME_MAX - 1) {
                return -1;
            }
            base[n++] = (char) tolower((unsigned char) *name);
            continue;
        }

        if (numbers) {
            return -1;
        }

        do {
            digits = 0;
            while (isdigit((unsigned char) *++name)) {
                digits++;
            }
            if (digits == 0 || digits > 5) {
                return -1;
            }
            numbers++;
        } while (*name == ',');

        if (*name != ')') {
            return -1;
        }
    }

    base[n] = '\0';

    return numbers;
}


type_kind_t
type_kind(const char *name)
{
    int     numbers;
    char    base[TYPE_NAME_MAX];
    size_t  i;

    numbers = type_split(name, base);
    if (numbers == -1) {
        return TYPE_OTHER;
    }

    for (i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        if (strcmp(base, type_names[i].name) == 0) {
            return numbers <= type_names[i].modifiers ? type_names[i].kind
                                                      : TYPE_OTHER;
        }
    }

    return TYPE_OTHER;
}


const char *
type_nearest(const char *name)
{
    size_t        i;
    conf_near_t   near;

    conf_near_init(&near, name);

    for (i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        conf_near_try(&near, type_names[i].name);
    }

    return near.best;
}
