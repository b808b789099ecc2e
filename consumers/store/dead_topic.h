/* Dead letters into a topic, beside the table: acknowledged by all replicas. */

#ifndef SLUICE_DEAD_TOPIC_H
#define SLUICE_DEAD_TOPIC_H


#include <stdint.h>

#include "conf/conf.h"
#include "postgres/sqlstate.h"
#include "store/batch.h"


typedef struct dead_topic_s  dead_topic_t;


/*
 * SQLSTATE_OK: all are in the topic.  Else any of them may be.  Called from
 * dead_topic_send() or dead_topic_poll().
 */
typedef void (*dead_topic_done_pt)(void *data, const outcome_t *outcome);


/* Of "dead_letters.topic"; no broker is asked.  NULL when memory is short. */
dead_topic_t *dead_topic_create(const conf_t *conf);

/* NULL is fine. */
void dead_topic_destroy(dead_topic_t *topic);

/*
 * Produces the batch's dead letters; one batch a time, which must stay until
 * "done".  That is called in 10 s at the latest, as long as the topic is
 * polled.
 */
void dead_topic_send(dead_topic_t *topic, const batch_t *batch,
    dead_topic_done_pt done, void *data);

/* Readable when dead_topic_poll() has something to do. */
int dead_topic_fd(const dead_topic_t *topic);

/* To be called at least at dead_topic_deadline(); both ms, monotonic. */
void dead_topic_poll(dead_topic_t *topic, int64_t now);
int64_t dead_topic_deadline(const dead_topic_t *topic);    /* 0: none */


#endif
