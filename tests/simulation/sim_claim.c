/* A claim of offsets, as the daemon words it. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "postgres/sql.h"
#include "sim_pg.h"


/* Partitions, the table's name in them, no doubt about it, and the version. */

void
sim_stored(pg_t *pg)
{
    int           i, j, row;
    char          text[2][SIM_NAME];
    PGresAttDesc  columns[4];

    static char  column[] = "c", version[] = "5";

    memset(columns, 0, sizeof(columns));

    for (j = 0; j < 4; j++) {
        columns[j].name = column;
    }

    pg->reply.rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    (void) PQsetResultAttrs(pg->reply.rows, 4, columns);
    (void) sim_name(sim_after(pg->sql, " LIMIT 1), '"), "')", text[1]);

    if (sim.db.name[0]) {
        (void) snprintf(text[1], SIM_NAME, "%s", sim.db.name);
    }

    for (i = 0, row = 0; i <= (int) sim.partitions; i++) {

        if (i == (int) sim.partitions ? row != 0
                                      : !sim.db.offsets[i].stored)
        {
            continue;
        }

        (void) snprintf(text[0], SIM_NAME, "%d", i);
        (void) PQsetvalue(pg->reply.rows, row, 0, text[0],
                          i == (int) sim.partitions ? -1
                                                    : (int) strlen(text[0]));
        (void) PQsetvalue(pg->reply.rows, row, 1, text[1],
                          (int) strlen(text[1]));
        (void) PQsetvalue(pg->reply.rows, row, 2, text[0], 0);
        (void) PQsetvalue(pg->reply.rows, row++, 3, version,
                          (int) sizeof(version) - 1);
    }
}


/* Rows of VALUES (keys, partition, offset, epoch, and its owner). */

static void
sim_insert(const char *from, const char *end, bool raise, unsigned *mask)
{
    int            partition;
    char           name[SIM_NAME];
    int64_t        next, epoch;
    const char    *p;
    sim_offset_t  *o;

    for (p = from; (p = sim_after(p, "('c','g','t','")) && p < end; ) {

        p = sim_name(p, "',", name);

        if (sim.db.name[0] && strcmp(name, sim.db.name) != 0) {
            sim_wrong("offsets under the names %s and %s", sim.db.name, name);
        }

        (void) snprintf(sim.db.name, SIM_NAME, "%s", name);

        if (sscanf(p, "%d,%" SCNd64 ",%" SCNd64, &partition, &next, &epoch)
            != 3)
        {
            sim_wrong("an offset that is not understood: %.60s", p);
        }

        o = &sim.db.offsets[partition];
        *mask |= 1u << partition;

        if (!o->stored) {
            o->stored = true;
            o->has_last = false;
            o->next = next;
            o->epoch = epoch;

        } else if (raise) {
            o->epoch++;
        }
    }
}


/* Whether a daemon that asks for it may store its name. */

static bool
sim_is_only_name(const char *sql)
{
    char         name[SIM_NAME];
    const char  *p;

    p = strstr(sql, "IF EXISTS (SELECT FROM sluice.offsets WHERE ");
    p = p ? sim_after(p, " AND table_name" SQL_OP("<>") "''") : NULL;

    if (p == NULL || sim.db.name[0] == '\0') {
        return true;
    }

    (void) sim_name(p, "''", name);

    return strcmp(name, sim.db.name) == 0;
}


void
sim_claim(pg_t *pg)
{
    int                  i, j, row;
    char                 text[6][32];
    size_t               k;
    int64_t              run;
    unsigned             mask;
    const char          *with;
    sim_offset_t        *o;
    const sim_range_t   *r;
    PGresAttDesc         columns[6];

    static char  name[] = "c";

    with = strstr(pg->sql, "WITH claimed AS");

    if (!sim_is_only_name(pg->sql)) {
        sim_say("server: the offsets have another name");
        sim_fail(pg, "SL001");
        sim_roll_back(pg);
        return;
    }

    mask = 0;
    sim_insert(pg->sql, with, false, &mask);
    mask = 0;
    sim_insert(with, pg->sql + strlen(pg->sql), true, &mask);

    memset(columns, 0, sizeof(columns));
    for (j = 0; j < 6; j++) {
        columns[j].name = name;
    }

    pg->reply.rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    (void) PQsetResultAttrs(pg->reply.rows, 6, columns);

    for (i = 0, row = 0; i < (int) sim.partitions; i++) {

        if ((mask & 1u << i) == 0) {
            continue;
        }

        o = &sim.db.offsets[i];
        run = -1;

        for (k = 0; k < sim.db.nranges; k++) {
            r = &sim.db.ranges[k];
            if (r->partition == i && !r->gap && r->next == o->next
                && r->first > run)
            {
                run = r->first;
            }
        }

        (void) snprintf(text[0], 32, "%d", i);
        (void) snprintf(text[1], 32, "%" PRId64, o->next);
        (void) snprintf(text[2], 32, "%" PRId64, o->epoch);
        (void) snprintf(text[3], 32, "%" PRId64, o->timestamp);
        (void) snprintf(text[4], 32, "%" PRId64, o->crc);
        (void) snprintf(text[5], 32, "%" PRId64, run);

        for (j = 0; j < 6; j++) {
            if ((j == 3 || j == 4) ? !o->has_last : j == 5 && run == -1) {
                (void) PQsetvalue(pg->reply.rows, row, j, NULL, -1);
            } else {
                (void) PQsetvalue(pg->reply.rows, row, j, text[j],
                                  (int) strlen(text[j]));
            }
        }

        row++;
    }

    sim_say("server: partitions %#x are claimed", mask);
    sim_commit(pg);
}
