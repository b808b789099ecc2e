/* PostgreSQL's types, as far as the conversion of a value depends on them. */

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "conf/types.h"
#include "conf/units.h"


typedef struct {
    const char   *name;
    type_kind_t   kind;
    int           modifiers;    /* most numbers in parentheses */
} type_name_t;


static const type_name_t  type_names[] = {
    { "bigint",                      TYPE_BIGINT,      0 },
    { "bit",                         TYPE_OTHER,       1 },
    { "bit varying",                 TYPE_OTHER,       1 },
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


static const type_name_t *
type_find(const char *name)
{
    int     numbers;
    char    base[TYPE_NAME_MAX];
    size_t  i;

    numbers = type_split(name, base);
    if (numbers == -1) {
        return NULL;
    }

    for (i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        if (strcmp(base, type_names[i].name) == 0) {
            return numbers <= type_names[i].modifiers ? &type_names[i] : NULL;
        }
    }

    return NULL;
}


/* Of an array that of its elements. */

static const type_name_t *
type_find_element(const char *name)
{
    char    base[TYPE_NAME_MAX * 2];
    size_t  len;

    (void) type_is_array(name, &len);

    if (len >= sizeof(base)) {
        return NULL;
    }

    memcpy(base, name, len);
    base[len] = '\0';

    return type_find(base);
}


type_kind_t
type_kind(const char *name)
{
    size_t              len;
    const type_name_t  *known;

    if (type_is_array(name, &len)) {
        return TYPE_ARRAY;
    }

    known = type_find(name);

    return known ? known->kind : TYPE_OTHER;
}


type_kind_t
type_element(const char *name)
{
    size_t              len;
    const type_name_t  *known;

    known = type_is_array(name, &len) ? type_find_element(name) : NULL;

    return known ? known->kind : TYPE_OTHER;
}


bool
type_is_known(const char *name)
{
    const type_name_t  *known;

    known = type_find_element(name);

    return known && known->kind != TYPE_OTHER;
}


bool
type_is_word(const char *name)
{
    return type_find_element(name) != NULL;
}


/* Copies up to "end", if that is a name in PostgreSQL's catalogue. */

static int
type_copy(char *out, const char *s, const char *end)
{
    size_t  i, n;

    n = (size_t) (end - s);

    if (n == 0 || n >= TYPE_NAME_MAX || s[0] == ' ' || end[-1] == ' ') {
        return -1;
    }

    for (i = 0; i < n; i++) {
        if ((unsigned char) s[i] < ' ' || s[i] == 0x7f
            || strchr("\".()[]", s[i]) != NULL)
        {
            return -1;
        }
    }

    memcpy(out, s, n);
    out[n] = '\0';

    return 0;
}


/* Copies words and numbers with commas between them, and the parentheses. */

static int
type_modifier(char *out, const char *s, const char *end)
{
    bool    word;
    char    c;
    size_t  i, n;

    n = (size_t) (end - s);
    word = false;

    if (n >= TYPE_NAME_MAX || n < 3 || end[-1] != ')') {
        return -1;
    }

    for (i = 1; i < n; i++) {
        c = s[i];

        if (c == ',' || c == ')') {
            if (!word || (c == ')' && i != n - 1)) {
                return -1;
            }
            word = false;

        } else if (isalnum((unsigned char) c)) {
            word = true;

        } else {
            return -1;
        }
    }

    memcpy(out, s, n);
    out[n] = '\0';

    return 0;
}


int
type_parse(const char *text, type_parts_t *parts)
{
    size_t       len;
    const char  *dot, *open, *end;

    memset(parts, 0, sizeof(type_parts_t));
    (void) type_is_array(text, &len);

    end = text + len;
    parts->arrays = end;

    open = memchr(text, '(', len);
    if (open && type_modifier(parts->modifier, open, end) == -1) {
        return -1;
    }

    end = open ? open : end;
    dot = memchr(text, '.', (size_t) (end - text));

    if (dot && type_copy(parts->schema, text, dot) == -1) {
        return -1;
    }

    if (type_copy(parts->name, dot ? dot + 1 : text, end) == -1) {
        return -1;
    }

    /* a type of the list, with a modifier that it does not take */
    return !dot && open && type_find(parts->name) ? -1 : 0;
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
