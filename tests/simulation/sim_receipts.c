/*
 * What receipts say, held against the rows and dead letters that there are at
 * that moment.  In place of the producer.
 */

#include <cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/producer.h"
#include "sim_pg.h"


static void sim_partition(const cJSON *p);
static void sim_told(int32_t partition, const sim_record_t *r, bool dead);
static int64_t sim_member_of(const cJSON *object, const char *name,
    int64_t fallback);
static bool sim_is_exception(const cJSON *p, int64_t offset);


/* Nothing of it is used: a receipt is read when it is sent. */

producer_t *
producer_create(const conf_t *conf, const char *topic,
    const char *const *settings, producer_report_pt report, void *data)
{
    return (producer_t *) &sim;
}


void
producer_destroy(producer_t *producer)
{
}


int
producer_open(producer_t *producer, char *err)
{
    return 0;
}


void
producer_renew(producer_t *producer)
{
}


int
producer_queued(const producer_t *producer)
{
    return 0;
}


void
producer_flush(producer_t *producer, int ms)
{
}


void
producer_make(producer_t *producer, int replicas, const char *const *config,
    bool try, producer_made_pt made)
{
}


int
producer_fd(const producer_t *producer)
{
    return -1;
}


void
producer_poll(producer_t *producer)
{
}


rd_kafka_resp_err_t
producer_send(producer_t *producer, const producer_message_t *message)
{
    cJSON        *receipt;
    const cJSON  *p;

    if (!sim.calm && sim_random(50) == 0) {
        return RD_KAFKA_RESP_ERR__QUEUE_FULL;
    }

    sim_say("daemon %td tells %.*s", sim_member - sim.members,
            (int) message->value_len, (const char *) message->value);

    receipt = cJSON_ParseWithLength(message->value, message->value_len);

    if (receipt == NULL) {
        sim_wrong("a receipt that is not JSON: %.*s",
                  (int) message->value_len, (const char *) message->value);
    }

    cJSON_ArrayForEach(p, cJSON_GetObjectItem(receipt, "partitions")) {
        sim_partition(p);
    }

    cJSON_Delete(receipt);

    return RD_KAFKA_RESP_ERR_NO_ERROR;
}


/* As the module takes it: by offset and timestamp. */

static void
sim_partition(const cJSON *p)
{
    size_t               i, k;
    int32_t              partition;
    int64_t              first, known, oldest, newest;
    const cJSON         *timestamps;
    const sim_log_t     *log;
    const sim_record_t  *r;

    partition = (int32_t) sim_member_of(p, "partition", -1);
    first = sim_member_of(p, "first", -1);
    known = sim_member_of(p, "known", sim_member_of(p, "next", -1));
    timestamps = cJSON_GetObjectItem(p, "timestamps");

    if (partition < 0 || partition >= (int32_t) sim.partitions || first < 0
        || known < first || cJSON_GetArraySize(timestamps) != 2)
    {
        sim_wrong("a receipt that is not understood");
    }

    oldest = (int64_t) cJSON_GetArrayItem(timestamps, 0)->valuedouble;
    newest = (int64_t) cJSON_GetArrayItem(timestamps, 1)->valuedouble;

    /* requests may wait for records of a topic that is gone, too */

    for (k = 0; k < 2; k++) {
        log = k ? &sim.old[partition] : &sim.logs[partition];

        for (i = 0; i < log->n; i++) {
            r = &log->records[i];

            if (r->offset >= first && r->offset < known
                && r->timestamp >= oldest && r->timestamp <= newest)
            {
                sim_told(partition, r, sim_is_exception(p, r->offset));
            }
        }
    }
}


/*
 * What was committed may be gone again: by "offsets reset", or with a server
 * that comes back as it was before.
 */

static void
sim_told(int32_t partition, const sim_record_t *r, bool dead)
{
    if (dead ? !sim.was_dead[partition][r->offset] : !sim.was_row[r->id]) {
        sim_wrong("partition %d, offset %" PRId64 " is told as a %s, which "
                  "it is not", partition, r->offset, dead ? "dead letter"
                                                          : "row");
    }

    sim.told++;
}


static int64_t
sim_member_of(const cJSON *object, const char *name, int64_t fallback)
{
    const cJSON  *member;

    member = cJSON_GetObjectItem(object, name);

    return cJSON_IsNumber(member) ? (int64_t) member->valuedouble : fallback;
}


/* Nothing is filtered here and nothing comes twice: all are dead letters. */

static bool
sim_is_exception(const cJSON *p, int64_t offset)
{
    const cJSON  *e;

    cJSON_ArrayForEach(e, cJSON_GetObjectItem(p, "exceptions")) {
        if (sim_member_of(e, "offset", -1) == offset) {
            return true;
        }
    }

    return false;
}


void
sim_committed(const pg_t *pg)
{
    size_t  i;

    for (i = 0; i < pg->nrows; i++) {
        sim.was_row[pg->rows[i].id] = true;
    }

    for (i = 0; i < pg->ndead; i++) {
        sim.was_dead[pg->dead[i].partition][pg->dead[i].offset] = true;
    }
}


static void
sim_look_row(pg_t *pg, int row, int64_t partition, int64_t offset)
{
    char  text[32];

    static char  state[] = "23505", reason[] = "simulated";

    (void) snprintf(text, sizeof(text), "%" PRId64, partition);
    (void) PQsetvalue(pg->reply.rows, row, 0, text, (int) strlen(text));
    (void) snprintf(text, sizeof(text), "%" PRId64, offset);
    (void) PQsetvalue(pg->reply.rows, row, 1, text,
                      offset == -1 ? -1 : (int) strlen(text));
    (void) PQsetvalue(pg->reply.rows, row, 2, state, (int) strlen(state));
    (void) PQsetvalue(pg->reply.rows, row, 3, reason, (int) strlen(reason));
}


/* A row for each dead letter of a range that is as it is asked for, or one. */

void
sim_look(pg_t *pg)
{
    int                 len, partition, row, before;
    char                name[SIM_NAME];
    size_t              i, k;
    int64_t             first, next;
    const char         *p;
    PGresAttDesc        columns[4];
    const sim_row_t    *dead;
    const sim_range_t  *r;

    static char  column[] = "c";

    memset(columns, 0, sizeof(columns));

    for (i = 0; i < 4; i++) {
        columns[i].name = column;
    }

    pg->reply.rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    (void) PQsetResultAttrs(pg->reply.rows, 4, columns);
    (void) sim_name(sim_after(sim_after(pg->sql, "JOIN d"),
                              ",'t','"), "'", name);
    p = sim_after(pg->sql, "JOIN (VALUES ");
    row = 0;

    while (sscanf(p, "(%d,%" SCNd64 ",%" SCNd64 ")%n", &partition, &first,
                  &next, &len) == 3)
    {
        p += len + (p[len] == ',');

        for (i = 0; i < sim.db.nranges; i++) {
            r = &sim.db.ranges[i];

            if (r->partition != partition || r->gap || r->first != first
                || r->next != next || strcmp(name, sim.db.name) != 0)
            {
                continue;
            }

            for (k = 0, before = row; k < sim.db.ndead; k++) {
                dead = &sim.db.dead[k];

                if (dead->partition == partition && dead->offset >= first
                    && dead->offset < next)
                {
                    sim_look_row(pg, row++, partition, dead->offset);
                }
            }

            if (row - before != r->dead) {
                sim_wrong("the books count other dead letters");
            }

            if (row == before) {
                sim_look_row(pg, row++, partition, -1);
            }
        }
    }

    if (*p != ')') {
        sim_wrong("stretches that are not understood: %.60s", p);
    }

    sim_roll_back(pg);
}
