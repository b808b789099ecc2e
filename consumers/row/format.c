/* A record's value, or its event, as one JSON document. */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "record/headers.h"
#include "row/row_impl.h"


#define ROW_REPLACEMENT  "\xef\xbf\xbd"    /* U+FFFD */


static int row_parse(row_plan_t *plan, const char *s, size_t len,
    record_fault_t *fault);
static int row_clean_json(row_plan_t *plan, const char *s, size_t len);
static int row_event(row_plan_t *plan, const record_t *record,
    record_fault_t *fault);
static int row_event_binary(row_plan_t *plan, const record_t *record,
    record_fault_t *fault);
static int row_event_attributes(const record_t *record, buf_t *out,
    record_fault_t *fault);
static size_t row_event_data(const record_t *record, buf_t *out);
static bool row_event_is_whole(const json_doc_t *doc, size_t data);
static int row_event_check(row_plan_t *plan, record_fault_t *fault);
static void row_event_member(buf_t *out, const char *name, const char *value,
    size_t len);
static void row_event_base64(buf_t *out, const char *s, size_t len);
static bool row_media_type(const record_header_t *header, const char *type);


/* CloudEvents 1.0.2, section 2.4, "Required attributes". */
static const char *const  row_event_names[] = {
    "specversion", "id", "source", "type"
};


int
row_format_ready(row_plan_t *plan)
{
    size_t  i;

    if (plan->spec.format != CONF_FORMAT_CLOUDEVENTS) {
        return 0;
    }

    plan->parse = true;

    for (i = 0; i < 4; i++) {
        plan->event[i] = row_path_add_name(plan, row_event_names[i]);
        if (plan->event[i] == JSON_NONE) {
            return -1;
        }
    }

    return 0;
}


int
row_document(row_plan_t *plan, const record_t *record,
    record_fault_t *fault)
{
    int  rc;

    if (plan->spec.format == CONF_FORMAT_CLOUDEVENTS) {
        rc = row_event(plan, record, fault);

    } else if (record->value == NULL) {
        return row_fault(fault, "22004", NULL, "the value is null");

    } else {
        rc = row_parse(plan, record->value, record->value_len, fault);
    }

    if (rc != 0) {
        return rc;
    }

    row_path_resolve(plan);

    return plan->spec.format == CONF_FORMAT_CLOUDEVENTS
           ? row_event_check(plan, fault) : 0;
}


static int
row_parse(row_plan_t *plan, const char *s, size_t len, record_fault_t *fault)
{
    int           rc;
    json_error_t  err;

    rc = json_parse(&plan->doc, s, len, &err);

    if (rc == -1 && plan->spec.nul != CONF_NUL_REJECT
        && err.reason != json_no_memory)
    {
        rc = row_clean_json(plan, s, len);
        if (rc == -1) {
            return -1;
        }
        rc = rc == 0 ? -1 : json_parse(&plan->doc, plan->cleaned.data,
                                       plan->cleaned.len, &err);
    }

    if (rc == 0) {
        return 0;
    }

    if (err.reason == json_no_memory) {
        return -1;
    }

    snprintf(fault->sqlstate, sizeof(fault->sqlstate), "22032");
    snprintf(fault->reason, RECORD_REASON,
             "the value is not JSON: %s at byte %zu", err.reason, err.offset);

    return 1;
}


/*
 * A copy whose strings have neither zero bytes nor \u0000.  Returns 1, 0
 * where there are none, -1 when memory is short.
 */

static int
row_clean_json(row_plan_t *plan, const char *s, size_t len)
{
    bool         string;
    char        *p;
    size_t       i, n, found;
    const bool   replace = plan->spec.nul == CONF_NUL_REPLACE;

    plan->cleaned.len = 0;

    if (buf_reserve(&plan->cleaned, len * 3 + 1) == -1) {
        return -1;
    }

    p = plan->cleaned.data;
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
            if (replace) {
                memcpy(p, ROW_REPLACEMENT, 3);
                p += 3;
            }
            continue;
        }

        string ^= s[i] == '"';
        memcpy(p, s + i, n);
        p += n;
    }

    plan->cleaned.len = (size_t) (p - plan->cleaned.data);

    return found != 0;
}


int
row_clean(row_plan_t *plan, const char **s, size_t *len)
{
    size_t   i;
    buf_t   *out;

    if (*len == 0 || memchr(*s, '\0', *len) == NULL) {
        return 0;
    }

    if (plan->spec.nul == CONF_NUL_REJECT) {
        return 1;
    }

    out = &plan->clean_text;
    out->len = 0;

    if (buf_reserve(out, *len * 3 + 1) == -1) {
        return -1;
    }

    for (i = 0; i < *len; i++) {
        if ((*s)[i]) {
            out->data[out->len++] = (*s)[i];

        } else if (plan->spec.nul == CONF_NUL_REPLACE) {
            memcpy(out->data + out->len, ROW_REPLACEMENT, 3);
            out->len += 3;
        }
    }

    *s = out->data;
    *len = out->len;

    return 0;
}


bool
row_is_text(row_plan_t *plan, const char *s, size_t len)
{
    return row_clean(plan, &s, &len) == 0 && text_is_utf8(s, len);
}


/* Whether a content type is "type", or of a structured "+json" kind. */

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

    /* "+json" and "/json" end a type, the others are whole */

    if (type[0] == '+' || type[0] == '/') {
        return len > n
               && strncasecmp(header->value + len - n, type, n) == 0;
    }

    return len >= n && strncasecmp(header->value, type, n) == 0;
}


/* Kafka protocol binding for CloudEvents 1.0.2, section 3. */

static int
row_event(row_plan_t *plan, const record_t *record,
    record_fault_t *fault)
{
    const record_header_t  *type;

    type = headers_find(record, "content-type");

    if (row_media_type(type, "application/cloudevents")) {

        if (!row_media_type(type, "application/cloudevents+json")) {
            return row_fault(fault, "22023", NULL, "the event is in a format "
                             "other than JSON");
        }

    } else if (headers_find(record, "ce_specversion")) {
        return row_event_binary(plan, record, fault);
    }

    if (record->value == NULL) {
        return row_fault(fault, "22004", NULL, "the value is null");
    }

    return row_parse(plan, record->value, record->value_len, fault);
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


static void
row_event_base64(buf_t *out, const char *s, size_t len)
{
    char           four[4];
    size_t         i, n;
    uint32_t       bits;
    unsigned char  c;

    static const char  digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789+/";

    for (i = 0; i < len; i += 3) {
        for (bits = 0, n = 0; n < 3; n++) {
            c = i + n < len ? (unsigned char) s[i + n] : 0;
            bits = bits << 8 | c;
        }

        four[0] = digits[bits >> 18];
        four[1] = digits[bits >> 12 & 63];
        four[2] = i + 1 < len ? digits[bits >> 6 & 63] : '=';
        four[3] = i + 2 < len ? digits[bits & 63] : '=';
        buf_add(out, four, 4);
    }
}


/* The same event as the JSON format would hold it, so that paths fit both. */

static int
row_event_binary(row_plan_t *plan, const record_t *record,
    record_fault_t *fault)
{
    int      rc;
    buf_t   *out;
    size_t   data;

    out = &plan->event_text;
    out->len = 0;
    buf_add(out, "{", 1);

    if (row_event_attributes(record, out, fault) == 1) {
        return 1;
    }

    data = row_event_data(record, out);
    buf_add(out, "}", 1);

    if (buf_failed(out)) {
        memset(out, 0, sizeof(buf_t));
        return -1;
    }

    rc = row_parse(plan, out->data, out->len, fault);

    if (rc != 0 || data == 0) {
        return rc;
    }

    return row_event_is_whole(&plan->doc, data)
           ? 0 : row_fault(fault, "22032", NULL,
                           "the event's data is not JSON");
}


static int
row_event_attributes(const record_t *record, buf_t *out,
    record_fault_t *fault)
{
    size_t                 i;
    const char            *name;
    const record_header_t  *h;

    for (i = 0; i < record->nheaders; i++) {
        h = &record->header[i];
        name = strcmp(h->name, "content-type") == 0 ? "datacontenttype"
               : strncmp(h->name, "ce_", 3) == 0 ? h->name + 3 : NULL;

        if (name == NULL || h->value == NULL) {
            continue;
        }

        if (!text_is_utf8(h->value, h->len)
            || !text_is_utf8(name, strlen(name)))
        {
            return row_fault(fault, "22021", NULL, "an attribute of the "
                             "event is not UTF-8 text");
        }

        row_event_member(out, name, h->value, h->len);
    }

    return 0;
}


/* Where JSON data begins in "out"; 0: there is none that is JSON. */

static size_t
row_event_data(const record_t *record, buf_t *out)
{
    size_t                 data;
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
        return 0;
    }

    buf_add(out, ",\"data_base64\":\"", 16);
    row_event_base64(out, record->value, record->value_len);
    buf_add(out, "\"", 1);

    return 0;
}


/* The data has to be one value, not one and the members behind it. */

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
row_event_check(row_plan_t *plan, record_fault_t *fault)
{
    char                 what[96];
    size_t               i;
    uint32_t             token;
    const json_token_t  *t;

    for (i = 0; i < 4; i++) {
        token = plan->found[plan->event[i]];
        t = token == JSON_NONE ? NULL : &plan->doc.tokens[token];

        if (t == NULL || t->type != JSON_STRING || t->start == t->end) {
            snprintf(what, sizeof(what), "no CloudEvent: attribute \"%s\" is "
                     "missing", row_event_names[i]);
            return row_fault(fault, "22023", NULL, what);
        }
    }

    token = plan->found[plan->event[0]];

    if (plan->doc.text[plan->doc.tokens[token].start] != '1') {
        return row_fault(fault, "22023", NULL, "the CloudEvent is of another "
                         "specversion than 1.0");
    }

    return 0;
}
