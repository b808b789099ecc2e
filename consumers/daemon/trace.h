/*
 * Writes a span of each committed batch that holds traced records, as
 * OpenTelemetry's file exporters do: a line of OTLP's JSON encoding each
 * (opentelemetry.io/docs/specs/otel/protocol/file-exporter).
 */

#ifndef SLUICE_TRACE_H
#define SLUICE_TRACE_H


#include <stdint.h>

#include "conf/conf.h"
#include "store/batch.h"


typedef struct trace_s  trace_t;


/* Returns NULL if memory is short.  The file is opened for the first span. */
trace_t *trace_create(const conf_t *conf);
void trace_destroy(trace_t *trace);

/*
 * Writes the span of a batch, with a link to each trace whose records it
 * holds, up to 128.  "start" and "end" in ms since 1970.  What cannot be
 * written is logged and dropped.
 */
void trace_batch(trace_t *trace, const batch_t *batch, int64_t start,
    int64_t end);


#endif
