/*
 * Times: ISO 8601 as it is written, Unix time in its unit, both in UTC.  No
 * time zone is known by name.
 */

#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "calendar.h"
#include "row/number.h"
#include "row/time.h"


#define ROW_US_DAY  86400000000LL


/* As written; an absent part is 0. */
typedef struct {
    int          year;
    int          month;
    int          day;
    int          seconds;        /* of the day; 86400 is its end */
    int          offset;         /* seconds east of UTC */
    bool         has_date;
    bool         has_time;
    bool         has_offset;
    const char  *fraction;       /* digits */
    size_t       nfraction;
    bool         usual;          /* in a form that PostgreSQL reads too */
} row_time_t;


static int row_iso(const char *s, size_t len, row_time_t *t);
static const char *row_iso_date(const char *p, const char *end,
    row_time_t *t);
static const char *row_iso_time(const char *p, const char *end,
    row_time_t *t);
static void row_moment(const row_time_t *t, type_kind_t kind,
    row_moment_t *moment);
static int row_put_moment(row_ctx_t *ctx, const row_column_t *column,
    const row_moment_t *moment);
static int row_days(row_ctx_t *ctx, const row_column_t *column, int64_t days);


int
row_time(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    int                 rc;
    int64_t             us;
    row_time_t          t;
    row_moment_t        moment;
    const conf_epoch_t  unit = column->unit;

    /* 20240102 is a date, too: with a unit it is a number */
    rc = unit == CONF_UNIT_DAYS ? text_get_int(s, len, 4, &us)
         : unit ? row_unix(s, len, unit, &us) : -1;

    if (rc == 0) {
        return unit == CONF_UNIT_DAYS ? row_days(ctx, column, us)
                                      : row_instant(ctx, column, us, 6);
    }

    if (rc == 1) {
        return row_fault(ctx, column, "22008", "the time is out of range");
    }

    if (row_iso(s, len, &t) == 0) {

        if (t.has_date ? column->kind == TYPE_TIME && !t.has_time
                       : column->kind != TYPE_TIME)
        {
            return row_fault(ctx, column, "22007", t.has_date
                             ? "a date without a time"
                             : "a time without a date");
        }

        if (t.usual && column->kind == TYPE_TIMESTAMPTZ && t.has_offset
            && (ctx->writer->moment == NULL || !column->instant))
        {
            return ctx->writer->plain(ctx, column, s, len);
        }

        row_moment(&t, column->kind, &moment);

        return row_put_moment(ctx, column, &moment);
    }

    if (unit) {
        return row_fault(ctx, column, "22007",
                         "neither a number nor an ISO 8601 time");
    }

    if (((len == 8 && memcmp(s, "infinity", 8) == 0)
         || (len == 9 && memcmp(s, "-infinity", 9) == 0))
        && column->kind != TYPE_TIME)
    {
        return ctx->writer->plain(ctx, column, s, len);
    }

    return row_fault(ctx, column, "22007",
                     row_unix(s, len, CONF_UNIT_US, &us) == 0
                     ? ROW_TIME_UNIT : "not an ISO 8601 time");
}


/*
 * ISO 8601-1, sections 5.2 to 5.4: calendar dates, in the extended and in
 * the basic form; no week dates and no ordinal dates.
 */

static int
row_iso(const char *s, size_t len, row_time_t *t)
{
    const char  *p, *end;

    memset(t, 0, sizeof(row_time_t));
    t->usual = true;
    end = s + len;
    p = s;

    if (len < 3 || s[2] != ':') {

        p = row_iso_date(s, end, t);
        t->has_date = true;

        if (p == NULL || p == end) {
            return p ? 0 : -1;
        }

        if (*p != 'T' && *p != 't' && *p != ' ') {
            return -1;
        }

        p++;
    }

    p = row_iso_time(p, end, t);
    t->has_time = true;

    if (p && p < end) {
        p = clock_offset(p, end, &t->offset);
        t->has_offset = true;
    }

    return p == end ? 0 : -1;
}


static const char *
row_iso_date(const char *p, const char *end, row_time_t *t)
{
    int   n;
    bool  before, sign;

    /* of more than four digits, or before the year 0, Java writes a sign */
    before = p < end && *p == '-';
    sign = before || (p < end && *p == '+');
    t->usual &= !sign;
    p += sign;

    for (n = 0; p + n < end && p[n] >= '0' && p[n] <= '9'; n++) { /* void */ }

    if (n == 8 && !sign) {
        t->usual = false;
        t->year = calendar_digits(p, end, 4);
        t->month = calendar_digits(p + 4, end, 2);
        t->day = calendar_digits(p + 6, end, 2);
        p += 8;

    } else if (n >= 4 && n <= 6 && end - p >= n + 6 && p[n] == '-'
               && p[n + 3] == '-')
    {
        t->year = calendar_digits(p, end, n);
        t->month = calendar_digits(p + n + 1, end, 2);
        t->day = calendar_digits(p + n + 4, end, 2);
        p += n + 6;

    } else {
        return NULL;
    }

    if (before) {
        t->year = -t->year;

    } else if (t->year == 0) {
        return NULL;
    }

    return calendar_has(t->year, t->month, t->day) ? p : NULL;
}


static const char *
row_iso_time(const char *p, const char *end, row_time_t *t)
{
    int   hours, minutes, seconds;
    bool  basic;

    hours = calendar_digits(p, end, 2);
    basic = end - p > 2 && p[2] != ':';
    p += basic ? 2 : 3;
    t->usual &= !basic;

    minutes = hours == -1 || p > end ? -1 : calendar_digits(p, end, 2);
    if (minutes == -1) {
        return NULL;
    }

    p += 2;
    seconds = 0;

    if (p < end && (basic ? *p >= '0' && *p <= '9' : *p == ':')) {
        p += !basic;
        seconds = calendar_digits(p, end, 2);
        if (seconds == -1) {
            return NULL;
        }
        p += 2;

        if (p < end && (*p == '.' || *p == ',')) {
            t->usual &= *p == '.';
            t->fraction = ++p;

            while (p < end && *p >= '0' && *p <= '9') {
                p++;
            }

            t->nfraction = (size_t) (p - t->fraction);

            if (t->nfraction == 0) {
                return NULL;
            }

            t->usual &= t->nfraction <= ROW_FRACTION;
        }
    }

    t->seconds = hours * 3600 + minutes * 60 + seconds;

    /* a leap second is the first of the next minute */

    return minutes > 59 || seconds > 60 || t->seconds > 86400
           || (t->seconds == 86400 && t->nfraction) ? NULL : p;
}


int
row_time_read(type_kind_t kind, const char *s, size_t len,
    row_moment_t *moment)
{
    row_time_t  t;

    if (row_iso(s, len, &t) == -1 || !t.usual
        || t.has_date != (kind != TYPE_TIME)
        || t.has_time != (kind != TYPE_DATE)
        || t.has_offset != (kind == TYPE_TIMESTAMPTZ))
    {
        return 1;
    }

    row_moment(&t, kind, moment);

    return 0;
}


static void
row_moment(const row_time_t *t, type_kind_t kind, row_moment_t *moment)
{
    int  seconds;

    seconds = t->seconds - t->offset;
    moment->days = t->has_date ? calendar_days(t->year, t->month, t->day) : 0;
    moment->fraction = t->fraction;
    moment->nfraction = t->nfraction < ROW_FRACTION ? t->nfraction
                                                    : ROW_FRACTION;

    /* of the type time, PostgreSQL takes the end of a day as it is */

    if (seconds < 0 || seconds > 86400
        || (seconds == 86400 && (t->offset || kind != TYPE_TIME)))
    {
        moment->days += seconds < 0 ? -1 : 1;
        seconds += seconds < 0 ? 86400 : -86400;
    }

    moment->seconds = seconds;
}


int
row_instant(row_ctx_t *ctx, const row_column_t *column, int64_t us,
    size_t digits)
{
    int           i;
    char          fraction[6];
    int64_t       rest, part;
    row_moment_t  moment;

    moment.days = us / ROW_US_DAY;
    rest = us % ROW_US_DAY;

    if (rest < 0) {
        moment.days--;
        rest += ROW_US_DAY;
    }

    part = rest % 1000000;

    for (i = 6; i--; part /= 10) {
        fraction[i] = (char) ('0' + part % 10);
    }

    moment.seconds = (int) (rest / 1000000);

    /* a time of day, whose end PostgreSQL tells from its begin */
    if (us == ROW_US_DAY && column->kind == TYPE_TIME) {
        moment.seconds = 86400;
    }

    moment.fraction = fraction;
    moment.nfraction = digits;

    return row_put_moment(ctx, column, &moment);
}


static int
row_days(row_ctx_t *ctx, const row_column_t *column, int64_t days)
{
    row_moment_t  moment = { 0 };

    moment.days = days;

    return row_put_moment(ctx, column, &moment);
}


static char *
row_two(char *p, int n)
{
    p[0] = (char) ('0' + n / 10);
    p[1] = (char) ('0' + n % 10);

    return p + 2;
}


/* The date is printed once for all rows of its day. */

static void
row_date(row_ctx_t *ctx, int64_t days)
{
    int      month, day;
    int64_t  year;

    if (ctx->date_len && ctx->day == days) {
        return;
    }

    clock_date(days, &year, &month, &day);

    ctx->day = days;
    ctx->date_bc = year <= 0;
    ctx->date_len = (size_t) snprintf(ctx->date, sizeof(ctx->date),
                                      "%04lld-%02d-%02d",
                                      (long long) (year > 0 ? year
                                                            : 1 - year),
                                      month, day);
}


/* As a text it has the parts of the type: date, clock, offset of UTC. */

static int
row_put_moment(row_ctx_t *ctx, const row_column_t *column,
    const row_moment_t *moment)
{
    char               *p, text[sizeof(ctx->date) + ROW_FRACTION + 24];
    const int           seconds = moment->seconds;
    const type_kind_t   kind = column->kind;

    if (column->instant && ctx->writer->moment) {
        return ctx->writer->moment(ctx, column, moment);
    }

    row_date(ctx, moment->days);
    p = text;

    if (kind != TYPE_TIME) {
        memcpy(p, ctx->date, ctx->date_len);
        p += ctx->date_len;
    }

    if (kind != TYPE_DATE) {
        if (kind != TYPE_TIME) {
            *p++ = ' ';
        }

        p = row_two(p, seconds / 3600);
        *p++ = ':';
        p = row_two(p, seconds / 60 % 60);
        *p++ = ':';
        p = row_two(p, seconds % 60);

        if (moment->nfraction) {
            *p++ = '.';
            memcpy(p, moment->fraction, moment->nfraction);
            p += moment->nfraction;
        }

        if (kind != TYPE_TIMESTAMP && kind != TYPE_TIME) {
            memcpy(p, "+00", 3);
            p += 3;
        }
    }

    if (ctx->date_bc && kind != TYPE_TIME) {
        memcpy(p, " BC", 3);
        p += 3;
    }

    return ctx->writer->plain(ctx, column, text, (size_t) (p - text));
}
