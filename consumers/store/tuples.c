/* Turns lines of COPY's text format into tuples of its binary format. */

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/tuples.h"


#define TUPLES_EPOCH  10957    /* days from 1970-01-01 to 2000-01-01 */


static type_kind_t tuples_kind(const conf_column_t *column, const char *type,
    const char *table);
static int tuples_begin(const tuples_t *tuples, size_t more, size_t len,
    buf_t *out);
static void tuples_fields(tuples_t *tuples, const char *line, size_t len,
    buf_t *out);
static size_t tuples_field(tuples_t *tuples, type_kind_t kind, const char *s,
    size_t len, char *out);
static size_t tuples_text(const char *s, size_t len, char *out);
static size_t tuples_bytea(const char *s, size_t len, char *out);
static size_t tuples_integer(const char *s, size_t len, size_t size,
    char *out);
static size_t tuples_time(tuples_t *tuples, const char *s, size_t len,
    char *out);
static const char *tuples_date(const char *s, const char *end,
    int64_t *days);
static void tuples_put(char *out, uint64_t n, size_t size);


int
tuples_prepare(tuples_t *tuples, const target_t *target)
{
    size_t       i;
    type_kind_t  kind;
    const char  *type, *table;

    tuples_free(tuples);

    tuples->kinds = calloc(target->ncolumns + 1, sizeof(type_kind_t));

    if (tuples->kinds == NULL) {
        return -1;
    }

    for (i = 0; i < target->ncolumns; i++) {

        if (target->columns[i].from == CONF_FROM_IDENTITY) {
            continue;
        }

        type = target->types[i];
        table = target->table_types[i];
        kind = tuples_kind(&target->columns[i], type ? type : "text",
                           table ? table : "");
        if (kind == TYPE_OTHER) {
            tuples_free(tuples);
            return 0;
        }

        tuples->kinds[tuples->ncolumns++] = kind;
    }

    return 1;
}


void
tuples_free(tuples_t *tuples)
{
    free(tuples->kinds);
    memset(tuples, 0, sizeof(tuples_t));
}


/*
 * Returns TYPE_OTHER for a type whose values PostgreSQL reads in more spellings
 * than are known here.  Of times only a record's timestamp is known, as
 * row_convert() writes it.
 */

static type_kind_t
tuples_kind(const conf_column_t *column, const char *type,
    const char *table)
{
    type_kind_t  kind;

    kind = type_kind(table);

    if (kind == TYPE_TEXT || kind == TYPE_JSON) {
        return kind == TYPE_JSON && strcmp(table, "jsonb") == 0 ? TYPE_JSON
                                                                : TYPE_TEXT;
    }

    return kind == type_kind(type)
           && (kind == TYPE_BYTEA
               || (kind >= TYPE_SMALLINT && kind <= TYPE_BIGINT)
               || (kind == TYPE_TIMESTAMPTZ
                   && column->from == CONF_FROM_TIMESTAMP
                   && column->fallback == NULL))
           ? kind : TYPE_OTHER;
}


int
tuples_add(tuples_t *tuples, const char *line, size_t len, buf_t *out)
{
    if (tuples_begin(tuples, 0, len, out) == -1) {
        return -1;
    }

    tuples_fields(tuples, line, len, out);

    return 0;
}


int
tuples_add_staged(tuples_t *tuples, int32_t place, const bool *gone,
    const char *line, size_t len, buf_t *out)
{
    char  *p;

    if (tuples_begin(tuples, gone ? 2 : 1, len, out) == -1) {
        return -1;
    }

    p = out->data + out->len;
    tuples_put(p, 4, 4);
    tuples_put(p + 4, (uint32_t) place, 4);
    out->len += 8;

    if (gone) {
        tuples_put(p + 8, 1, 4);
        p[12] = *gone;
        out->len += 5;
    }

    tuples_fields(tuples, line, len, out);

    return 0;
}


/* Makes room and writes the number of fields: "more" before the line's. */

static int
tuples_begin(const tuples_t *tuples, size_t more, size_t len, buf_t *out)
{
    size_t  n;

    n = tuples->ncolumns + more;

    /* a field grows by its length, to 9 bytes at most, and a version */

    if (buf_reserve(out, 2 + len + n * 16) == -1) {
        return -1;
    }

    tuples_put(out->data + out->len, n, 2);
    out->len += 2;

    return 0;
}


static void
tuples_fields(tuples_t *tuples, const char *line, size_t len, buf_t *out)
{
    char        *p;
    size_t       i, n;
    const char  *s, *end, *tab;

    p = out->data + out->len;
    s = line;
    end = line + len - 1;

    for (i = 0; i < tuples->ncolumns; i++) {
        tab = i + 1 < tuples->ncolumns ? memchr(s, '\t', (size_t) (end - s))
                                       : NULL;
        tab = tab ? tab : end;

        if (tab - s == 2 && s[0] == '\\' && s[1] == 'N') {
            tuples_put(p, UINT32_MAX, 4);
            p += 4;

        } else {
            n = tuples_field(tuples, tuples->kinds[i], s, (size_t) (tab - s),
                             p + 4);
            tuples_put(p, n, 4);
            p += 4 + n;
        }

        s = tab < end ? tab + 1 : end;
    }

    out->len = (size_t) (p - out->data);
}


/* Returns the bytes written. */

static size_t
tuples_field(tuples_t *tuples, type_kind_t kind, const char *s, size_t len,
    char *out)
{
    switch (kind) {

    case TYPE_JSON:
        out[0] = 1;
        return 1 + tuples_text(s, len, out + 1);

    case TYPE_BYTEA:
        return tuples_bytea(s, len, out);

    case TYPE_SMALLINT:
        return tuples_integer(s, len, 2, out);

    case TYPE_INTEGER:
        return tuples_integer(s, len, 4, out);

    case TYPE_BIGINT:
        return tuples_integer(s, len, 8, out);

    case TYPE_TIMESTAMPTZ:
        return tuples_time(tuples, s, len, out);

    default:
        return tuples_text(s, len, out);
    }
}


/* Takes back what copy_add_text() escaped. */

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


/* "\\x" and hexadecimal digits, as copy_add_bytea() writes them. */

static size_t
tuples_bytea(const char *s, size_t len, char *out)
{
    return len < 3 ? 0 : (size_t) (text_get_hex(out, s + 3, len - 3) - out);
}


/*
 * A value of a wrong form becomes one with a byte too many.  PostgreSQL
 * refuses that with 22P03; a byte too few is a breach of the protocol.
 */

static size_t
tuples_refused(size_t size, char *out)
{
    memset(out, 0, size + 1);

    return size + 1;
}


static size_t
tuples_integer(const char *s, size_t len, size_t size, char *out)
{
    int64_t  n;

    if (text_get_int(s, len, size, &n) != 0) {
        return tuples_refused(size, out);
    }

    tuples_put(out, (uint64_t) n, size);

    return size;
}


/* Microseconds since 2000-01-01 of "2026-01-31 12:34:56.789+00". */

static size_t
tuples_time(tuples_t *tuples, const char *s, size_t len, char *out)
{
    size_t       date;
    int64_t      us;
    const char  *p, *end;

    end = s + len;
    p = memchr(s, ' ', len);
    date = p ? (size_t) (p - s) : 0;

    if (date == 0 || end - p != 16) {
        return tuples_refused(8, out);
    }

    if (date != strlen(tuples->date) || memcmp(s, tuples->date, date) != 0) {

        tuples->date[0] = '\0';

        if (tuples_date(s, p, &tuples->days) != p) {
            return tuples_refused(8, out);
        }

        if (date < sizeof(tuples->date)) {
            memcpy(tuples->date, s, date);
            tuples->date[date] = '\0';
        }
    }

    p++;
    us = ((p[0] - '0') * 10 + (p[1] - '0')) * 3600LL
         + ((p[3] - '0') * 10 + (p[4] - '0')) * 60LL
         + ((p[6] - '0') * 10 + (p[7] - '0'));
    us = us * 1000 + (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    us = us * 1000 + (tuples->days - TUPLES_EPOCH) * 86400000000LL;

    tuples_put(out, (uint64_t) us, 8);

    return 8;
}


/* Days since 1970 of a date as clock_print() writes it; returns behind it. */

static const char *
tuples_date(const char *s, const char *end, int64_t *days)
{
    int      i;
    int64_t  part[3];

    for (i = 0; i < 3; i++) {

        for (part[i] = 0; s < end && *s >= '0' && *s <= '9'; s++) {
            part[i] = part[i] * 10 + (*s - '0');
        }

        if (i < 2 && (s == end || *s++ != '-')) {
            return NULL;
        }
    }

    *days = clock_days(part[0], (int) part[1], (int) part[2]);

    return s;
}


/* In network byte order. */

static void
tuples_put(char *out, uint64_t n, size_t size)
{
    n = htobe64(n << (64 - 8 * size));
    memcpy(out, &n, size);
}
