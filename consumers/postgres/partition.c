/*
 * The partitions of a table that is partitioned by time: which ones it lacks,
 * by its catalogue, and the SQL that makes them.
 *
 * A partition is made as a table of its own and then attached.  That takes a
 * lock which readers and writers of the table do not wait for, and which only
 * one daemon has at a time.
 */

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "calendar.h"
#include "postgres/partition.h"


#define PARTITION_2000  10957    /* 2000-01-01, in days since 1970 */
#define PARTITION_HOUR  INT64_C(3600000000)


/* By conf_period_t. */
static const struct {
    const char  *name;
    int64_t      hours;    /* at most */
    const char  *suffix;   /* of a partition's name, for to_char() */
} partition_periods[] = {
    [CONF_PERIOD_HOUR]  = { "hour", 1, "YYYYMMDD\"h\"HH24" },
    [CONF_PERIOD_DAY]   = { "day", 24, "YYYYMMDD" },
    [CONF_PERIOD_WEEK]  = { "week", 168, "YYYYMMDD" },
    [CONF_PERIOD_MONTH] = { "month", 744, "YYYYMM" }
};


/*
 * What the block begins with: the table and its key, and whether they are what
 * the configuration needs.
 */
#define PARTITION_FIND                                                        \
    "DECLARE t regclass := %s; d record; g tstzrange;"           \
    " gaps tstzmultirange[]; e interval := %L; x text; y text; z text;"       \
    " made text := ''; wrong text := ''; n int := 0;"                         \
    " BEGIN SELECT c.relname, s.nspname, pg_get_userbyid(relowner) AS own,"   \
    " pg_has_role(relowner, 'USAGE') AND has_schema_privilege(s.oid,"         \
    " 'CREATE') AS may, attname, atttypid INTO d FROM pg_class c"             \
    " JOIN pg_namespace s ON s.oid = relnamespace"                            \
    " LEFT JOIN pg_partitioned_table ON partrelid = c.oid"                    \
    " AND partstrat = 'r' AND partnatts = 1 LEFT JOIN pg_attribute"           \
    " ON attrelid = c.oid AND attnum = partattrs[0]"                          \
    " AND atttypid IN (1082, 1114, 1184) WHERE c.oid = t;"                    \
    " IF d.attname IS NULL THEN x := 'is not partitioned by range of one"     \
    " column of type date, timestamp or timestamptz';"                        \
    " ELSIF d.attname <> coalesce(nullif(%L, ''), d.attname) THEN"            \
    " x := format('is partitioned by column \"%%s\"', d.attname);"            \
    " ELSIF d.atttypid = 1082 AND %s THEN x := 'is partitioned by a date,"    \
    " which has no hours'; END IF; IF x IS NOT NULL THEN RAISE EXCEPTION"     \
    " USING ERRCODE = 'SL006', MESSAGE = format('\"partitions\": table %%s"   \
    " %%s', t, x); END IF; "


/*
 * The parts of the wanted periods that no partition has: those of rows first.
 * They are looked for once more under the lock, which only a missing one needs.
 */
#define PARTITION_GAPS                                                        \
    "LOOP gaps := ARRAY(SELECT q.m FROM (SELECT min(o) AS o, p,"              \
    " tstzmultirange(tstzrange(p, p + e)) - coalesce((SELECT range_agg("      \
    "tstzrange(substring(b, 'FROM [(]''([^'']*)''[)]')::timestamptz,"         \
    " substring(b, 'TO [(]''([^'']*)''[)]')::timestamptz)) FROM (SELECT"      \
    " pg_get_expr(relpartbound, oid) AS b FROM pg_inherits JOIN pg_class"     \
    " ON oid = inhrelid WHERE inhparent = t) i WHERE b LIKE 'FOR%%'), '{}')"  \
    " AS m FROM (SELECT 0 AS o, date_trunc(%L, timestamptz"                   \
    " '2000-01-01 00:00+00' + h * interval '1 hour') AS p"                    \
    " FROM unnest(%L::int[]) h UNION ALL SELECT 1, date_trunc(%L, now())"     \
    " + i * e FROM generate_series(0, %s) i) v WHERE p >= date_trunc(%L,"     \
    " now()) - %s * e AND p <= date_trunc(%L, now()) + %s * e GROUP BY p) q"  \
    " WHERE NOT isempty(q.m) ORDER BY q.o, q.p LIMIT %s);"                    \
    " EXIT WHEN gaps = '{}' OR y IS NOT NULL;"                                \
    " IF NOT d.may THEN wrong := format('role \"%%s\" may not make"           \
    " partitions: ALTER TABLE %%s OWNER TO %%I; GRANT CREATE ON SCHEMA %%I"   \
    " TO %%I', current_user, t, current_user, d.nspname, current_user);"      \
    " gaps := '{}'; EXIT; END IF;"                                            \
    " EXECUTE format('LOCK TABLE ONLY %%s IN SHARE UPDATE EXCLUSIVE MODE', t);"\
    " y := ''; END LOOP; "


/* A name that was cut to 63 bytes may be another table's: that is said. */
#define PARTITION_ATTACH                                                      \
    "FOR g IN SELECT r FROM unnest(gaps) m, unnest(m) r LOOP y := d.relname;" \
    " z := '_p' || to_char(lower(g), CASE WHEN lower(g) = date_trunc(%L,"     \
    " lower(g)) THEN %L ELSE 'YYYYMMDDHH24MISS' END);"                        \
    " WHILE octet_length(y) + octet_length(z) > 63 LOOP y := left(y, -1);"    \
    " END LOOP; x := format('%%I.%%I', d.nspname, y || z); BEGIN"             \
    " EXECUTE format('CREATE TABLE %%s (LIKE %%s INCLUDING DEFAULTS"          \
    " INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE"            \
    " INCLUDING COMPRESSION)%s', x, t);"                                      \
    " IF d.own <> current_user THEN EXECUTE format('ALTER TABLE %%s OWNER"    \
    " TO %%I', x, d.own); END IF;"                                            \
    " EXECUTE format('ALTER TABLE %%s ATTACH PARTITION %%s FOR VALUES FROM"   \
    " (%%L) TO (%%L)', t, x, lower(g), upper(g));"                            \
    " made := made || ' ' || x; n := n + 1;"                                  \
    " EXCEPTION WHEN OTHERS THEN IF wrong = '' THEN wrong := format('could"   \
    " not make partition %%s: %%s (%%s)', x, SQLERRM, SQLSTATE); END IF;"     \
    " END; END LOOP; PERFORM set_config('sluice.made', made, true),"          \
    " set_config('sluice.wrong', wrong, true),"                               \
    " set_config('sluice.count', n::text, true); END"


static int64_t partition_field(const target_t *target);
static int partition_of_tuple(const char *p, size_t len, int64_t field,
    int64_t *hour);
static int partition_of_line(const char *p, size_t len, int64_t field,
    int64_t *hour);
static int partition_compare(const void *a, const void *b);


void
partition_make(buf_t *sql, const conf_t *conf, const char *name,
    const char *hours)
{
    char         ahead[24], behind[24], most[24], step[16];
    buf_t        block, table;
    const char  *by;

    by = partition_periods[conf->partition_by].name;
    snprintf(step, sizeof(step), "1 %s", by);
    snprintf(most, sizeof(most), "%d", PARTITION_MOST);
    snprintf(ahead, sizeof(ahead), "%" PRId64, conf->partition_ahead);
    snprintf(behind, sizeof(behind), "%" PRId64, conf->partition_behind);

    memset(&block, 0, sizeof(buf_t));
    memset(&table, 0, sizeof(buf_t));
    sql_format(&table, name ? "to_regclass(%L)"
                            : "current_setting('sluice.table')::oid", name);
    sql_format(&block, PARTITION_FIND, buf_failed(&table) ? "" : table.data,
               step, conf->partition_column
               ? conf->partition_column : "",
               conf->partition_by == CONF_PERIOD_HOUR ? "true" : "false");
    sql_format(&block, PARTITION_GAPS, by, hours, by, ahead, by, behind, by,
               ahead, most);
    sql_format(&block, PARTITION_ATTACH, by,
               partition_periods[conf->partition_by].suffix,
               conf->mode >= CONF_MODE_UPSERT ? " WITH (fillfactor = 90)"
                                              : "");

    buf_free(&table);
    buf_addf(sql, "SET LOCAL timezone='UTC';SET LOCAL datestyle='ISO,YMD';"
             "SET LOCAL lock_timeout='2s';SET LOCAL " SQL_PATH);
    sql_do(sql, &block);
    buf_addf(sql, ";SELECT current_setting('sluice.count'),"
             " current_setting('sluice.made'),"
             " current_setting('sluice.wrong')");
}


int64_t
partition_made(const conf_t *conf, const pg_reply_t *reply,
    const char **wrong)
{
    int64_t  n;

    *wrong = "";

    if (reply->rows == NULL || PQntuples(reply->rows) == 0) {
        return 0;
    }

    n = sql_number(reply->rows, 0, 0);
    *wrong = PQgetvalue(reply->rows, 0, 2);

    if (n) {
        log_info("table \"%s\" has new partitions:%s", conf->table,
                 PQgetvalue(reply->rows, 0, 1));
    }

    return n;
}


/*
 * The number of the field that decides, of a row as COPY has it; -1: the daemon
 * does not fill it.
 */

static int64_t
partition_field(const target_t *target)
{
    size_t   i;
    int64_t  field;

    field = target->nkeeps ? 1 : 0;

    for (i = 0; target->range && i < target->ncolumns; i++) {
        if (strcmp(target->columns[i].name, target->range) == 0) {
            return target->columns[i].from == CONF_FROM_IDENTITY ? -1 : field;
        }

        field += target->columns[i].from != CONF_FROM_IDENTITY;
    }

    return -1;
}


int
partition_hour(buf_t *hours, const target_t *target, const char *text,
    size_t len, bool tuple)
{
    int64_t        field, hour, last, now, period;
    const conf_t  *conf;

    conf = target->conf;
    field = partition_field(target);

    if (field == -1
        || (tuple ? partition_of_tuple(text, len, field, &hour)
                  : partition_of_line(text, len, field, &hour))
           == -1)
    {
        return 0;
    }

    /* the server, whose clock decides, looks at one period less */

    period = partition_periods[conf->partition_by].hours;
    now = clock_wall() / 3600000 - PARTITION_2000 * 24;

    if (hour < now - (conf->partition_behind + 2) * period
        || hour > now + (conf->partition_ahead + 2) * period)
    {
        return 0;
    }

    if (conf->partition_by != CONF_PERIOD_HOUR) {
        hour -= (hour % 24 + 24) % 24;
    }

    if (hours->len) {
        memcpy(&last, hours->data + hours->len - sizeof(last), sizeof(last));

        if (last == hour) {
            return 0;
        }
    }

    return buf_append(hours, (const char *) &hour, sizeof(hour));
}


static int
partition_of_tuple(const char *p, size_t len, int64_t field, int64_t *hour)
{
    int64_t      us;
    int32_t      size, days;
    const char  *end;

    end = p + len;
    p += 2;

    for (;; p += size > 0 ? size : 0) {
        if (end - p < 4) {
            return -1;
        }

        memcpy(&size, p, 4);
        size = (int32_t) be32toh((uint32_t) size);
        p += 4;

        if (size > end - p) {
            return -1;
        }

        if (field-- == 0) {
            break;
        }
    }

    switch (size) {

    case 4:
        memcpy(&days, p, 4);
        *hour = (int64_t) (int32_t) be32toh((uint32_t) days) * 24;
        return 0;

    case 8:
        memcpy(&us, p, 8);
        us = (int64_t) be64toh((uint64_t) us);
        *hour = us / PARTITION_HOUR - (us % PARTITION_HOUR < 0);
        return 0;

    default:
        return -1;
    }
}


/* As row/time.c writes it, or as the record has it: with an offset then. */

static int
partition_of_line(const char *p, size_t len, int64_t field, int64_t *hour)
{
    int          hours, minutes, offset;
    int64_t      days, seconds;
    const char  *end, *tab;

    end = p + len;

    for ( /* void */ ; field; field--) {
        tab = memchr(p, '\t', (size_t) (end - p));

        if (tab == NULL) {
            return -1;
        }

        p = tab + 1;
    }

    tab = memchr(p, '\t', (size_t) (end - p));
    end = tab ? tab : end - 1;

    if (calendar_date(p, end, &days) == -1
        || memchr(p, 'B', (size_t) (end - p)))
    {
        return -1;
    }

    hours = minutes = offset = 0;

    if (end - p > 15) {
        hours = calendar_digits(p + 11, end, 2);
        minutes = calendar_digits(p + 14, end, 2);

        for (tab = p + 16; tab < end && strchr("0123456789:.", *tab); tab++) {
            /* void */
        }

        if (tab < end && clock_offset(tab, end, &offset) == NULL) {
            return -1;
        }
    }

    if (hours == -1 || minutes == -1) {
        return -1;
    }

    seconds = ((days - PARTITION_2000) * 24 + hours) * 3600 + minutes * 60
              - offset;
    *hour = seconds / 3600 - (seconds % 3600 < 0);

    return 0;
}


static int
partition_compare(const void *a, const void *b)
{
    const int64_t  *p = a, *q = b;

    return (*p > *q) - (*p < *q);
}


void
partition_hours(buf_t *list, buf_t *hours)
{
    size_t          i, n;
    const int64_t  *hour;

    n = hours->len / sizeof(int64_t);
    hour = (const int64_t *) (const void *) hours->data;

    if (n) {
        qsort(hours->data, n, sizeof(int64_t), partition_compare);
    }

    buf_addf(list, "{");

    for (i = 0; i < n; i++) {
        if (i == 0 || hour[i] != hour[i - 1]) {
            buf_addf(list, "%s%" PRId64, i ? "," : "", hour[i]);
        }
    }

    buf_addf(list, "}");
}
