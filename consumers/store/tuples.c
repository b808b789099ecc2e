/* Turns lines of COPY's text format into tuples of its binary format. */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store/tuples.h"


#define TUPLES_DIMENSIONS  6    /* of an array, PostgreSQL's MAXDIM */


/* An array that is read: PostgreSQL's manual, "Array Input". */
typedef struct {
    tuples_t       *tuples;
    binary_kind_t   kind;
    const char     *p;
    const char     *end;
    buf_t          *out;
    int             ndims;                       /* 0: no element yet */
    int32_t         sizes[TUPLES_DIMENSIONS];    /* -1: not known yet */
} tuples_array_t;


static int tuples_begin(const tuples_t *tuples, size_t more, buf_t *out);
static int tuples_fields(tuples_t *tuples, const char *line, size_t len,
    buf_t *out);
static int tuples_field(tuples_t *tuples, const tuples_column_t *column,
    const char *s, size_t len, buf_t *out);
static size_t tuples_text(const char *s, size_t len, char *out);
static int tuples_array(tuples_t *tuples, const tuples_column_t *column,
    const char *s, size_t len, buf_t *out);
static int tuples_elements(tuples_array_t *array, int depth);
static int tuples_element(tuples_array_t *array);


int
tuples_prepare(tuples_t *tuples, const target_t *target)
{
    size_t            i;
    tuples_column_t  *column;

    tuples_free(tuples);

    tuples->columns = calloc(target->ncolumns + 1, sizeof(tuples_column_t));

    if (tuples->columns == NULL) {
        return -1;
    }

    for (i = 0; i < target->ncolumns; i++) {

        if (target->columns[i].from == CONF_FROM_IDENTITY) {
            continue;
        }

        column = &tuples->columns[tuples->ncolumns++];
        column->kind = binary_kind(target->receives[i]);
        column->element = target->elements[i];

        if (column->kind == BINARY_NONE) {
            tuples_free(tuples);
            return 0;
        }
    }

    return 1;
}


void
tuples_free(tuples_t *tuples)
{
    free(tuples->columns);
    buf_free(&tuples->array);
    buf_free(&tuples->text);
    memset(tuples, 0, sizeof(tuples_t));
}


int
tuples_add(tuples_t *tuples, const char *line, size_t len, buf_t *out)
{
    return tuples_begin(tuples, 0, out) == -1
           ? -1 : tuples_fields(tuples, line, len, out);
}


int
tuples_add_staged(tuples_t *tuples, int32_t place, const bool *gone,
    const char *line, size_t len, buf_t *out)
{
    char  *p;

    if (tuples_begin(tuples, gone ? 2 : 1, out) == -1) {
        return -1;
    }

    p = out->data + out->len;
    binary_put_int(p, 4, 4);
    binary_put_int(p + 4, (uint32_t) place, 4);
    out->len += 8;

    if (gone) {
        binary_put_int(p + 8, 1, 4);
        p[12] = *gone;
        out->len += 5;
    }

    return tuples_fields(tuples, line, len, out);
}


/* Writes the number of fields, and makes room for "more" before the line's. */

static int
tuples_begin(const tuples_t *tuples, size_t more, buf_t *out)
{
    if (buf_reserve(out, 2 + more * 8) == -1) {
        return -1;
    }

    binary_put_int(out->data + out->len, tuples->ncolumns + more, 2);
    out->len += 2;

    return 0;
}


static int
tuples_fields(tuples_t *tuples, const char *line, size_t len, buf_t *out)
{
    int          rc;
    size_t       i, start;
    const char  *s, *end, *tab;

    s = line;
    end = line + len - 1;

    for (i = 0; i < tuples->ncolumns; i++) {
        tab = i + 1 < tuples->ncolumns ? memchr(s, '\t', (size_t) (end - s))
                                       : NULL;
        tab = tab ? tab : end;

        if (buf_reserve(out, 4) == -1) {
            return -1;
        }

        start = out->len;
        out->len += 4;

        if (tab - s == 2 && s[0] == '\\' && s[1] == 'N') {
            binary_put_int(out->data + start, UINT32_MAX, 4);

        } else {
            rc = tuples_field(tuples, &tuples->columns[i], s,
                              (size_t) (tab - s), out);
            if (rc != 0) {
                return rc;
            }

            binary_put_int(out->data + start, out->len - start - 4, 4);
        }

        s = tab < end ? tab + 1 : end;
    }

    return 0;
}


static int
tuples_field(tuples_t *tuples, const tuples_column_t *column, const char *s,
    size_t len, buf_t *out)
{
    if (column->element) {
        return tuples_array(tuples, column, s, len, out);
    }

    switch (column->kind) {

    case BINARY_TEXT:
    case BINARY_JSONB:
        if (buf_reserve(out, len + 1) == -1) {
            return -1;
        }

        if (column->kind == BINARY_JSONB) {
            out->data[out->len++] = 1;
        }

        out->len += tuples_text(s, len, out->data + out->len);
        return 0;

    case BINARY_BYTEA:
        /* two backslashes stand for one */
        return len < 2 ? 1 : binary_put(BINARY_BYTEA, NULL, s + 1, len - 1,
                                        out);

    default:
        return binary_put(column->kind, &tuples->day, s, len, out);
    }
}


/* Takes back what copy_add_text() escaped; returns the bytes written. */

static size_t
tuples_text(const char *s, size_t len, char *out)
{
    char        *p;
    size_t       n;
    const char  *end, *escape;

    static const char  plain[256] = {
        ['b'] = '\b', ['t'] = '\t', ['n'] = '\n', ['v'] = '\v',
        ['f'] = '\f', ['r'] = '\r', ['\\'] = '\\'
    };

    p = out;
    end = s + len;

    while ((escape = memchr(s, '\\', (size_t) (end - s))) != NULL
           && escape + 1 < end)
    {
        n = (size_t) (escape - s);
        memcpy(p, s, n);
        p += n;
        *p++ = plain[(unsigned char) escape[1]];
        s = escape + 2;
    }

    memcpy(p, s, (size_t) (end - s));

    return (size_t) (p + (end - s) - out);
}


/*
 * array_recv(): the number of dimensions, whether there are nulls, the type of
 * an element; of each dimension its size and first index; the elements.
 */

static int
tuples_array(tuples_t *tuples, const tuples_column_t *column, const char *s,
    size_t len, buf_t *out)
{
    int             i, rc, ndims;
    char           *head;
    size_t          start;
    tuples_array_t  array;

    tuples->array.len = 0;

    if (buf_reserve(&tuples->array, len + 1) == -1) {
        return -1;
    }

    len = tuples_text(s, len, tuples->array.data);

    memset(&array, 0, sizeof(tuples_array_t));
    array.tuples = tuples;
    array.kind = column->kind;
    array.p = tuples->array.data;
    array.end = array.p + len;
    array.out = out;

    if (len == 2 && memcmp(array.p, "{}", 2) == 0) {
        ndims = 0;

    } else {
        for (ndims = 0; (size_t) ndims < len && array.p[ndims] == '{';
             ndims++) { /* void */ }

        if (ndims == 0 || ndims > TUPLES_DIMENSIONS) {
            return 1;
        }
    }

    array.ndims = ndims;
    start = out->len;

    if (buf_reserve(out, 12 + (size_t) ndims * 8) == -1) {
        return -1;
    }

    out->len += 12 + (size_t) ndims * 8;

    for (i = 0; i < ndims; i++) {
        array.sizes[i] = -1;
    }

    rc = ndims ? tuples_elements(&array, 0) : 0;

    if (rc != 0 || (ndims && array.p != array.end)) {
        return rc ? rc : 1;
    }

    head = out->data + start;
    binary_put_int(head, (uint64_t) ndims, 4);
    binary_put_int(head + 4, 1, 4);
    binary_put_int(head + 8, column->element, 4);

    for (i = 0; i < ndims; i++) {
        binary_put_int(head + 12 + i * 8, (uint64_t) array.sizes[i], 4);
        binary_put_int(head + 16 + i * 8, 1, 4);
    }

    return 0;
}


/* One pair of braces; all of one depth have as many elements, or none has. */

static int
tuples_elements(tuples_array_t *array, int depth)
{
    int      rc;
    int32_t  n;

    if (array->p == array->end || *array->p++ != '{') {
        return 1;
    }

    for (n = 1; ; n++) {
        rc = depth + 1 < array->ndims ? tuples_elements(array, depth + 1)
                                      : tuples_element(array);

        if (rc != 0 || array->p == array->end) {
            return rc ? rc : 1;
        }

        if (*array->p++ != ',') {
            break;
        }
    }

    if (array->p[-1] != '}'
        || (array->sizes[depth] != -1 && array->sizes[depth] != n))
    {
        return 1;
    }

    array->sizes[depth] = n;

    return 0;
}


/* In quotes, or bare: then without space, quotes and backslashes. */

static int
tuples_element(tuples_array_t *array)
{
    int      rc;
    char     c;
    bool     quoted;
    buf_t   *text, *out;
    size_t   start;

    text = &array->tuples->text;
    out = array->out;
    text->len = 0;
    quoted = array->p < array->end && *array->p == '"';
    array->p += quoted;

    if (buf_reserve(text, (size_t) (array->end - array->p) + 1) == -1
        || buf_reserve(out, 4) == -1)
    {
        return -1;
    }

    while (array->p < array->end) {
        c = *array->p;

        if (quoted ? c == '"' : c == ',' || c == '}') {
            break;
        }

        if (quoted ? c == '\\' && ++array->p == array->end
                   : strchr(" \t\n\v\f\r\"\\{", c) != NULL)
        {
            return 1;
        }

        text->data[text->len++] = *array->p++;
    }

    if (array->p == array->end || (!quoted && text->len == 0)) {
        return 1;
    }

    array->p += quoted;
    text->data[text->len] = '\0';
    start = out->len;
    out->len += 4;

    if (!quoted && strcasecmp(text->data, "NULL") == 0) {
        binary_put_int(out->data + start, UINT32_MAX, 4);
        return 0;
    }

    rc = binary_put(array->kind, &array->tuples->day, text->data, text->len,
                    out);
    if (rc == 0) {
        binary_put_int(out->data + start, out->len - start - 4, 4);
    }

    return rc;
}
