/* Whether a history went well: what PostgreSQL holds of what Kafka held. */

#include <inttypes.h>

#include "sim.h"


#define SIM_STANDS  40000    /* ms */


static bool sim_explains(void);
static void sim_check_records(int32_t p, const sim_log_t *log);
static void sim_check_order(int32_t p);
static void sim_check_ranges(int32_t p, const sim_log_t *log);


/* All records that there will be are accounted. */

bool
sim_is_done(void)
{
    size_t               i;
    const sim_log_t     *log;
    const sim_offset_t  *o;

    if (sim.produce != INT64_MAX) {
        return false;
    }

    for (i = 0; i < sim.partitions; i++) {
        log = &sim.logs[i];
        o = &sim.db.offsets[i];

        if (!o->stored || o->next != log->end
            || (sim.made && o->timestamp != log->records[log->n - 1].timestamp))
        {
            return false;
        }
    }

    return true;
}


/* With all servers well, what is stored grows or a daemon says why not. */

void
sim_check_progress(void)
{
    size_t   i;
    int64_t  stored;

    stored = 0;

    for (i = 0; i < sim.partitions; i++) {
        stored += sim.db.offsets[i].next;
    }

    if (!sim.calm || stored != sim.stored || sim_is_done()) {
        sim.stored = stored;
        sim.stored_at = sim.now;
        return;
    }

    if (sim.now - sim.stored_at < SIM_STANDS) {
        return;
    }

    if (!sim_explains()) {
        sim_wrong("nothing is stored for %" PRId64 " ms, and no daemon says "
                  "why", sim.now - sim.stored_at);
    }

    if (!sim.mended) {
        sim_say("operator: mends what odd rows were refused for");
        sim.mended = true;
    }
}


/* As /healthz does. */

static bool
sim_explains(void)
{
    const sim_member_t      *m;
    const daemon_trouble_t  *t;

    for (m = sim.members; m < sim.members + sim.nmembers; m++) {
        t = &m->daemon.trouble;

        if (m->alive && (t->action == SQLSTATE_HOLD
                         || (t->state == DAEMON_STORING
                             && sim.now - t->since > 30000)))
        {
            return true;
        }
    }

    return false;
}


/* Every record has had its effect, once, and the books say so. */

void
sim_check(void)
{
    size_t  p;

    for (p = 0; p < sim.partitions; p++) {
        sim_check_records((int32_t) p, &sim.logs[p]);
        sim_check_order((int32_t) p);
        sim_check_ranges((int32_t) p, &sim.logs[p]);
    }
}


static void
sim_check_records(int32_t p, const sim_log_t *log)
{
    bool                 good;
    size_t               i, k, rows, dead;
    const sim_db_t      *db;
    const sim_record_t  *r;

    db = &sim.db;

    for (k = 0; k < log->n; k++) {
        r = &log->records[k];
        rows = 0;
        dead = 0;

        for (i = 0; i < db->nrows; i++) {
            rows += db->rows[i].id == r->id;

            if (db->rows[i].id == r->id
                && (db->rows[i].offset != r->offset
                    || db->rows[i].partition != p))
            {
                sim_wrong("record %u is a row of another place", r->id);
            }
        }

        for (i = 0; i < db->ndead; i++) {
            dead += db->dead[i].partition == p
                    && db->dead[i].offset == r->offset;
        }

        if (r->kind == SIM_ODD_ROW || r->kind == SIM_ODD_LATER) {
            good = rows == 1 && sim.mended;
        } else {
            good = r->kind == SIM_GOOD;
        }

        if (rows != good || dead != !good) {
            sim_wrong("partition %d, offset %" PRId64 ", kind %d: %zu rows, "
                      "%zu dead letters", p, r->offset, r->kind, rows, dead);
        }
    }
}


static void
sim_check_order(int32_t p)
{
    size_t            i;
    int64_t           last;
    const sim_row_t  *row;

    last = -1;

    for (i = 0; i < sim.db.nrows; i++) {
        row = &sim.db.rows[i];

        if (row->partition == p && row->offset <= last) {
            sim_wrong("partition %d: offset %" PRId64 " after %" PRId64, p,
                      row->offset, last);
        }

        last = row->partition == p ? row->offset : last;
    }
}


/* Ranges and gaps tile the offsets. */

static void
sim_check_ranges(int32_t p, const sim_log_t *log)
{
    size_t              i, bad;
    int64_t             at, records, dead, gaps;
    const sim_range_t  *range;

    at = log->begin;
    records = 0;
    dead = 0;
    gaps = 0;

    for (i = 0; i < sim.db.nranges; i++) {
        range = &sim.db.ranges[i];

        if (range->partition == p && range->gap) {
            gaps += range->next - range->first;
        }

        if (range->partition == p && !range->gap) {
            records += range->records;
            dead += range->dead;

            if (range->first < at || range->next <= range->first) {
                sim_wrong("partition %d: the range from %" PRId64
                          " overlaps", p, range->first);
            }
            at = range->next;
        }
    }

    for (i = 0, bad = 0; i < sim.db.ndead; i++) {
        bad += sim.db.dead[i].partition == p;
    }

    if (records != (int64_t) log->n || dead != (int64_t) bad
        || at != log->end || gaps != log->end - log->begin - (int64_t) log->n)
    {
        sim_wrong("partition %d: ranges hold %" PRId64 " records and %" PRId64
                  " dead letters and %" PRId64 " missing up to %" PRId64
                  ", there are %zu and %zu up to %" PRId64, p, records, dead,
                  gaps, at, log->n, bad, log->end);
    }
}
