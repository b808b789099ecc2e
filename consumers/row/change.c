/*
 * A change of a row as Debezium writes it: where its row is, what its schema
 * says of the row's columns, and which values are none.
 */

#include <openssl/evp.h>

#include "base/text.h"
#include "row/change.h"
#include "row/form.h"


static change_kind_t change_kind(const json_doc_t *doc, uint32_t op);
static uint32_t change_field(const json_doc_t *doc, uint32_t schema,
    const char *name, size_t len);
static int change_uuid(buf_t *uuid, const char *text, size_t len);
static bool change_is_text(const change_unavailable_t *unavailable,
    const json_doc_t *doc, const row_column_t *column, uint32_t token);
static bool change_is_bytes(const change_unavailable_t *unavailable,
    const json_doc_t *doc, uint32_t array);


static bool
change_type(const json_doc_t *doc, uint32_t token, json_type_t type)
{
    return token != JSON_NONE && doc->tokens[token].type == type;
}


uint32_t
change_payload(const json_doc_t *doc, uint32_t *schema)
{
    uint32_t  payload, end;

    payload = json_member(doc, 0, "payload", 7);
    *schema = json_member(doc, 0, "schema", 6);

    /* they are alone: the names, and the values behind them */

    if (payload == JSON_NONE || *schema == JSON_NONE) {
        *schema = JSON_NONE;
        return 0;
    }

    end = doc->tokens[1 + 1].next;

    if (doc->tokens[end + 1].next != doc->tokens[0].next
        || doc->tokens[*schema].type == JSON_STRING)
    {
        *schema = JSON_NONE;
        return 0;
    }

    return payload;
}


void
change_find(const json_doc_t *doc, change_t *change)
{
    uint32_t     op, before, after;
    const char  *name;

    change->kind = CHANGE_ROW;
    change->row = change_payload(doc, &change->schema);
    change->envelope = JSON_NONE;

    op = json_member(doc, change->row, "op", 2);

    if (!change_type(doc, op, JSON_STRING)
        || !change_type(doc, json_member(doc, change->row, "source", 6),
                        JSON_OBJECT))
    {
        /* a row, alone */
        return;
    }

    change->kind = change_kind(doc, op);
    change->envelope = change->row;
    before = json_member(doc, change->row, "before", 6);
    after = json_member(doc, change->row, "after", 5);

    if (change->kind == CHANGE_DELETE) {
        name = "before";
        change->row = before;

    } else {
        name = "after";
        change->row = after;
    }

    change->schema = change_field(doc, change->schema, name, strlen(name));

    if (change->row != JSON_NONE
        && doc->tokens[change->row].type == JSON_NULL)
    {
        change->row = JSON_NONE;
    }
}


static change_kind_t
change_kind(const json_doc_t *doc, uint32_t op)
{
    const json_token_t  *t = &doc->tokens[op];

    if (t->end - t->start != 1) {
        return CHANGE_UNKNOWN;
    }

    switch (doc->text[t->start]) {

    case 'c':
        return CHANGE_NEW;

    case 'r':
    case 'u':
        return CHANGE_ROW;

    case 'd':
        return CHANGE_DELETE;

    case 't':
        return CHANGE_TRUNCATE;

    case 'm':
        return CHANGE_MESSAGE;

    default:
        return CHANGE_UNKNOWN;
    }
}


/* The schema of a struct's field. */

static uint32_t
change_field(const json_doc_t *doc, uint32_t schema, const char *name,
    size_t len)
{
    uint32_t  fields, i, field;

    fields = json_member(doc, schema, "fields", 6);

    if (!change_type(doc, fields, JSON_ARRAY)) {
        return JSON_NONE;
    }

    for (i = fields + 1; i < doc->tokens[fields].next;
         i = doc->tokens[i].next)
    {
        field = json_member(doc, i, "field", 5);

        if (change_type(doc, field, JSON_STRING)
            && json_equals(doc, field, name, len))
        {
            return i;
        }
    }

    return JSON_NONE;
}


static uint32_t
change_path(const json_doc_t *doc, uint32_t schema,
    const json_pointer_t *pointer)
{
    size_t       len;
    uint32_t     i, index;
    const char  *name;

    for (i = 0; i < json_pointer_count(pointer) && schema != JSON_NONE; i++) {
        name = json_pointer_ref(pointer, i, &len, &index);
        schema = change_field(doc, schema, name, len);
    }

    return schema;
}


int
change_forms(change_schema_t *known, row_column_t *columns, size_t n,
    conf_from_t from, const json_doc_t *doc, uint32_t schema)
{
    size_t                i, len;
    const char           *text;
    const conf_column_t  *cc;

    text = schema == JSON_NONE ? ""
                               : doc->text + doc->tokens[schema].start;
    len = schema == JSON_NONE
          ? 0 : doc->tokens[schema].end - doc->tokens[schema].start;

    if (known->known && known->text.len == len
        && (len == 0 || memcmp(known->text.data, text, len) == 0))
    {
        return 0;
    }

    known->known = false;
    known->text.len = 0;

    if (buf_append(&known->text, text, len) == -1) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        cc = columns[i].conf;

        if (cc->from == from) {
            row_form_name(&columns[i], doc,
                          change_path(doc, schema,
                                      from == CONF_FROM_PATH ? cc->pointer
                                                             : cc->key));
        }
    }

    known->known = true;

    return 0;
}


int
change_unavailable_init(change_unavailable_t *unavailable, const char *text)
{
    int     n;
    size_t  len;

    if (text == NULL) {
        return 0;
    }

    len = strlen(text);
    unavailable->text = text;
    unavailable->len = len;

    if (buf_reserve(&unavailable->base64, len / 3 * 4 + 5) == -1
        || buf_reserve(&unavailable->hex, len * 2 + 1) == -1)
    {
        return -1;
    }

    n = EVP_EncodeBlock((unsigned char *) unavailable->base64.data,
                        (const unsigned char *) text, (int) len);
    unavailable->base64.len = (size_t) n;

    (void) text_put_hex(unavailable->hex.data, text, len);
    unavailable->hex.len = len * 2;

    buf_add(&unavailable->json, "{\"", 2);
    text_add_json(&unavailable->json, text, len);
    buf_add(&unavailable->json, "\":\"", 3);
    text_add_json(&unavailable->json, text, len);
    buf_add(&unavailable->json, "\"}", 2);

    return buf_failed(&unavailable->json)
           || change_uuid(&unavailable->uuid, text, len) == -1 ? -1 : 0;
}


/* RFC 9562, section 5.3: a UUID of version 3, of the text alone. */

static int
change_uuid(buf_t *uuid, const char *text, size_t len)
{
    char           digits[32];
    size_t         i;
    unsigned char  digest[EVP_MAX_MD_SIZE];

    if (EVP_Digest(text, len, digest, NULL, EVP_md5(), NULL) != 1) {
        /* a system that has no MD5 */
        return 0;
    }

    digest[6] = (unsigned char) ((digest[6] & 0x0f) | 0x30);
    digest[8] = (unsigned char) ((digest[8] & 0x3f) | 0x80);
    (void) text_put_hex(digits, digest, 16);

    for (i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            buf_add(uuid, "-", 1);
        }
        buf_add(uuid, &digits[i], 1);
    }

    return buf_failed(uuid) ? -1 : 0;
}


void
change_unavailable_free(change_unavailable_t *unavailable)
{
    buf_free(&unavailable->base64);
    buf_free(&unavailable->hex);
    buf_free(&unavailable->json);
    buf_free(&unavailable->uuid);
}


/*
 * A string, or its bytes; an array with such a string or of the bytes' numbers;
 * an object with it as name and value.
 */

bool
change_is_unavailable(const change_unavailable_t *unavailable,
    const json_doc_t *doc, const row_column_t *column, uint32_t token)
{
    const json_token_t  *t = &doc->tokens[token];

    switch (unavailable->text ? t->type : JSON_NULL) {

    case JSON_STRING:
        return change_is_text(unavailable, doc, column, token);

    case JSON_ARRAY:
        return t->next > token + 1 && change_type(doc, token + 1, JSON_STRING)
               ? t->next == token + 2
                 && change_is_unavailable(unavailable, doc, column, token + 1)
               : change_is_bytes(unavailable, doc, token);

    case JSON_OBJECT:
        return t->next == token + 3
               && json_equals(doc, token + 1, unavailable->text,
                              unavailable->len)
               && change_type(doc, token + 2, JSON_STRING)
               && json_equals(doc, token + 2, unavailable->text,
                              unavailable->len);

    default:
        return false;
    }
}


static bool
change_is_text(const change_unavailable_t *unavailable, const json_doc_t *doc,
    const row_column_t *column, uint32_t token)
{
    bool                 bytes;
    size_t               len;
    const json_token_t  *t = &doc->tokens[token];

    len = t->end - t->start;
    bytes = column->kind == TYPE_BYTEA || column->element == TYPE_BYTEA;

    return t->escaped
           ? json_equals(doc, token, unavailable->text, unavailable->len)
             || json_equals(doc, token, unavailable->json.data,
                            unavailable->json.len)
           : (len == unavailable->len
              && json_equals(doc, token, unavailable->text, len))
             || (bytes && len == unavailable->base64.len
                 && json_equals(doc, token, unavailable->base64.data, len))
             || (bytes && len == unavailable->hex.len
                 && json_equals(doc, token, unavailable->hex.data, len))
             || (column->kind == TYPE_ARRAY && len == unavailable->uuid.len
                 && json_equals(doc, token, unavailable->uuid.data, len));
}


/* Whether the array has the text's bytes as numbers. */

static bool
change_is_bytes(const change_unavailable_t *unavailable,
    const json_doc_t *doc, uint32_t array)
{
    size_t               i;
    int64_t              n;
    const json_token_t  *t;

    if (doc->tokens[array].next != array + 1 + unavailable->len) {
        return false;
    }

    for (i = 0; i < unavailable->len; i++) {
        t = &doc->tokens[array + 1 + i];

        if (t->type != JSON_NUMBER
            || text_get_int(doc->text + t->start, t->end - t->start, 2, &n)
            || n != unavailable->text[i])
        {
            return false;
        }
    }

    return true;
}


int
change_keep(row_ctx_t *ctx, const row_column_t *column, change_kind_t kind,
    conf_mode_t mode)
{
    if (mode < CONF_MODE_UPSERT) {
        return ctx->writer->null(ctx);
    }

    if (kind == CHANGE_NEW && mode != CONF_MODE_UPDATE) {
        return row_fault(ctx, column, "22004", "the change makes a row without "
                         "this value: its table needs REPLICA IDENTITY FULL");
    }

    return column->bit
           ? row_keep(ctx, column)
           : row_fault(ctx, column, "22004", "the change does not have the "
                       "value, and the column cannot keep its own");
}
