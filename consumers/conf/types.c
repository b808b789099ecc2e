/* PostgreSQL's types, as far as the conversion of a value depends on them. */

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "conf/types.h"
#include "conf/units.h"


#define TYPE_NAME_MAX  64


typedef struct {
    const char   *name;
    type_kind_t   kind;
    int           modifiers;    /* most numbers in parentheses */
} type_name_t;


static const type_name_t  type_names[] = {
    { "bigint",                      TYPE_BIGINT,      0 },
    { "bool",                        TYPE_BOOLEAN,     0 },
    { "boolean",                     TYPE_BOOLEAN,     0 },
    { "bytea",                       TYPE_BYTEA,       0 },
    { "char",                        TYPE_TEXT,        1 },
    { "character",                   TYPE_TEXT,        1 },
    { "character varying",           TYPE_TEXT,        1 },
    { "cidr",                        TYPE_STRING,      0 },
    { "date",                        TYPE_DATE,        0 },
    { "decimal",                     TYPE_NUMERIC,     2 },
    { "double precision",            TYPE_FLOAT,       0 },
    { "float4",                      TYPE_FLOAT,       0 },
    { "float8",                      TYPE_FLOAT,       0 },
    { "inet",                        TYPE_STRING,      0 },
    { "int",                         TYPE_INTEGER,     0 },
    { "int2",                        TYPE_SMALLINT,    0 },
    { "int4",                        TYPE_INTEGER,     0 },
    { "int8",                        TYPE_BIGINT,      0 },
    { "integer",                     TYPE_INTEGER,     0 },
    { "interval",                    TYPE_STRING,      1 },
    { "json",                        TYPE_JSON,        0 },
    { "jsonb",                       TYPE_JSON,        0 },
    { "macaddr",                     TYPE_STRING,      0 },
    { "numeric",                     TYPE_NUMERIC,     2 },
    { "real",                        TYPE_FLOAT,       0 },
    { "smallint",                    TYPE_SMALLINT,    0 },
    { "text",                        TYPE_TEXT,        0 },
    { "time",                        TYPE_TIME,        1 },
    { "time with time zone",         TYPE_STRING,      1 },
    { "time without time zone",      TYPE_TIME,        1 },
    { "timestamp",                   TYPE_TIMESTAMP,   1 },
    { "timestamp with time zone",    TYPE_TIMESTAMPTZ, 1 },
    { "timestamp without time zone", TYPE_TIMESTAMP,   1 },
    { "timestamptz",                 TYPE_TIMESTAMPTZ, 1 },
    { "timetz",                      TYPE_STRING,      1 },
    { "uuid",                        TYPE_STRING,      0 },
    { "varchar",                     TYPE_TEXT,        1 }
};


/* Whether the name is an array's; "len" is then that of its element's. */

static bool
type_is_array(const char *name, size_t *len)
{
    size_t  n;

    n = strlen(name);

    while (n > 2 && memcmp(name + n - 2, "[]", 2) == 0) {
        n -= 2;
    }

    *len = n;

    return name[n] != '\0';
}


/*
 * Copies the name in lower case without its parentheses.  Returns how many
 * numbers they held, or -1 if they are malformed.
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


static type_kind_t
type_scalar(const char *name)
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


type_kind_t
type_kind(const char *name)
{
    size_t  len;

    return type_is_array(name, &len) ? TYPE_ARRAY : type_scalar(name);
}


type_kind_t
type_element(const char *name)
{
    char    base[TYPE_NAME_MAX * 2];
    size_t  len;

    if (!type_is_array(name, &len) || len >= sizeof(base)) {
        return TYPE_OTHER;
    }

    memcpy(base, name, len);
    base[len] = '\0';

    return type_scalar(base);
}


bool
type_is_known(const char *name)
{
    return type_scalar(name) != TYPE_OTHER
           || type_element(name) != TYPE_OTHER;
}


const char *
type_nearest(const char *name)
{
    size_t        i;
    conf_near_t   near;

    conf_near_init(&near, name);

    for (i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        conf_near_try(&near, type_names[i].name, strlen(type_names[i].name));
    }

    return near.best;
}
