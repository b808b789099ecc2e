/* Headers become JSON text or are packed, and become headers again. */

#include <stdlib.h>

#include "record/headers.h"
#include "tap.h"


static const record_header_t  list[] = {
    { "a", "plain", 5 },
    { "a", "quote \" \\ \n", 11 },
    { "null", NULL, 0 },
    { "empty", "", 0 },
    { "zero", "x\0y", 3 },
    { "utf8", "\xc3\xa9\xff", 3 },
    { "\xc3\xa9", "name", 4 }
};

#define HEADERS  (sizeof(list) / sizeof(list[0]))

static const char  text[] =
    "[{\"name\":\"a\",\"value\":\"plain\"},"
    "{\"name\":\"a\",\"value\":\"quote \\u0022 \\u005c \\u000a\"},"
    "{\"name\":\"null\",\"value\":null},"
    "{\"name\":\"empty\",\"value\":\"\"},"
    "{\"name\":\"zero\",\"value_hex\":\"780079\"},"
    "{\"name\":\"utf8\",\"value_hex\":\"c3a9ff\"},"
    "{\"name\":\"?\",\"value\":\"name\"}]";


static void
test_both_ways(void)
{
    buf_t                   written, again, bytes;
    size_t                  i;
    json_doc_t              doc;
    const record_header_t  *h;

    memset(&written, 0, sizeof(buf_t));
    memset(&again, 0, sizeof(buf_t));
    memset(&bytes, 0, sizeof(buf_t));
    memset(&doc, 0, sizeof(json_doc_t));

    is(headers_write(&written, list, HEADERS), 0, "written");
    is_str(written.data, text, "as JSON");

    is(headers_read(&doc, written.data, written.len, &again, &bytes), 0,
       "read");
    is(again.len, sizeof(list), "as many");
    h = (const record_header_t *) (const void *) again.data;

    for (i = 0; i < HEADERS; i++) {
        is_str(h[i].name, i < HEADERS - 1 ? list[i].name : "?", "a name");
        ok(h[i].len == list[i].len
           && (h[i].value == NULL) == (list[i].value == NULL)
           && (h[i].value == NULL
               || memcmp(h[i].value, list[i].value, h[i].len) == 0),
           "its value");
    }

    buf_free(&written);
    buf_free(&again);
    buf_free(&bytes);
    json_doc_free(&doc);
}


static void
test_packed(void)
{
    char                   *packed;
    buf_t                   again;
    size_t                  i, len;
    const record_header_t  *h;

    memset(&again, 0, sizeof(buf_t));
    len = headers_packed(list, HEADERS);
    packed = malloc(len);
    ok(headers_pack(packed, list, HEADERS) == packed + len,
       "as many bytes as foretold");

    is(headers_unpack(&again, packed, len), 0, "unpacked");
    is(again.len, sizeof(list), "as many");
    h = (const record_header_t *) (const void *) again.data;

    for (i = 0; i < HEADERS; i++) {
        is_str(h[i].name, list[i].name, "a packed name");
        ok(h[i].len == list[i].len
           && (h[i].value == NULL) == (list[i].value == NULL)
           && (h[i].value == NULL
               || memcmp(h[i].value, list[i].value, h[i].len) == 0),
           "its value");
    }

    is(headers_packed(NULL, 0), 0, "none take no bytes");
    is(headers_unpack(&again, NULL, 0), 0, "none unpacked");
    is(again.len, 0, "none");

    buf_free(&again);
    free(packed);
}


static void
test_find(void)
{
    record_t  record;

    memset(&record, 0, sizeof(record_t));
    ok(headers_find(&record, "a") == NULL, "a record without headers");

    record.header = list;
    record.nheaders = HEADERS;
    ok(headers_find(&record, "a") == &list[1], "the last of that name");
    ok(headers_find(&record, "A") == NULL, "by its exact name");
}


int
main(void)
{
    test_both_ways();
    test_packed();
    test_find();

    return tap_done();
}
