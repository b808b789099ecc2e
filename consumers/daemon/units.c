/* The daemon's units that depend on the topics which it reads. */

#include "daemon/daemon_impl.h"


int
daemon_open(daemon_t *d)
{
    const conf_t  *conf;

    conf = d->conf;
    d->targets = targets_create(conf);
    d->offsets = offsets_create(conf, d->owner);

    if (d->targets == NULL || d->offsets == NULL) {
        return -1;
    }

    d->registry = targets_registry(d->targets);

    if (conf->dead_topic) {
        d->dead_topic = dead_topic_create(conf);
    }

    if (conf->trace_file) {
        d->trace = trace_create(conf);
    }

    /* who waits for a record waits for the group's own daemon */
    if (conf->receipts_topic && d->options.until == NULL) {
        d->receipts = receipts_create(conf, d->offsets);
    }

    d->sink = sink_create(conf, d->offsets, d->dead_topic, NULL);
    d->prune = prune_create(conf, d->offsets);
    d->unblock = unblock_create(conf, d->offsets, d->owner);

    return d->sink == NULL || d->prune == NULL || d->unblock == NULL
           || (conf->dead_topic && d->dead_topic == NULL)
           || (conf->trace_file && d->trace == NULL)
           || (conf->receipts_topic && d->options.until == NULL
               && d->receipts == NULL) ? -1 : 0;
}


void
daemon_close(daemon_t *d)
{
    unblock_destroy(d->unblock);
    sink_destroy(d->sink);
    dead_topic_destroy(d->dead_topic);
    receipts_destroy(d->receipts);
    trace_destroy(d->trace);
    prune_destroy(d->prune);
    offsets_destroy(d->offsets);
    targets_destroy(d->targets);

    d->unblock = NULL;
    d->sink = NULL;
    d->dead_topic = NULL;
    d->receipts = NULL;
    d->trace = NULL;
    d->prune = NULL;
    d->offsets = NULL;
    d->targets = NULL;
    d->registry = NULL;
}
