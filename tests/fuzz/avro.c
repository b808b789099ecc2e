/*
 * libFuzzer target of Avro schemas and values.  Input: the schema, a zero
 * byte, the value's bytes.  What is read has to be JSON.
 */

#include "fuzz.h"
#include "json/json.h"
#include "registry/avro.h"


/* What Avro has and JSON of ours has not. */

static int
excused(const json_error_t *err)
{
    return err->limit || strcmp(err->reason, "duplicate member") == 0
           || strcmp(err->reason, "NUL in a string") == 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int             rc;
    char            reason[64];
    char           *body;
    buf_t           out;
    json_doc_t      doc;
    avro_text_t     text;
    json_error_t    err;
    const uint8_t  *end;
    avro_schema_t  *schema;

    end = size ? memchr(data, '\0', size) : NULL;

    if (end == NULL) {
        return 0;
    }

    text.len = (size_t) (end - data);
    text.s = copy((const char *) data, text.len, "", "");
    schema = avro_schema_compile(&text, 1, reason, sizeof(reason));
    free((char *) text.s);

    if (schema == NULL) {
        return 0;
    }

    demand(avro_schema_size(schema) < 64 * size + (1 << 16),
           "a schema's memory is bounded");

    memset(&out, 0, sizeof(buf_t));
    memset(&doc, 0, sizeof(json_doc_t));
    size -= text.len + 1;
    body = copy((const char *) end + 1, size, "", "");

    rc = avro_read(schema, body, size, &out, reason, sizeof(reason));
    demand(out.len <= AVRO_JSON + 8 * size + 65536 + 4096 * text.len,
           "its text is bounded");

    if (rc == 0) {
        rc = json_parse(&doc, out.data, out.len, &err);
        demand(rc == 0 || excused(&err), "what is read is JSON");
    }

    json_doc_free(&doc);
    buf_free(&out);
    avro_schema_free(schema);
    free(body);

    return 0;
}
