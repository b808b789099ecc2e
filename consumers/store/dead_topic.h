/*
 * Produces dead letters to a topic, in addition to the table: all replicas
 * have them before the transaction commits.
 */

#ifndef SLUICE_DEAD_TOPIC_H
#define SLUICE_DEAD_TOPIC_H


#include <stdint.h>

#include "conf/conf.h"
#include "postgres/sqlstate.h"
#include "store/batch.h"


typedef struct dead_topic_s  dead_topic_t;


/*
 * For the topic "dead_letters.topic" of "conf", which must outlive it; no
 * broker is asked.  Returns NULL when memory is short.  Freed by
 * dead_topic_destroy(), which takes NULL.
 */
dead_topic_t *dead_topic_create(const conf_t *conf);
void dead_topic_destroy(dead_topic_t *topic);

/*
 * Produces the dead letters of one batch, which must stay until "done".  This
 * function or dead_topic_poll() calls "done", after 10 s at the latest.
 * SQLSTATE_OK: all of them are in the topic; else any of them may be.
 */
void dead_topic_send(dead_topic_t *topic, const batch_t *batch,
    outcome_pt done, void *data);

/* Readable when dead_topic_poll() has something to do. */
int dead_topic_fd(const dead_topic_t *topic);

/*
 * To be called when dead_topic_fd() is readable, and at dead_topic_deadline()
 * unless that is 0.  Both times are ms of the monotonic clock.
 */
void dead_topic_poll(dead_topic_t *topic, int64_t now);
int64_t dead_topic_deadline(const dead_topic_t *topic);


#endif
