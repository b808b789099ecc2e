/* Receipts: what a batch's records became, as JSON within its bounds. */

#include <stdlib.h>

#include "store/receipt.h"
#include "tap.h"


static batch_t        batch;
static const conf_t  *conf;


static const char  conf_text[] =
    "{ \"topic\": \"t\\\"1\", \"group\": \"g\", \"start\": \"earliest\","
    " \"kafka\": { \"bootstrap.servers\": \"b\" }, \"postgres\": \"\","
    " \"table\": \"a\", \"columns\": { \"a\": \"/a\" } }";


static void
fill(record_t *record, int64_t offset, int64_t timestamp)
{
    memset(record, 0, sizeof(record_t));
    record->topic = "t";
    record->value = "v";
    record->value_len = 1;
    record->offset = offset;
    record->timestamp = timestamp;
}


static void
add(unsigned range, int64_t offset, int64_t timestamp)
{
    size_t    text;
    record_t  record;

    fill(&record, offset, timestamp);
    text = batch.text.len;
    buf_addf(&batch.text, "v\n");
    (void) batch_add(&batch, range, &record, text);
}


static void
filter(unsigned range, int64_t offset)
{
    record_t  record;

    fill(&record, offset, -1);
    (void) batch_filter(&batch, range, &record);
}


static void
begin(void)
{
    batch_init(&batch, 100000, 1 << 24, 20);
    batch.receipts = true;
}


/* The receipt of one range of the batch. */

static const char *
told(receipt_t *receipt, unsigned index, size_t most)
{
    size_t                      n;
    unsigned                    i;
    receipt_range_t             range;
    receipt_exception_t        *list;
    const receipt_exception_t  *e;

    n = (size_t) receipt_exceptions(&batch, &list);
    e = list;

    for (i = 0; i <= index; i++) {
        receipt_range(&range, &batch, i, &e, &n);
    }

    receipt_begin(receipt, conf, "c", "a");
    receipt_add(receipt, &range, most);
    is(receipt_end(receipt), 0, "memory was not short");
    buf_add(&receipt->text, "", 1);
    free(list);

    return receipt->text.data;
}


#define HEAD  "{\"version\":1,\"cluster\":\"c\",\"group\":\"g\","              \
              "\"topic\":\"t\\u00221\",\"table\":\"a\",\"partitions\":["


static void
test_fates(void)
{
    receipt_t  receipt;

    memset(&receipt, 0, sizeof(receipt_t));
    begin();
    (void) batch_range(&batch, 5, 100, 7, 0);
    (void) batch_range(&batch, 6, 10, 8, 0);

    /* two partitions in turn, and gaps between the records */
    add(0, 100, 1005);
    filter(1, 10);
    filter(0, 101);
    filter(0, 103);
    filter(1, 11);
    add(0, 104, 1001);
    filter(0, 105);
    add(0, 106, -1);
    add(0, 107, 1003);
    add(0, 110, 1003);
    filter(1, 12);

    (void) batch_fault(&batch, 3, "22P02", "a \"b\"\n\x01\xff");
    batch_duplicate(&batch, 1);
    batch_duplicate(&batch, 2);

    is_str(told(&receipt, 0, 1000), HEAD "{\"partition\":5,\"epoch\":7,"
           "\"first\":100,\"next\":111,\"timestamps\":[1001,1005],"
           "\"exceptions\":["
           "{\"offset\":101,\"count\":3,\"stored\":\"filtered\"},"
           "{\"offset\":104,\"stored\":\"duplicate\"},"
           "{\"offset\":105,\"stored\":\"filtered\"},"
           "{\"offset\":106,\"stored\":\"duplicate\"},"
           "{\"offset\":107,\"stored\":\"dead-letter\","
           "\"sqlstate\":\"22P02\",\"reason\":\"a \\u0022b\\u0022\\u000a"
           "\\u0001?\"}]}]}", "each fate, by offset");
    is_str(told(&receipt, 1, 1000), HEAD "{\"partition\":6,\"epoch\":8,"
           "\"first\":10,\"next\":13,\"exceptions\":["
           "{\"offset\":10,\"count\":3,\"stored\":\"filtered\"}]}]}",
           "one run, and no timestamp");
    is_str(told(&receipt, 0, 2), HEAD "{\"partition\":5,\"epoch\":7,"
           "\"first\":100,\"next\":111,\"timestamps\":[1001,1005],"
           "\"exceptions\":["
           "{\"offset\":101,\"count\":3,\"stored\":\"filtered\"},"
           "{\"offset\":104,\"stored\":\"duplicate\"}],\"known\":105}]}",
           "two of them, and where they end");
    is_str(told(&receipt, 1, 0), HEAD "{\"partition\":6,\"epoch\":8,"
           "\"first\":10,\"next\":13,\"known\":10}]}", "none of them");

    batch_forget_duplicates(&batch);
    batch_duplicate(&batch, 2);
    is_str(told(&receipt, 0, 3), HEAD "{\"partition\":5,\"epoch\":7,"
           "\"first\":100,\"next\":111,\"timestamps\":[1001,1005],"
           "\"exceptions\":["
           "{\"offset\":101,\"count\":3,\"stored\":\"filtered\"},"
           "{\"offset\":105,\"stored\":\"filtered\"},"
           "{\"offset\":106,\"stored\":\"duplicate\"}],\"known\":107}]}",
           "as the last try found them");

    batch_free(&batch);
    buf_free(&receipt.text);
}


static void
test_runs_have_a_bound(void)
{
    int        i;
    receipt_t  receipt;

    memset(&receipt, 0, sizeof(receipt_t));
    begin();
    (void) batch_range(&batch, 0, 0, 1, 0);
    (void) batch_range(&batch, 1, 0, 1, 0);

    for (i = 0; i < 2 * BATCH_LEFT; i++) {
        filter(0, 2 * i);
        add(0, 2 * i + 1, 5);
    }

    filter(1, 0);
    add(1, 1, 5);
    (void) batch_fault(&batch, 2 * BATCH_LEFT, "22P02", "bad");

    is(batch.nleft, BATCH_LEFT, "so many are kept");
    ok(strstr(told(&receipt, 0, 5000), "],\"known\":2000}]}") != NULL,
       "what is behind them is not known");
    ok(strstr(told(&receipt, 1, 5000), "\"next\":2,\"timestamps\":[5,5],"
              "\"known\":0}]}") != NULL, "nor in another partition");

    batch_reset(&batch, 1);
    is(batch.nleft, 0, "a reset forgets them");
    (void) batch_range(&batch, 0, 0, 1, 0);
    filter(0, 0);
    ok(strstr(told(&receipt, 0, 5000), "\"stored\":\"filtered\"}]}]}")
       != NULL, "and begins again");

    batch_free(&batch);
    buf_free(&receipt.text);
}


static void
test_bytes_have_a_bound(void)
{
    int        i;
    char       reason[RECORD_REASON];
    receipt_t  receipt;

    memset(&receipt, 0, sizeof(receipt_t));
    memset(reason, 1, sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    begin();
    (void) batch_range(&batch, 0, 0, 1, 0);

    for (i = 0; i < RECEIPT_EXCEPTIONS; i++) {
        add(0, i, 5);
        (void) batch_fault(&batch, (size_t) i, "22P02", reason);
    }

    (void) told(&receipt, 0, RECEIPT_EXCEPTIONS);
    ok(receipt.text.len > RECEIPT_FULL, "it is full");
    ok(receipt.text.len < RECEIPT_FULL + 2048, "and little more");
    ok(strstr(receipt.text.data, "\"known\":") != NULL, "and says so");

    batch_free(&batch);
    buf_free(&receipt.text);
}


static void
test_without_receipts_nothing_is_kept(void)
{
    batch_init(&batch, 10, 1 << 20, 20);
    (void) batch_range(&batch, 0, 0, 1, 0);
    filter(0, 0);
    add(0, 1, 5);
    is(batch.nleft, 0, "no runs");
    is(batch.ranges[0].newest, -1, "no timestamps");
    batch_free(&batch);
}


int
main(void)
{
    char  err[CONF_ERROR_MAX];

    conf = conf_parse("f", conf_text, strlen(conf_text), err);
    if (!ok(conf != NULL, "a configuration")) {
        printf("# %s\n", err);
        return tap_done();
    }

    test_fates();
    test_runs_have_a_bound();
    test_bytes_have_a_bound();
    test_without_receipts_nothing_is_kept();
    conf_free(conf);

    return tap_done();
}
