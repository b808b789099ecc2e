/* librdkafka properties the daemon owns. */

#include <stddef.h>
#include <string.h>

#include "conf/owned.h"


const conf_owned_t  conf_owned[] = {
    { "allow.auto.create.topics", "false",
      "a topic made by reading it has the wrong partitions" },
    { "auto.commit.enable", NULL, "offsets are kept in PostgreSQL" },
    { "auto.commit.interval.ms", NULL, "offsets are kept in PostgreSQL" },
    { "auto.offset.reset", "error",
      "use \"start\"; a lost range must hold, never jump" },
    { "enable.auto.commit", "false", "offsets are kept in PostgreSQL" },
    { "enable.auto.offset.store", "false", "offsets are kept in PostgreSQL" },
    { "enable.partition.eof", "true", "the daemon needs it for the lag" },
    { "go.*", NULL, "it belongs to another client" },
    { "group.id", NULL, "use \"group\"" },
    { "log.queue", "true", "the daemon takes the log in its own thread" },
    { "log.thread.name", NULL, "the daemon takes the log in its own thread" },
    { "offset.store.method", NULL, "offsets are kept in PostgreSQL" },
    { "partition.assignment.strategy", "range",
      "assignments are made once, with \"range\"" },
    { "plugin.library.paths", NULL, "no foreign code in the daemon" },
    { "queued.max.messages.kbytes", NULL,
      "the daemon bounds what is read ahead over all partitions" },
    { "queued.min.messages", NULL,
      "the daemon bounds what is read ahead over all partitions" },
    { "test.mock.*", NULL, "it is for librdkafka's own tests" },
    /* so that what comes under its name is compared with what was stored */
    { "topic.metadata.propagation.max.ms", "0",
      "a deleted topic must be told at once" },
    { "transactional.id", NULL, "the daemon needs no transaction of Kafka's" },
    { NULL, NULL, NULL }
};


const char *
conf_kafka_refusal(const char *name)
{
    size_t  i, len;

    for (i = 0; conf_owned[i].name; i++) {
        len = strlen(conf_owned[i].name);

        if (conf_owned[i].name[len - 1] == '*') {
            if (strncmp(name, conf_owned[i].name, len - 1) == 0) {
                return conf_owned[i].reason;
            }

        } else if (strcmp(name, conf_owned[i].name) == 0) {
            return conf_owned[i].reason;
        }
    }

    return NULL;
}
