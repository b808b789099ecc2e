/*
 * PostgreSQL's server, as far as the daemon uses it: transactions, two COPYs,
 * offsets behind a guard.  A query is done at one time and answered at a later
 * one, so that whatever may come between, does.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_pg.h"


#define SIM_ORPHANS  16


static pg_t   *sim_orphans[SIM_ORPHANS];
static size_t  sim_norphans;


/* Errors that are nobody's rows'. */
static const char *const  sim_faults[] = {
    "40001", "40P01", "53300", "55P03", "57014", "58030", "XX000", "42P01",
    "42501", "0A000", "01000", "02000"
};


/* Those of an odd row, by its id. */
static const char *const  sim_odd[] = {
    "XX000", "0A000", "38000", "55000", "42601", "58030"
};


static const char *sim_odd_state(const sim_record_t *r);
static bool sim_goes_on(pg_t *pg);
static void sim_execute(pg_t *pg);
static void sim_execute_rows(pg_t *pg, const char *sql);
static void sim_copy(pg_t *pg);
static void sim_copy_rows(pg_t *pg, const char *text);
static void sim_copy_dead(pg_t *pg, const char *text);


void
sim_pg_reset(void)
{
    while (sim_norphans) {
        pg_destroy(sim_orphans[--sim_norphans]);
    }
}


int64_t
sim_pg_orphans_due(void)
{
    size_t   i;
    int64_t  due;

    due = INT64_MAX;

    for (i = 0; i < sim_norphans; i++) {
        if (sim_orphans[i]->execute < due) {
            due = sim_orphans[i]->execute;
        }
    }

    return due;
}


void
sim_pg_serve(void)
{
    size_t         i;
    pg_t          *pg;
    sim_member_t  *m;

    for (m = sim.members; m < sim.members + sim.nmembers; m++) {
        pg = m->alive ? m->daemon.pg : NULL;

        if (pg && pg->state == PG_BUSY && !pg->executed
            && sim.now >= pg->execute && !(m->paused && pg->copy)
            && !sim_pg_locked(pg, sim_locks(pg->sql)))
        {
            sim_execute(pg);
        }
    }

    for (i = 0; i < sim_norphans; i++) {
        pg = sim_orphans[i];

        if (sim.now >= pg->execute && !sim_pg_locked(pg, sim_locks(pg->sql))) {
            sim_say("server: does what a killed daemon had sent");
            sim_execute(pg);
            sim_roll_back(pg);
            pg_destroy(pg);
            sim_orphans[i--] = sim_orphans[--sim_norphans];
        }
    }
}


bool
sim_pg_locked(const pg_t *pg, unsigned mask)
{
    size_t         i;
    const pg_t    *other;
    sim_member_t  *m;

    for (i = 0; i < sim_norphans; i++) {
        if (sim_orphans[i] != pg && (sim_orphans[i]->locked & mask)) {
            return true;
        }
    }

    for (m = sim.members; m < sim.members + sim.nmembers; m++) {
        other = m->alive ? m->daemon.pg : NULL;

        if (other && other != pg && (other->locked & mask)) {

            if (m->lost) {
                sim_wrong("offsets are kept locked by daemon %td, which the "
                          "group went on without", m - sim.members);
            }

            return true;
        }
    }

    return false;
}


void
sim_pg_orphan(pg_t *pg)
{
    if (pg->state != PG_BUSY || pg->executed || pg->copy
        || sim_norphans == SIM_ORPHANS || sim_random(3) == 0)
    {
        sim_roll_back(pg);
        pg_destroy(pg);
        return;
    }

    /* long behind it, too: its successor is there then */
    pg->execute += sim_random(2) ? 0 : sim_random(2000);
    sim_orphans[sim_norphans++] = pg;
}


void
sim_pg_crash(void)
{
    bool           open;
    pg_t          *pg;
    sim_member_t  *m;

    sim_pg_reset();

    for (m = sim.members; m < sim.members + sim.nmembers; m++) {
        pg = m->alive ? m->daemon.pg : NULL;

        if (pg == NULL || pg->state == PG_CLOSED) {
            continue;
        }

        open = pg->open;
        sim_roll_back(pg);

        if (pg->state == PG_BUSY) {
            pg->executed = true;
            pg->answer = sim.now;
            pg->reply.lost = true;
            (void) snprintf(pg->reply.sqlstate, 6, "57P01");

        } else if (pg->state == PG_IDLE && !(sim.pooled && !open)) {
            pg->broken = true;
        }
    }
}


/* Draws a fault of the query; whether it is executed all the same. */

static bool
sim_goes_on(pg_t *pg)
{
    switch (sim_random(3)) {

    case 0:
        /* nothing was done */
        sim_roll_back(pg);
        pg->reply.lost = true;
        return false;

    case 1:
        /* it was, and nobody hears of it */
        pg->reply.lost = true;
        return true;

    default:
        sim_fail(pg, sim_faults[sim_random(sizeof(sim_faults)
                                           / sizeof(sim_faults[0]))]);
        if (pg->keep && pg->open) {
            pg->failed = true;
        } else {
            sim_roll_back(pg);
        }
        return false;
    }
}


static void
sim_execute(pg_t *pg)
{
    int          n;
    unsigned     savepoint;
    const char  *sql;

    sql = pg->sql;
    pg->executed = true;

    if (pg->answer < sim.now) {
        pg->answer = sim.now;
    }

    if (!sim.calm && sim_random(1000) < sim.faults && !sim_goes_on(pg)) {
        return;
    }

    if (sscanf(sql, "ROLLBACK TO sluice%u;%n", &savepoint, &n) == 1) {

        if (savepoint != pg->savepoint) {
            sim_fail(pg, "3B001");
            sim_roll_back(pg);
            return;
        }

        pg->nrows = pg->nrows_saved;
        pg->ndead = pg->ndead_saved;
        pg->failed = false;
        sql += n;

    } else if (strcmp(sql, "ROLLBACK") == 0) {
        sim_roll_back(pg);
        return;
    }

    if (pg->failed) {
        sim_wrong("a query in a failed transaction: %.60s", sql);
    }

    if (strncmp(sql, "BEGIN", 5) == 0) {
        if (pg->open) {
            sim_wrong("BEGIN within a transaction");
        }
        pg->open = true;
    }

    if (strstr(sql, "SELECT o.partition, k.name")) {
        sim_stored(pg);
        return;
    }

    if (strstr(sql, "WITH claimed AS")) {
        sim_claim(pg);
        return;
    }

    if (strstr(sql, " FROM sluice.dead_letters WHERE ")) {
        sim_look(pg);
        return;
    }

    if (strstr(sql, "sim catalogue")) {
        return;
    }

    if (!pg->open) {
        sim_wrong("outside of a transaction: %.60s", sql);
    }

    sim_execute_rows(pg, sql);
}


/* What the query does within its transaction, and the transaction's end. */

static void
sim_execute_rows(pg_t *pg, const char *sql)
{
    const char  *savepoint;

    if (strstr(sql, "DO '")) {
        sim_guard(pg, sql);
    }

    if (strstr(sql, "SET CONSTRAINTS ALL IMMEDIATE")) {
        pg->immediate = true;
    }

    savepoint = strstr(sql, "SAVEPOINT sluice");

    if (savepoint
        && sscanf(savepoint, "SAVEPOINT sluice%u", &pg->savepoint) == 1)
    {
        pg->nrows_saved = pg->nrows;
        pg->ndead_saved = pg->ndead;
    }

    if (pg->reply.sqlstate[0] == '\0' && pg->copy) {
        sim_copy(pg);
    }

    if (pg->reply.sqlstate[0]) {
        if (pg->keep) {
            pg->failed = true;
        } else {
            sim_roll_back(pg);
        }
        return;
    }

    if (strcmp(sql, "COMMIT") == 0
        || (strlen(sql) > 7 && strcmp(sql + strlen(sql) - 7, ";COMMIT") == 0))
    {
        if (pg->later) {
            sim_fail(pg, pg->later);
            sim_roll_back(pg);
            return;
        }

        sim_commit(pg);

    } else if (pg->reply.lost) {
        sim_roll_back(pg);
    }
}


void
sim_fail(pg_t *pg, const char *sqlstate)
{
    (void) snprintf(pg->reply.sqlstate, sizeof(pg->reply.sqlstate), "%s",
                    sqlstate);
    (void) snprintf(pg->reply.reason, sizeof(pg->reply.reason),
                    "simulated %s", sqlstate);

    if (sqlstate[0] == '2' && sqlstate[1] == '3') {
        (void) snprintf(pg->reply.constraint, sizeof(pg->reply.constraint),
                        "c");
    }
}


void
sim_roll_back(pg_t *pg)
{
    pg->open = false;
    pg->failed = false;
    pg->immediate = false;
    pg->later = NULL;
    pg->nrows = 0;
    pg->ndead = 0;
    pg->locked = 0;
    free(pg->guard);
    pg->guard = NULL;
}


void
sim_commit(pg_t *pg)
{
    size_t     i;
    sim_db_t  *db;

    db = &sim.db;

    if (db->nrows + pg->nrows > sizeof(db->rows) / sizeof(db->rows[0])
        || db->ndead + pg->ndead > sizeof(db->dead) / sizeof(db->dead[0]))
    {
        sim_wrong("more rows than there were records, twice over");
    }

    memcpy(&db->rows[db->nrows], pg->rows, pg->nrows * sizeof(sim_row_t));
    memcpy(&db->dead[db->ndead], pg->dead, pg->ndead * sizeof(sim_row_t));
    db->nrows += pg->nrows;
    db->ndead += pg->ndead;

    for (i = 0; i < sim.partitions; i++) {
        if (pg->locked & 1u << i) {
            db->offsets[i] = pg->moved[i];
        }
    }

    if (pg->guard) {
        sim_ranges(pg->guard);
    }

    sim_committed(pg);
    sim_say("server: commits %zu rows, %zu dead letters", pg->nrows,
            pg->ndead);

    sim_roll_back(pg);

    /* a standby that takes over is close behind */
    if (sim_random(sim.pooled ? 3 : 20) == 0) {
        sim.backup = *db;
    }
}


static void
sim_copy(pg_t *pg)
{
    size_t       len;
    buf_t        text;
    const char  *chunk;

    memset(&text, 0, sizeof(buf_t));

    while ((len = pg->copy(pg->data, &chunk)) > 0) {
        buf_add(&text, chunk, len);
    }

    buf_add(&text, "", 1);

    if (strstr(pg->sql, "COPY sluice.dead_letters")) {
        sim_copy_dead(pg, text.data);

    } else {
        sim_copy_rows(pg, text.data);
    }

    buf_free(&text);
}


static const char *
sim_odd_state(const sim_record_t *r)
{
    return sim_odd[r->id % (sizeof(sim_odd) / sizeof(sim_odd[0]))];
}


/* Columns: id, k, partition, offset. */

static void
sim_copy_rows(pg_t *pg, const char *text)
{
    sim_row_t           *row;
    const char          *p, *bad, **at;
    const sim_record_t  *r;

    bad = NULL;
    at = pg->immediate ? &bad : &pg->later;

    for (p = text; *p; p = strchr(p, '\n') + 1) {

        if (pg->nrows == SIM_PENDING) {
            sim_wrong("more rows than a batch may have");
        }

        row = &pg->rows[pg->nrows++];

        if (sscanf(p, "%" SCNd64 "\ta\\tb%*u\t%d\t%" SCNd64 "\n", &row->id,
                   &row->partition, &row->offset)
            != 3)
        {
            sim_wrong("not a line of COPY: %.40s", p);
        }

        r = sim_find(row->id);
        if (r == NULL) {
            sim_wrong("a row that no record was: %" PRId64, row->id);
        }

        switch (r->kind) {

        case SIM_BAD_LINE:
            sim_fail(pg, "22P02");
            return;

        case SIM_BAD_ROW:
            bad = "23505";
            break;

        case SIM_BAD_LATER:
            *at = "23505";
            break;

        case SIM_ODD_ROW:
            bad = sim.mended ? bad : sim_odd_state(r);
            break;

        case SIM_ODD_LATER:
            *at = sim.mended ? *at : sim_odd_state(r);
            break;

        default:
            break;
        }
    }

    if (sim.size && pg->nrows > sim.size) {
        bad = sim.size_state;
    }

    if (sim.now < sim.closed && !sim.calm) {
        bad = sim.closed_state;
    }

    if (bad) {
        sim_fail(pg, bad);
    }
}


/* Columns: four of the key, partition, offset, and more. */

static void
sim_copy_dead(pg_t *pg, const char *text)
{
    sim_row_t   *row;
    const char  *p;

    for (p = text; *p; p = strchr(p, '\n') + 1) {

        if (pg->ndead == SIM_PENDING) {
            sim_wrong("more dead letters than a batch may have");
        }

        row = &pg->dead[pg->ndead++];
        row->id = -1;

        if (sscanf(p, "c\tg\tt\t%*[a-z.]\t%d\t%" SCNd64 "\t",
                   &row->partition, &row->offset)
            != 2)
        {
            sim_wrong("not a dead letter: %.40s", p);
        }
    }
}
