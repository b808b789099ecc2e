/*
 * Clients' retries: asks which idempotency keys of a batch are known and adds
 * the others to sluice.seen.  seen.c says what an answer means.
 */

#include <string.h>

#include "base/log.h"
#include "postgres/ddl.h"
#include "store/sink_impl.h"


#define SINK_SEEN_TRIES  3    /* the first one may not have asked */


static sink_state_t sink_seen_failed(sink_t *sink, const pg_reply_t *reply,
    const char *what);


sink_state_t
sink_ask(sink_t *sink)
{
    int64_t  n;

    if (sink->end.commit || sink->conf->dedupe_header == NULL
        || sink->batch->retries == 0)
    {
        return SINK_STAGE;
    }

    batch_forget_duplicates(sink->batch);
    sink->seen.version_4 = offsets_version(sink->offsets) < DDL_ORDERED_KEYS;
    sink->seen.digests &= !sink->seen.version_4;
    n = seen_collect(&sink->seen, sink->batch);

    if (n == 0) {
        /* only records that cannot become rows have keys */
        return SINK_STAGE;
    }

    if (n == -1 || seen_query(&sink->seen, &sink->sql) == -1) {
        return sink_stop(sink, SQLSTATE_RETRY, SINK_MEMORY);
    }

    return sink_send(sink, false);
}


sink_state_t
sink_on_seen(sink_t *sink, const pg_reply_t *reply)
{
    seen_t  *seen;

    if (reply->lost || reply->sqlstate[0]) {
        return sink_seen_failed(sink, reply,
                                "could not look for idempotency keys");
    }

    if (reply->rows == NULL || PQntuples(reply->rows) == 0) {
        return sink_stop(sink, SQLSTATE_RETRY,
                         "the query for idempotency keys gave no row");
    }

    seen = &sink->seen;

    if (!seen_take(seen, sink->batch, reply->rows)) {
        return SINK_SEEN;
    }

    log_debug("batch: %zu of %zu idempotency keys are new, %zu rows are "
              "retries", seen->nnew, seen->nkeys, sink->batch->duplicates);

    /* in a transaction of its own: it holds no lock while others wait */

    if (seen->expired) {
        seen_delete_expired(seen, reply->rows, &sink->sql);
        buf_addf(&sink->sql, "COMMIT;");
        sink_open(sink);
    }

    if (seen->own) {
        seen_renew_own(seen, reply->rows, &sink->sql);
    }

    if (seen->nnew) {
        seen_copy(seen, &sink->sql);
    }

    return sink->sql.len ? SINK_KEYS : SINK_STAGE;
}


sink_state_t
sink_add_keys(sink_t *sink)
{
    return sink_send(sink, sink->seen.nnew != 0);
}


sink_state_t
sink_on_keys(sink_t *sink, const pg_reply_t *reply)
{
    if (reply->lost || reply->sqlstate[0]) {

        if (strcmp(reply->sqlstate, "23505") == 0 && !reply->lost
            && ++sink->seen_tries < SINK_SEEN_TRIES)
        {
            log_debug("batch: an idempotency key is known already");
            sink->seen.ask = SEEN_ASK;
            return SINK_BEGIN;
        }

        return sink_seen_failed(sink, reply, "could not add idempotency keys");
    }

    sink->seen.ask -= sink->seen.ask != 0;

    return SINK_STAGE;
}


/* No row is at fault here.  A tuple is refused where memory was short. */

static sink_state_t
sink_seen_failed(sink_t *sink, const pg_reply_t *reply, const char *what)
{
    outcome_t  outcome;

    sqlstate_outcome(&outcome, reply, what);

    if (outcome.action == SQLSTATE_ROW
        || outcome.action == SQLSTATE_ROW_LATER)
    {
        outcome.action = strncmp(reply->sqlstate, "22", 2) == 0
                         || strcmp(reply->sqlstate, "23505") == 0
                         ? SQLSTATE_RETRY : SQLSTATE_HOLD;
    }

    sink_blame(sink, reply, &outcome);

    return sink_stop(sink, outcome.action, outcome.reason);
}
