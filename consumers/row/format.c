/* Parses a record's value, or its CloudEvent, as one JSON document. */

#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "base/text.h"
#include "record/headers.h"
#include "row/format.h"
#include "row/row.h"
#include "row/text.h"


static int row_parse(row_ctx_t *ctx, row_format_t *format, const char *s,
    size_t len);
static int row_parse_cleaned(row_ctx_t *ctx, row_format_t *format,
    const char *s, size_t len, json_error_t *err);
static int row_event(row_ctx_t *ctx, row_format_t *format);
static int row_event_binary(row_ctx_t *ctx, row_format_t *format);
static int row_event_attributes(row_ctx_t *ctx, buf_t *out);
static size_t row_event_data(const record_t *record, buf_t *out);
static void row_event_base64(buf_t *out, const char *s, size_t len);
static void row_event_member(buf_t *out, const char *name, const char *value,
    size_t len);
static bool row_event_is_whole(const json_doc_t *doc, size_t data);
static int row_event_check(row_ctx_t *ctx, const row_format_t *format,
    const row_paths_t *paths);
static bool row_media_type(const record_header_t *header, const char *type);


/* CloudEvents 1.0.2, section 2.4, "Required attributes". */
static const char *const  row_event_names[] = {
    "specversion", "id", "source", "type"
};


int
row_format_init(row_format_t *format, conf_format_t which,
    row_paths_t *paths)
{
    size_t  i;

    format->format = which;
    format->change.envelope = JSON_NONE;
    format->change.schema = JSON_NONE;

    for (i = 0; which == CONF_FORMAT_CLOUDEVENTS && i < 4; i++) {
        format->event[i] = row_path_add_name(paths, row_event_names[i]);
        if (format->event[i] == JSON_NONE) {
            return -1;
        }
    }

    return 0;
}


void
row_format_free(row_format_t *format)
{
    buf_free(&format->text);
    buf_free(&format->cleaned);
}


int
row_document(row_ctx_t *ctx, row_format_t *format, row_paths_t *paths)
{
    int         rc;
    const bool  event = format->format == CONF_FORMAT_CLOUDEVENTS;
    const bool  change = format->format == CONF_FORMAT_DEBEZIUM;

    if (change && ctx->record->value == NULL) {
        return ROW_FILTERED;
    }

    rc = event ? row_event(ctx, format)
               : row_parse(ctx, format, ctx->record->value,
                           ctx->record->value_len);
    if (rc != 0) {
        return rc;
    }

    if (change) {
        change_find(&ctx->doc, &format->change);
        row_paths_resolve_change(paths, &ctx->doc, format->change.row,
                                 format->change.envelope);
        return 0;
    }

    row_paths_resolve(paths, &ctx->doc, 0);

    return event ? row_event_check(ctx, format, paths) : 0;
}


static int
row_parse(row_ctx_t *ctx, row_format_t *format, const char *s, size_t len)
{
    json_error_t  err;

    if (s == NULL) {
        return row_fault(ctx, NULL, "22004", "the value is null");
    }

    if (json_parse(&ctx->doc, s, len, &err) == 0
        || row_parse_cleaned(ctx, format, s, len, &err) == 0)
    {
        return 0;
    }

    return err.reason == json_no_memory
           ? -1 : row_fault(ctx, NULL, "22032",
                            err.limit
                            ? "the value is beyond the limits for JSON: %s at "
                              "byte %zu"
                            : "the value is not JSON: %s at byte %zu",
                            err.reason, err.offset);
}


/*
 * Parses a copy whose strings have no zero bytes, neither raw nor as \u0000,
 * if "nul" allows that.  Where it does not, or where the value has none, "err"
 * stays as it is.
 */

static int
row_parse_cleaned(row_ctx_t *ctx, row_format_t *format, const char *s,
    size_t len, json_error_t *err)
{
    bool     string;
    char    *p;
    size_t   i, n, found;

    if (ctx->nul == CONF_NUL_REJECT || err->reason == json_no_memory) {
        return -1;
    }

    format->cleaned.len = 0;

    if (buf_reserve(&format->cleaned, len * 3 + 1) == -1) {
        err->reason = json_no_memory;
        return -1;
    }

    p = format->cleaned.data;
    string = false;
    found = 0;

    for (i = 0; i < len; i += n) {
        n = 1;

        if (string && s[i] == '\\') {
            n = i + 1 < len ? 2 : 1;
            if (len - i >= 6 && memcmp(s + i, "\\u0000", 6) == 0) {
                n = 6;
            }
        }

        if (string && (n == 6 || s[i] == '\0')) {
            found++;
            if (ctx->nul == CONF_NUL_REPLACE) {
                memcpy(p, ROW_REPLACEMENT, 3);
                p += 3;
            }
            continue;
        }

        string ^= s[i] == '"';
        memcpy(p, s + i, n);
        p += n;
    }

    return found == 0 ? -1
           : json_parse(&ctx->doc, format->cleaned.data,
                        (size_t) (p - format->cleaned.data), err);
}


/* Kafka protocol binding for CloudEvents 1.0.2, section 3. */

static int
row_event(row_ctx_t *ctx, row_format_t *format)
{
    const record_t         *record = ctx->record;
    const record_header_t  *type;

    type = headers_find(record, "content-type");

    if (row_media_type(type, "application/cloudevents")) {

        if (!row_media_type(type, "application/cloudevents+json")) {
            return row_fault(ctx, NULL, "22023", "the event is in a format "
                             "other than JSON");
        }

    } else if (headers_find(record, "ce_specversion")) {
        return row_event_binary(ctx, format);
    }

    return row_parse(ctx, format, record->value, record->value_len);
}


/* Whether a content type begins with "type", or ends with "+..." or "/...". */

static bool
row_media_type(const record_header_t *header, const char *type)
{
    size_t  len, n;

    if (header == NULL || header->value == NULL) {
        return false;
    }

    for (len = 0; len < header->len; len++) {
        if (header->value[len] == ';' || header->value[len] == ' ') {
            break;
        }
    }

    n = strlen(type);

    if (type[0] == '+' || type[0] == '/') {
        return len > n
               && strncasecmp(header->value + len - n, type, n) == 0;
    }

    return len >= n && strncasecmp(header->value, type, n) == 0;
}


/*
 * The binary mode, attributes in headers: the event is written as the JSON
 * format would hold it, so that one path fits both modes.
 */

static int
row_event_binary(row_ctx_t *ctx, row_format_t *format)
{
    int      rc;
    buf_t   *out = &format->text;
    size_t   data;

    out->len = 0;
    buf_add(out, "{", 1);

    if (row_event_attributes(ctx, out) == 1) {
        return 1;
    }

    data = row_event_data(ctx->record, out);
    buf_add(out, "}", 1);

    if (buf_failed(out)) {
        buf_free(out);
        return -1;
    }

    rc = row_parse(ctx, format, out->data, out->len);

    return rc != 0 || data == 0 || row_event_is_whole(&ctx->doc, data)
           ? rc : row_fault(ctx, NULL, "22032",
                            "the event's data is not JSON");
}


static int
row_event_attributes(row_ctx_t *ctx, buf_t *out)
{
    size_t                  i;
    const char             *name;
    const record_header_t  *h;

    for (i = 0; i < ctx->record->nheaders; i++) {
        h = &ctx->record->header[i];
        name = strcmp(h->name, "content-type") == 0 ? "datacontenttype"
               : strncmp(h->name, "ce_", 3) == 0 ? h->name + 3 : NULL;

        if (name == NULL || h->value == NULL) {
            continue;
        }

        if (!text_is_utf8(h->value, h->len)
            || !text_is_utf8(name, strlen(name)))
        {
            return row_fault(ctx, NULL, "22021", "an attribute of the event "
                             "is not UTF-8 text");
        }

        row_event_member(out, name, h->value, h->len);
    }

    return 0;
}


static void
row_event_member(buf_t *out, const char *name, const char *value, size_t len)
{
    buf_add(out, out->len == 1 ? "\"" : ",\"", out->len == 1 ? 1 : 2);
    text_add_json(out, name, strlen(name));
    buf_add(out, "\":\"", 3);
    text_add_json(out, value, len);
    buf_add(out, "\"", 1);
}


/* Appends the data.  Returns where JSON data begins in "out", or 0. */

static size_t
row_event_data(const record_t *record, buf_t *out)
{
    size_t                  data;
    const record_header_t  *type;

    type = headers_find(record, "content-type");

    if (record->value == NULL) {
        return 0;
    }

    if (type == NULL || row_media_type(type, "/json")
        || row_media_type(type, "+json"))
    {
        buf_add(out, ",\"data\":", 8);
        data = out->len;
        buf_add(out, record->value, record->value_len);
        return data;
    }

    if (row_media_type(type, "text/")
        && text_is_utf8(record->value, record->value_len))
    {
        row_event_member(out, "data", record->value, record->value_len);

    } else {
        row_event_base64(out, record->value, record->value_len);
    }

    return 0;
}


static void
row_event_base64(buf_t *out, const char *s, size_t len)
{
    int            n;
    size_t         i;
    unsigned char  chunk[65];

    buf_add(out, ",\"data_base64\":\"", 16);

    for (i = 0; i < len; i += 48) {
        n = EVP_EncodeBlock(chunk, (const unsigned char *) s + i,
                            len - i < 48 ? (int) (len - i) : 48);
        buf_add(out, (const char *) chunk, (size_t) n);
    }

    buf_add(out, "\"", 1);
}


/* Whether the data is one value, without members of an event behind it. */

static bool
row_event_is_whole(const json_doc_t *doc, size_t data)
{
    size_t    i;
    uint32_t  last, token;

    last = 0;

    for (token = 1; token < doc->count; token = doc->tokens[token + 1].next) {
        last = token + 1;
    }

    if (doc->tokens[last].start < data) {
        return false;
    }

    for (i = data; i < doc->tokens[last].start; i++) {
        if (strchr(" \t\r\n\"", doc->text[i]) == NULL) {
            return false;
        }
    }

    return true;
}


static int
row_event_check(row_ctx_t *ctx, const row_format_t *format,
    const row_paths_t *paths)
{
    size_t               i;
    uint32_t             token;
    const json_token_t  *t;

    for (i = 0; i < 4; i++) {
        token = paths->found[format->event[i]];
        t = token == JSON_NONE ? NULL : &ctx->doc.tokens[token];

        if (t == NULL || t->type != JSON_STRING || t->start == t->end) {
            return row_fault(ctx, NULL, "22023", "no CloudEvent: attribute "
                             "\"%s\" is missing", row_event_names[i]);
        }
    }

    t = &ctx->doc.tokens[paths->found[format->event[0]]];

    return ctx->doc.text[t->start] == '1'
           ? 0 : row_fault(ctx, NULL, "22023", "the CloudEvent is of another "
                           "specversion than 1.0");
}


int
row_change(row_ctx_t *ctx, const row_format_t *format, bool deletes,
    conf_mode_t mode)
{
    switch (format->change.kind) {

    case CHANGE_TRUNCATE:
        return row_fault(ctx, NULL, "0A000", "the change empties the table, "
                         "which has no place in the order of its rows' "
                         "changes");

    case CHANGE_UNKNOWN:
        return row_fault(ctx, NULL, "22023", "the change's \"op\" is not "
                         "known");

    case CHANGE_MESSAGE:
        return ROW_FILTERED;

    case CHANGE_DELETE:
        deletes = true;
        break;

    default:
        break;
    }

    return !deletes || mode == CONF_MODE_APPEND ? 0
           : mode == CONF_MODE_UPSERT_DELETE ? ROW_DELETES : ROW_FILTERED;
}
