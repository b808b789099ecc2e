/*
 * What people do to a topic and its offsets: go back by "offsets reset", make
 * the topic again, and help a daemon that holds as the manual says.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"


static void sim_go_back(void);
static bool sim_holds(void);
static bool sim_can_make_again(void);
static bool sim_is_another(void);
static void sim_reset(int32_t partition, int64_t to);
static void sim_reset_ranges(int32_t partition, int64_t to);
static size_t sim_keep(sim_row_t *rows, size_t n, int32_t partition,
    int64_t to);


void
sim_operate(void)
{
    if (sim.resetting) {
        sim_go_back();
        return;
    }

    if (sim.made) {
        if (sim_holds() && sim_is_another()) {
            if (sim.helped) {
                sim_wrong("what the old topic held came after the reset");
            }
            sim.resetting = true;
        }
        return;
    }

    if (sim.calm) {
        return;
    }

    if (sim_random(100) == 0) {
        sim.resetting = true;

    } else if (!sim.pooled && sim_random(300) == 0 && sim_can_make_again()) {
        sim_make_again();
        sim.backup = sim.db;
    }
}


/* By the manual: the daemons are stopped first; one may be left asleep. */

static void
sim_go_back(void)
{
    bool           joined;
    int32_t        p;
    sim_member_t  *m;
    sim_offset_t  *o;

    joined = false;

    for (m = sim.members; m < sim.members + sim.nmembers; m++) {
        joined |= m->joined;

        if (!m->alive || m->paused || m->daemon.stopping) {
            continue;
        }

        if (!sim.calm && batch_records(m->daemon.filling) && sim_random(2)) {
            sim_pause(m, 3000);
        } else {
            sim_stop(m);
        }
    }

    if (joined || sim_pg_locked(NULL, ~0u)) {
        return;
    }

    sim.resetting = false;

    /* over a pooler an epoch that was lost comes again: not both at once */
    if (!sim.made && !sim.calm && !sim.pooled && sim_random(2)) {
        sim_make_again();
    }

    if (sim.made) {
        for (p = 0; p < (int32_t) sim.partitions; p++) {
            sim_reset(p, sim.logs[p].begin);
        }
        sim.backup = sim.db;
        sim.helped = true;
        return;
    }

    p = (int32_t) sim_random((uint32_t) sim.partitions);
    o = &sim.db.offsets[p];

    if (o->stored) {
        sim_reset(p, o->next - sim_random((uint32_t) (o->next
                                          - sim.logs[p].begin + 1)));
    }
}


/* A daemon holds and says why. */

static bool
sim_holds(void)
{
    const sim_member_t      *m;
    const daemon_trouble_t  *t;

    for (m = sim.members; m < sim.members + sim.nmembers; m++) {
        t = &m->daemon.trouble;

        if (m->alive && t->action == SQLSTATE_HOLD
            && strstr(t->reason, "created again"))
        {
            return true;
        }
    }

    return false;
}


/* Only where what is stored last is known can it be seen to be another. */

static bool
sim_can_make_again(void)
{
    size_t               i;
    const sim_offset_t  *o;

    for (i = 0; i < sim.partitions; i++) {
        o = &sim.db.offsets[i];

        if (o->stored && !o->has_last && o->next != sim.logs[i].begin) {
            return false;
        }
    }

    return true;
}


/* Whoever reads that looks first whether it is so. */

static bool
sim_is_another(void)
{
    size_t               i, k;
    const sim_log_t     *log;
    const sim_offset_t  *o;

    for (i = 0; i < sim.partitions; i++) {
        log = &sim.logs[i];
        o = &sim.db.offsets[i];

        for (k = 0; k < log->n && log->records[k].offset != o->next - 1; k++) {
        }

        if (o->stored && o->has_last
            && (k == log->n || log->records[k].timestamp != o->timestamp))
        {
            return true;
        }
    }

    return false;
}


/* As the tool words it in SQL, and the rows with it. */

static void
sim_reset(int32_t partition, int64_t to)
{
    sim_db_t      *db;
    sim_offset_t  *o;

    db = &sim.db;
    o = &db->offsets[partition];

    sim_say("operator: partition %d from %" PRId64 " to %" PRId64, partition,
            o->next, to);

    if (db->name[0] == '\0') {
        (void) snprintf(db->name, SIM_NAME, sim_random(2) ? "sim"
                                                          : "public.sim");
    }

    sim_reset_ranges(partition, to);
    db->nrows = sim_keep(db->rows, db->nrows, partition, to);
    db->ndead = sim_keep(db->dead, db->ndead, partition, to);

    o->epoch = o->stored ? o->epoch + 1 : 1;
    o->stored = true;
    o->next = to;
    o->has_last = false;
}


static void
sim_reset_ranges(int32_t partition, int64_t to)
{
    size_t        i, k, n;
    int64_t       gaps;
    sim_db_t     *db;
    sim_range_t  *r;

    db = &sim.db;

    for (i = 0, n = 0; i < db->nranges; i++) {
        r = &db->ranges[i];

        if (r->partition == partition && r->first >= to) {
            continue;
        }

        if (r->partition == partition && r->gap && r->next > to) {
            r->next = to;
        }

        db->ranges[n++] = *r;
    }

    db->nranges = n;

    for (i = 0; i < n; i++) {
        r = &db->ranges[i];

        if (r->partition != partition || r->gap || r->next <= to) {
            continue;
        }

        for (k = 0, gaps = 0; k < n; k++) {
            if (db->ranges[k].gap && db->ranges[k].partition == partition
                && db->ranges[k].first >= r->first)
            {
                gaps += db->ranges[k].next - db->ranges[k].first;
            }
        }

        for (k = 0, r->dead = 0; k < db->ndead; k++) {
            r->dead += db->dead[k].partition == partition
                       && db->dead[k].offset >= r->first
                       && db->dead[k].offset < to;
        }

        r->next = to;
        r->records = to - r->first - gaps;
    }
}


static size_t
sim_keep(sim_row_t *rows, size_t n, int32_t partition, int64_t to)
{
    size_t  i, k;

    for (i = 0, k = 0; i < n; i++) {
        if (rows[i].partition != partition || rows[i].offset < to) {
            rows[k++] = rows[i];
        }
    }

    return k;
}
