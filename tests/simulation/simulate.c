/*
 * Histories of the daemon by the thousand: daemons come and go, stop and wake,
 * partitions move, PostgreSQL fails in every way it may.  At the end of each
 * history every record has taken its effect exactly once.
 *
 *   simulate [--seed N] [--histories N] [--verbose]
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"


#define SIM_CALM   3000      /* ms of faults */
#define SIM_LIMIT  200000    /* ms in which all has to be well again */


sim_t          sim;
sim_member_t  *sim_member;

static uint64_t       sim_seed;       /* of the history under way */
static const conf_t  *sim_confs[4];


uint32_t
sim_random(uint32_t below)
{
    uint64_t  z;

    /* splitmix64 */
    z = sim.random += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;

    return (uint32_t) ((z >> 32) * below >> 32);
}


void
sim_say(const char *fmt, ...)
{
    va_list  args;

    if (!sim.verbose) {
        return;
    }

    printf("%8" PRId64 " ", sim.now);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}


void
sim_wrong(const char *fmt, ...)
{
    va_list  args;

    printf("seed %" PRIu64 ": ", sim_seed);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\nsee it by: simulate --seed %" PRIu64 " --histories 1 "
           "--verbose\n", sim_seed);
    exit(1);
}


static const conf_t *
sim_conf(void)
{
    return sim_confs[sim_random(4)];
}


/* Daemons. */

static void
sim_start(const conf_t *conf)
{
    daemon_t      *d;
    sim_member_t  *m;

    if (sim.nmembers == SIM_MEMBERS) {
        return;
    }

    m = &sim.members[sim.nmembers];
    memset(m, 0, sizeof(sim_member_t));
    m->alive = true;
    sim_member = m;

    d = &m->daemon;
    d->conf = conf;
    (void) snprintf(d->owner, sizeof(d->owner), "d%zu", sim.nmembers);

    d->lookup = lookup_create(conf, conf->topic);
    d->pg = pg_create(conf, d->owner, daemon_on_connected, d);
    d->targets = targets_create(conf);
    d->offsets = offsets_create(conf, d->owner);
    d->receipts = receipts_create(conf, d->offsets);
    d->sink = sink_create(conf, d->offsets, NULL, NULL);
    d->prune = prune_create(conf, d->offsets);
    batch_init(&d->batches[0], (size_t) conf->batch_rows,
               (size_t) conf->batch_bytes, conf->batch_linger);
    batch_init(&d->batches[1], (size_t) conf->batch_rows,
               (size_t) conf->batch_bytes, conf->batch_linger);
    d->batches[0].receipts = true;
    d->batches[1].receipts = true;
    d->filling = &d->batches[0];

    sim.nmembers++;
    sim_say("daemon %td starts, batches of %" PRId64, m - sim.members,
            conf->batch_rows);
}


static void
sim_free(sim_member_t *m)
{
    daemon_t  *d;

    d = &m->daemon;
    sim_member = m;

    sim_pg_orphan(d->pg);
    source_destroy(d->source);
    lookup_destroy(d->lookup);
    sink_destroy(d->sink);
    receipts_destroy(d->receipts);
    offsets_destroy(d->offsets);
    targets_destroy(d->targets);
    prune_destroy(d->prune);
    batch_free(&d->batches[0]);
    batch_free(&d->batches[1]);
    buf_free(&d->headers);
    free(d->metrics.partitions);

    m->alive = false;
    m->paused = 0;
    memset(m->assigned, 0, sizeof(m->assigned));
}


static void
sim_kill(sim_member_t *m)
{
    sim_say("daemon %td is killed", m - sim.members);
    m->gone = true;
    m->gone_at = sim.now + (sim_random(2) ? 0 : SIM_SESSION);
    sim_free(m);
}


void
sim_pause(sim_member_t *m, int64_t ms)
{
    m->paused = sim.now;
    m->resume = sim.now + ms;
    sim_say("daemon %td is stopped until %" PRId64, m - sim.members,
            m->resume);
}


void
sim_stop(sim_member_t *m)
{
    sim_say("daemon %td is told to stop", m - sim.members);
    m->daemon.stopping = true;
    m->daemon.stop_deadline = sim.now + 10000;
}


/* One turn of the daemon's loop. */

static void
sim_turn(sim_member_t *m)
{
    daemon_t               *d;
    const lookup_result_t  *result;

    d = &m->daemon;
    sim_member = m;

    result = sim_lookup_result(d->lookup);
    if (result) {
        daemon_looked_up(d, result);
    }

    if (d->source) {
        source_poll(d->source);
    }

    sim_pg_io(d->pg);
    daemon_step(d, sim.now);

    if (d->source) {
        daemon_read(d, sim.now);
        daemon_step(d, sim.now);
    }

    if (d->done) {
        if (d->status) {
            sim_wrong("a daemon left with status %d", d->status);
        }
        sim_say("daemon %td has left", m - sim.members);
        sim_free(m);
    }
}


static int64_t
sim_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}


/* When the daemon would do something by itself. */

static int64_t
sim_due(sim_member_t *m)
{
    int64_t         due, in;
    const daemon_t  *d;

    d = &m->daemon;
    due = sim_pg_due(d->pg, m->paused != 0);

    if (m->paused) {
        return sim_least(due, sim_least(m->resume,
                                        m->lost ? INT64_MAX
                                                : m->paused + SIM_SESSION));
    }

    due = sim_least(due, sim_lookup_due(d->lookup));
    due = sim_least(due, sim_kafka_due(m));
    due = sim_least(due, d->trouble.until > sim.now ? d->trouble.until
                                                    : sim.now + 500);

    if (d->stopping) {
        due = sim_least(due, sim.now + 50);
    }

    in = batch_due_in(d->filling, sim.now);
    if (in >= 0 && d->claimed) {
        due = sim_least(due, sim.now + (in > 0 ? in : 5));
    }

    /* what a step has made possible is done in the next one */
    if (d->work == DAEMON_IDLE && d->trouble.until <= sim.now
        && pg_state(d->pg) != PG_CONNECTING
        && (pg_state(d->pg) == PG_CLOSED || !d->prepared || d->storing))
    {
        due = sim_least(due, sim.now + 1);
    }

    if (d->source && d->claimed && daemon_can_read(d)
        && source_pending(d->source))
    {
        due = sim_least(due, sim.now + 1);
    }

    return due;
}


static void
sim_mischief(void)
{
    sim_member_t  *m;

    if (!sim.resetting && (sim.nmembers == 0 || sim_random(50) == 0)) {
        sim_start(sim_conf());
    }

    if (sim_random(400) == 0) {
        sim_say("PostgreSQL is killed");
        sim_pg_crash();

        if (sim.pooled || sim_random(3) == 0) {
            sim_say("and comes back as it was before");
            sim.db = sim.backup;
        }
    }

    if (sim_random(300) == 0) {
        sim.closed = sim.now + sim_random(2000);
        sim.closed_state = sim_random(2) ? "55000" : "0A000";
        sim_say("the table takes no row until %" PRId64, sim.closed);
    }

    if (sim.nmembers == 0) {
        return;
    }

    m = &sim.members[sim_random((uint32_t) sim.nmembers)];

    if (!m->alive || sim_random(25)) {
        return;
    }

    switch (sim_random(4)) {

    case 0:
        sim_kill(m);
        break;

    case 1:
        if (!m->paused && !m->daemon.stopping) {
            sim_stop(m);
        }
        break;

    default:
        if (!m->paused) {
            sim_pause(m, 1 + sim_random(sim_random(2) ? 100 : 1500));
        }
        break;
    }
}


static void
sim_wake(sim_member_t *m)
{
    sim_say("daemon %td goes on", m - sim.members);
    m->paused = 0;

    if (m->lost) {
        m->revoke_at = m->has ? sim.now + sim_random(60) : 0;

        if (!m->has) {
            m->lost = false;
            m->joined = true;
            sim_group_change();
        }
    }
}


static void
sim_step(void)
{
    size_t         alive;
    int64_t        next;
    sim_member_t  *m;

    if (sim.now >= SIM_CALM && !sim.calm) {
        sim_say("all is calm from here on");
        sim.calm = true;
    }

    if (!sim.calm) {
        sim_mischief();
    }

    sim_operate();

    while (sim.now >= sim.produce) {
        sim_produce();
    }

    sim_pg_serve();
    sim_group_tick();
    alive = 0;
    next = sim_least(sim.produce, sim_pg_orphans_due());

    for (m = sim.members; m < sim.members + sim.nmembers; m++) {

        if (m->gone && m->joined) {
            next = sim_least(next, m->gone_at);
        }

        if (!m->alive) {
            continue;
        }

        if (m->paused && (sim.now >= m->resume || sim.calm)) {
            sim_wake(m);
        }

        if (!m->paused) {
            sim_turn(m);
        }

        if (m->alive) {
            alive += !m->daemon.stopping;
            next = sim_least(next, sim_due(m));
        }
    }

    if (sim.calm && alive == 0 && !sim.resetting) {

        if (sim.nmembers == SIM_MEMBERS) {
            /* all slots are used: the last one's again */
            sim.nmembers--;
            m = &sim.members[sim.nmembers];
            if (m->alive) {
                sim_kill(m);
            }
            sim_group_leave(m);
        }

        sim_start(sim_confs[1]);
    }

    next = sim_least(next, sim.now + 200);

    if (!sim.calm) {
        next = sim_least(next, sim.now + 1 + sim_random(40));
    }

    sim.now = next > sim.now ? next : sim.now + 1;
}


static void
sim_history(uint64_t seed, bool verbose)
{
    sim_member_t  *m;

    sim_seed = seed;
    memset(&sim.db, 0, sizeof(sim_db_t));
    memset(sim.logs, 0, sizeof(sim.logs));
    memset(sim.old, 0, sizeof(sim.old));
    memset(sim.was_row, 0, sizeof(sim.was_row));
    memset(sim.was_dead, 0, sizeof(sim.was_dead));
    sim.random = seed * 0x2545f4914f6cdd1d + 1;
    sim.verbose = verbose;
    log_level = verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
    sim.calm = false;
    sim.made = false;
    sim.helped = false;
    sim.resetting = false;
    sim.now = 1;
    sim.nmembers = 0;
    sim.balancing = false;
    sim.faults = sim_random(3) ? sim_random(60) : 0;
    sim.partitions = 1 + sim_random(SIM_PARTITIONS);
    sim.goal = 5 + sim_random(SIM_RECORDS - 5);
    sim.produce = 1;
    sim.pooled = sim_random(4) == 0;
    sim.size = sim_random(4) ? 0 : 1 + sim_random(6);
    sim.size_state = sim_random(2) ? "57014" : "53200";
    sim.mended = false;
    sim.closed = 0;
    sim.stored = 0;
    sim.backup = sim.db;
    sim_pg_reset();
    sim_topic_reset();

    while (!(sim.calm && sim_is_done())) {

        if (sim.now > SIM_LIMIT) {
            sim_wrong("what is there is not stored in time");
        }

        sim_step();
        sim_check_progress();
    }

    sim_check();
    sim_pg_reset();

    for (m = sim.members; m < sim.members + sim.nmembers; m++) {
        if (m->alive) {
            sim_free(m);
        }
    }
}


static void
sim_read_confs(void)
{
    int          n;
    char         text[640], err[CONF_ERROR_MAX];
    size_t       i;

    static const int  rows[] = { 1, 4, 15, 200 };
    static const char *const  names[] = { "sim", "public.sim" };

    for (i = 0; i < 4; i++) {
        n = snprintf(text, sizeof(text), "{\"topic\":\"t\",\"group\":\"g\","
                     "\"start\":\"earliest\",\"kafka\":"
                     "{\"bootstrap.servers\":\"b\"},\"postgres\":\"host=p\","
                     "\"table\":\"%s\",\"columns\":{"
                     "\"id\":{\"path\":\"/id\",\"type\":\"bigint\"},"
                     "\"k\":{\"path\":\"/k\",\"type\":\"text\"},"
                     "\"p\":{\"meta\":\"partition\",\"type\":\"integer\"},"
                     "\"o\":{\"meta\":\"offset\",\"type\":\"bigint\"}},"
                     "\"batch\":{\"rows\":%d,\"linger\":\"20ms\"},"
                     "\"dead_letters\":{\"hold_above\":1},"
                     "\"receipts\":{\"topic\":\"r\"}}", names[i % 2],
                     rows[i]);
        sim_confs[i] = conf_parse("sim", text, (size_t) n, err);

        if (sim_confs[i] == NULL) {
            printf("%s\n", err);
            exit(2);
        }
    }
}


int
main(int argc, char **argv)
{
    int       c;
    bool      verbose;
    uint64_t  i, first, histories;

    static const struct option  options[] = {
        { "seed",      required_argument, NULL, 's' },
        { "histories", required_argument, NULL, 'n' },
        { "verbose",   no_argument,       NULL, 'v' },
        { NULL,        0,                 NULL, 0 }
    };

    first = (uint64_t) time(NULL) * 1000000;
    histories = 10000;
    verbose = false;

    while ((c = getopt_long(argc, argv, "s:n:v", options, NULL)) != -1) {

        switch (c) {

        case 's':
            first = strtoull(optarg, NULL, 10);
            break;

        case 'n':
            histories = strtoull(optarg, NULL, 10);
            break;

        case 'v':
            verbose = true;
            log_level = LOG_LEVEL_DEBUG;
            break;

        default:
            return 2;
        }
    }

    sim_read_confs();

    for (i = 0; i < histories; i++) {
        sim_history(first + i, verbose);
    }

    printf("%" PRIu64 " histories from seed %" PRIu64 ", each record once, "
           "%" PRIu64 " told\n", histories, first, sim.told);

    for (i = 0; i < 4; i++) {
        conf_free(sim_confs[i]);
    }

    return 0;
}
