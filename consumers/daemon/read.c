/* Reads records from the source into the batch that is being filled. */

#include "base/log.h"
#include "daemon/daemon_impl.h"
#include "kafka/message.h"


#define DAEMON_READ   512    /* records between two looks at everything else */
#define DAEMON_WAITS  1


static int daemon_take(daemon_t *d, const rd_kafka_message_t *rkm,
    source_partition_t *p, int64_t now);


bool
daemon_can_read(const daemon_t *d)
{
    return d->claimed && !d->stopping && batch_has_room(d->filling)
           && (d->registry == NULL || !registry_waits(d->registry))
           && source_status(d->source)->generation == d->generation
           && !source_status(d->source)->reassign
           && !source_status(d->source)->recheck
           && source_status(d->source)->fault[0] == '\0';
}


void
daemon_refill(daemon_t *d, uint64_t generation)
{
    batch_reset(d->filling, generation);

    if (d->waiting) {
        rd_kafka_message_destroy(d->waiting);
        registry_forget(d->registry);
        d->waiting = NULL;
    }
}


void
daemon_read(daemon_t *d, int64_t now)
{
    int                  left, rc;
    source_partition_t  *p;
    rd_kafka_message_t  *rkm;

    for (left = DAEMON_READ; left && daemon_can_read(d); left--) {

        p = d->waiting_in;
        rkm = d->waiting ? d->waiting : source_next(d->source, &p);
        if (rkm == NULL) {
            return;
        }

        rc = daemon_take(d, rkm, p, now);

        if (rc == DAEMON_WAITS) {
            d->waiting = rkm;
            d->waiting_in = p;
            return;
        }

        d->waiting = NULL;
        rd_kafka_message_destroy(rkm);

        if (rc == -1) {
            /* the next claim reads them again */
            log_limited(&d->memory, "out of memory");
            source_status(d->source)->reassign = true;
            return;
        }
    }
}


/* Returns DAEMON_WAITS where a schema of the record has to be asked for. */

static int
daemon_take(daemon_t *d, const rd_kafka_message_t *rkm,
    source_partition_t *p, int64_t now)
{
    batch_t   *batch;
    record_t   record;

    batch = d->filling;

    if (d->options.until
        && (p->id >= d->options.nuntil
            || rkm->offset >= d->options.until[p->id]))
    {
        p->past = true;
        return 0;
    }

    if (message_record(rkm, &d->headers, &record) == -1) {
        return -1;
    }

    if (d->registry && !registry_ready(d->registry, &record)) {
        return DAEMON_WAITS;
    }

    if (p->range == -1) {
        p->range = batch_topic_range(batch, p->topic, p->id, p->expected,
                                     p->epoch, p->run);
    }

    if (p->range == -1) {
        return -1;
    }

    if (targets_add(d->targets, batch, (unsigned) p->range, &record) == -1) {
        return -1;
    }

    if (batch_records(batch) == 1) {
        batch->first = now;
    }

    p->expected = record.offset + 1;

    return 0;
}
