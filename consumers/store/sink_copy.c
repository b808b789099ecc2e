/* The byte streams of the sink's COPYs, and what their errors say. */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/testpoint.h"
#include "base/text.h"
#include "row/copy.h"
#include "store/sink_impl.h"


#define SINK_YEAR_10000  253402300800000    /* ms since 1970 */


static int sink_tuple(sink_t *sink, const batch_row_t *row, buf_t *out);
static int sink_dead_letter(sink_t *sink, const batch_row_t *row);
static void sink_trim(buf_t *chunk);
static int sink_record(buf_t *out, const batch_t *batch,
    const batch_row_t *row);
static int sink_bytes(buf_t *out, const char *s, size_t len);


/* Lines lie one behind the other; rows found bad part them. */

size_t
sink_rows(void *data, const char **chunk)
{
    size_t              len;
    sink_t             *sink = data;
    const batch_t      *batch;
    const batch_row_t  *row;

    batch = sink->batch;
    len = 0;

    for ( /* void */ ; sink->row < sink->span.end; sink->row++) {
        row = &batch->rows[sink->row];

        if (row->text_len == 0) {
            continue;
        }

        if (!batch_is_stored(row, sink->span.target) || len >= SINK_CHUNK) {
            if (len) {
                break;
            }
            continue;
        }

        if (len == 0) {
            *chunk = batch->text.data + row->text;
        }

        len += row->text_len;
    }

    testpoint_copy(sink->row);

    return len;
}


size_t
sink_no_memory(sink_t *sink, const char **chunk)
{
    sink->no_memory = true;
    buf_free(&sink->chunk);
    *chunk = "out of memory\n";

    return strlen(*chunk);
}


/* The same as tuples of the binary format, behind its header. */

size_t
sink_binary_rows(void *data, const char **chunk)
{
    buf_t              *out;
    sink_t             *sink = data;
    const batch_t      *batch;
    const batch_row_t  *row;

    batch = sink->batch;
    out = &sink->chunk;
    out->len = 0;

    if (sink->row == sink->span.first) {
        buf_add(out, BINARY_HEADER, BINARY_HEADER_LEN);
    }

    while (sink->row < sink->span.end
           && (buf_failed(out) || out->len < SINK_CHUNK))
    {
        row = &batch->rows[sink->row++];

        if (!batch_is_stored(row, sink->span.target)) {
            continue;
        }

        if (buf_failed(out) || sink_tuple(sink, row, out) == -1) {
            return sink_no_memory(sink, chunk);
        }
    }

    testpoint_copy(sink->row);
    sink_trim(out);
    *chunk = out->data;

    return out->len;
}


static int
sink_tuple(sink_t *sink, const batch_row_t *row, buf_t *out)
{
    const char           *line;
    const sink_target_t  *target;

    target = &sink->targets[sink->span.target];
    line = sink->batch->text.data + row->text;

    if (!target->staged || sink->plain) {
        return binary_add(target->binary, line, row->text_len, out);
    }

    return binary_add_staged(target->binary, (int32_t) sink->row,
                             target->apply_delete.len ? &row->tombstone
                                                      : NULL,
                             line, row->text_len, out);
}


/* As lines for a temporary table, behind a row's place and its kind. */

size_t
sink_staged_rows(void *data, const char **chunk)
{
    bool                gone;
    buf_t              *out;
    sink_t             *sink = data;
    const batch_t      *batch;
    const batch_row_t  *row;

    batch = sink->batch;
    out = &sink->chunk;
    out->len = 0;
    gone = sink->targets[sink->span.target].apply_delete.len != 0;

    while (sink->row < sink->span.end && out->len < SINK_CHUNK) {
        row = &batch->rows[sink->row++];

        if (!batch_is_stored(row, sink->span.target)) {
            continue;
        }

        if (buf_reserve(out, 32 + row->text_len) == -1) {
            return sink_no_memory(sink, chunk);
        }

        out->len = (size_t) (text_put_int(out->data + out->len,
                                         (int64_t) sink->row)
                             - out->data);
        out->data[out->len++] = '\t';

        if (gone) {
            out->data[out->len++] = row->tombstone ? 't' : 'f';
            out->data[out->len++] = '\t';
        }

        memcpy(out->data + out->len, batch->text.data + row->text,
               row->text_len);
        out->len += row->text_len;
    }

    testpoint_copy(sink->row);
    sink_trim(out);
    *chunk = out->data;

    return out->len;
}


/* One huge record may have grown it far beyond its bound. */

static void
sink_trim(buf_t *chunk)
{
    if (chunk->size > 4 * 1024 * 1024 && chunk->len == 0) {
        buf_free(chunk);
    }
}


size_t
sink_dead_letters(void *data, const char **chunk)
{
    sink_t             *sink = data;
    const batch_row_t  *row;

    sink->chunk.len = 0;

    while (sink->row < sink->span.end && sink->chunk.len < SINK_CHUNK) {
        row = &sink->batch->rows[sink->row++];

        if (row->fault && sink_dead_letter(sink, row) == -1) {
            return sink_no_memory(sink, chunk);
        }
    }

    sink_trim(&sink->chunk);
    *chunk = sink->chunk.data;

    return sink->chunk.len;
}


static int
sink_bytes(buf_t *out, const char *s, size_t len)
{
    if (s == NULL) {
        buf_add(out, "\\N", 2);

    } else if (copy_add_bytea(out, s, len) == -1) {
        return -1;
    }

    buf_add(out, "\t", 1);

    return buf_failed(out) ? -1 : 0;
}


/* Key, headers and value. */

static int
sink_record(buf_t *out, const batch_t *batch, const batch_row_t *row)
{
    const char  *headers;

    headers = batch_headers(batch, row);

    if (buf_failed(out)
        || sink_bytes(out, batch_key(batch, row), row->key_len) == -1)
    {
        return -1;
    }

    if (headers) {
        if (copy_add_text(out, headers, row->headers_len) == -1) {
            return -1;
        }
        buf_add(out, "\t", 1);

    } else {
        buf_add(out, "\\N\t", 3);
    }

    return buf_failed(out)
           ? -1 : sink_bytes(out, batch_value(batch, row), row->value_len);
}


static int
sink_dead_letter(sink_t *sink, const batch_row_t *row)
{
    char                  date[CLOCK_PRINTED];
    buf_t                *out;
    const char           *table;
    const batch_t        *batch;
    const record_fault_t  *fault;

    batch = sink->batch;
    out = &sink->chunk;
    fault = &batch->faults[row->fault - 1];

    table = row->target < sink->ntargets
            ? sink->targets[row->target].conf->table : sink->conf->table;

    buf_add(out, sink->dead_key.data, sink->dead_key.len);

    if (buf_failed(out) || copy_add_text(out, table, strlen(table)) == -1) {
        return -1;
    }

    buf_addf(out, "\t%d\t%lld\t", batch->ranges[row->range].partition,
             (long long) row->offset);

    if (row->timestamp >= 0 && row->timestamp < SINK_YEAR_10000) {
        clock_print(date, row->timestamp, ' ');
        buf_addf(out, "%s+00\t", date);

    } else {
        buf_add(out, "\\N\t", 3);
    }

    if (sink->conf->dead_store == CONF_STORE_REASON) {
        buf_addf(out, "\\N\t\\N\t\\N\t");

    } else if (sink_record(out, batch, row) == -1) {
        return -1;
    }

    buf_addf(out, "%s\t", fault->sqlstate);

    if (buf_failed(out)
        || copy_add_text(out, fault->reason, strlen(fault->reason)) == -1)
    {
        return -1;
    }

    buf_addf(out, sink->conf->dead_store == CONF_STORE_REASON ? "\tt\n"
                                                              : "\n");

    return buf_failed(out) ? -1 : 0;
}


uint64_t
sink_context_line(const char *relation, const char *context, bool last)
{
    char        *end;
    size_t       len;
    uint64_t     line, found;
    const char  *p;

    len = strlen(relation);
    found = 0;

    for (p = context; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {

        if (strncmp(p, "COPY ", 5) != 0
            || strncmp(p + 5, relation, len) != 0
            || strncmp(p + 5 + len, ", line ", 7) != 0)
        {
            continue;
        }

        line = strtoull(p + 5 + len + 7, &end, 10);

        if (line == 0 || (*end != ',' && *end != ':'
                          && (!last || (*end != '\n' && *end != '\0'))))
        {
            continue;
        }

        if (found && found != line) {
            return 0;
        }

        found = line;
    }

    return found;
}


int
sink_window_add(sink_window_t *window, const batch_t *batch, double limit)
{
    size_t   i;
    uint8_t  bad;

    if (batch->dead == 0 && window->count == 0) {
        return 0;
    }

    for (i = 0; i < batch->nrows; i++) {
        bad = batch->rows[i].fault != 0;

        window->count += bad;
        window->count -= window->bad[window->next];
        window->bad[window->next] = bad;
        window->next = (window->next + 1) % SINK_WINDOW;

        if (bad && (double) window->count > limit * SINK_WINDOW) {
            return -1;
        }
    }

    return 0;
}
