/* Kafka: the topic's log, and the group of its consumers. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"


static uint32_t  sim_next_id;


void
sim_topic_reset(void)
{
    size_t  i;

    sim_next_id = 1;

    for (i = 0; i < sim.partitions; i++) {
        sim.logs[i].begin = sim_random(3) ? 0 : sim_random(50);
        sim.logs[i].end = sim.logs[i].begin;
    }
}


const sim_record_t *
sim_find(int64_t id)
{
    size_t  i, j;

    for (i = 0; i < sim.partitions; i++) {
        for (j = 0; j < sim.logs[i].n; j++) {
            if (sim.logs[i].records[j].id == id) {
                return &sim.logs[i].records[j];
            }
        }

        for (j = 0; j < sim.old[i].n; j++) {
            if (sim.old[i].records[j].id == id) {
                return &sim.old[i].records[j];
            }
        }
    }

    return NULL;
}


/* A record, and sometimes offsets before it that hold none. */

void
sim_produce(void)
{
    size_t         i, goal;
    uint64_t       one;
    sim_log_t     *log;
    sim_record_t  *r;
    sim_member_t  *m;

    /* over a pooler, who is idle learns with the next record of a loss */
    goal = sim.goal - (sim.pooled && !sim.calm);

    i = sim_random((uint32_t) sim.partitions);
    log = &sim.logs[i];

    if (log->n == goal) {
        for (i = 0; i < sim.partitions && sim.logs[i].n == goal; i++) {
        }

        if (i == sim.partitions) {
            sim.produce = goal == sim.goal ? INT64_MAX : sim.now + 100;
            return;
        }

        log = &sim.logs[i];
    }

    /* where one would stand for the record stored last, it is not compared */
    if (!sim.made && sim_random(12) == 0) {
        log->end += 1 + sim_random(3);
    }

    r = &log->records[log->n++];
    r->offset = log->end++;
    r->timestamp = 1700000000000 + sim.now;
    r->id = sim_next_id++;
    r->kind = sim_random(15) ? SIM_GOOD : sim_random(SIM_KINDS);
    r->len = (size_t) snprintf(r->value, sizeof(r->value),
                               "{\"id\":%u,\"k\":\"a\\tb%u\"%s", r->id,
                               sim_random(10),
                               r->kind == SIM_NOT_JSON ? "" : "}");

    for (m = sim.members; m < sim.members + sim.nmembers; m++) {
        if (m->alive && m->assigned[i]) {
            one = 1;
            if (write(m->fd, &one, sizeof(one)) != sizeof(one)) {
                sim_wrong("an eventfd is full");
            }
        }
    }

    sim.produce = sim.now + sim_random(8);
}


void
sim_make_again(void)
{
    size_t         i;
    sim_log_t     *log;
    sim_member_t  *m;

    sim_say("the topic is created again");
    memcpy(sim.old, sim.logs, sizeof(sim.old));
    sim.made = true;
    sim.goal = 1 + sim_random((uint32_t) sim.goal);
    sim.produce = sim.now + 1 + sim_random(200);

    for (i = 0; i < sim.partitions; i++) {
        log = &sim.logs[i];
        log->n = 0;
        log->end = log->begin;

        for (m = sim.members; m < sim.members + sim.nmembers; m++) {
            m->unknown[i] = m->alive && m->assigned[i];
        }
    }
}


/* The group: eager, a rebalance begins with everything being taken back. */

void
sim_group_change(void)
{
    sim_member_t  *m;

    sim.balancing = true;

    for (m = sim.members; m < sim.members + sim.nmembers; m++) {
        m->assign_at = 0;

        if (m->joined && m->has && !m->gone) {
            m->revoke_at = sim.now + 1 + sim_random(30);
        }
    }
}


void
sim_group_leave(sim_member_t *m)
{
    if (m->joined) {
        m->joined = false;
        sim_group_change();
    }
}


void
sim_group_tick(void)
{
    size_t         i, n, turn;
    sim_member_t  *m, *joined[SIM_MEMBERS];

    n = 0;

    for (m = sim.members; m < sim.members + sim.nmembers; m++) {

        if (m->joined && m->gone && sim.now >= m->gone_at) {
            sim_group_leave(m);
        }

        if (m->joined && m->paused && sim.now - m->paused >= SIM_SESSION) {
            sim_say("group: a silent member is left out");
            m->lost = true;
            sim_group_leave(m);
        }

        if (m->joined) {
            joined[n++] = m;
        }
    }

    if (!sim.balancing || n == 0) {
        return;
    }

    for (i = 0; i < n; i++) {
        if (joined[i]->has || joined[i]->gone) {
            return;
        }
    }

    sim.balancing = false;
    turn = sim_random((uint32_t) n);

    for (i = 0; i < n; i++) {
        joined[i]->mask = 0;
        joined[i]->assign_at = sim.now + 1 + sim_random(30);
    }

    for (i = 0; i < sim.partitions; i++) {
        joined[(turn + i) % n]->mask |= 1u << i;
    }
}
