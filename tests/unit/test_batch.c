/* Batches: bounds, ranges, gaps, faults; and what the sink derives of them. */

#include <limits.h>

#include "base/crc32.h"
#include "store/batch.h"
#include "store/bisect.h"
#include "store/dead_table.h"
#include "tap.h"


static batch_t  batch;


static int
add(unsigned range, int64_t offset, const char *value, const char *line)
{
    size_t          text;
    record_t  record;

    memset(&record, 0, sizeof(record));
    record.topic = "t";
    record.key = "k";
    record.key_len = 1;
    record.value = value;
    record.value_len = value ? strlen(value) : 0;
    record.offset = offset;
    record.timestamp = 1;

    text = batch.text.len;

    if (line) {
        buf_add(&batch.text, line, strlen(line));
    }

    return batch_add(&batch, range, &record, text);
}


static record_t
taken(size_t row)
{
    record_t  record;

    batch_record(&batch, &batch.rows[row], &record);

    return record;
}


static size_t
line(size_t first, size_t end, uint64_t number)
{
    batch_span_t  span;

    span.first = first;
    span.end = end;
    span.target = 0;

    return batch_line(&batch, &span, number);
}


static void
test_linger(void)
{
    is(batch_linger(20, 0), 20, "as configured");
    is(batch_linger(20, 5), 20, "where writing takes a quarter of that");
    is(batch_linger(20, 6), 24, "longer where it takes more");
    is(batch_linger(20, 49), 196, "four times as long");
    is(batch_linger(20, 50), 200, "at most ten times as configured");
    is(batch_linger(20, 60000), 200, "however slow PostgreSQL is");
    is(batch_linger(0, 60000), 0, "none is none");
    is(batch_linger(3600000, 60000), 3600000, "an hour is an hour");
}


static void
test_bounds(void)
{
    int       i;
    unsigned  r;

    batch_init(&batch, 3, 1024 * 1024, 20);
    r = (unsigned) batch_range(&batch, 0, 0, 1, 0);

    ok(!batch_is_due(&batch, 1000), "an empty batch is never due");
    is(batch_due_in(&batch, 1000), -1, "and has no time to be");

    batch.first = 1000;
    add(r, 0, "v", "a\n");
    ok(batch_has_room(&batch), "one of three rows leaves room");
    ok(!batch_is_due(&batch, 1019), "young and small: not due");
    is(batch_due_in(&batch, 1015), 5, "due when it is old enough");
    ok(batch_is_due(&batch, 1020), "old: due");

    add(r, 1, "v", "b\n");
    add(r, 2, "v", "c\n");
    ok(!batch_has_room(&batch), "the rows bound it");
    ok(batch_is_due(&batch, 1000), "full: due at once");
    is(batch_due_in(&batch, 1000), 0, "now");

    batch_reset(&batch, 7);
    is(batch.nrows, 0, "reset empties it");
    is(batch.generation, 7, "and keeps the generation");
    batch_free(&batch);

    batch_init(&batch, 1000000, 4096, 20);
    r = (unsigned) batch_range(&batch, 0, 0, 1, 0);

    for (i = 0; batch_has_room(&batch); i++) {
        add(r, i, "0123456789", "0123456789\n");
    }

    ok(batch_bytes(&batch) < 4096 + 200, "the bytes bound it");
    is(batch.nrows, i, "every row counts");
    batch_free(&batch);
}


static void
test_ranges(void)
{
    unsigned        a, b;
    record_t  record;

    batch_init(&batch, 100, 1024 * 1024, 20);

    a = (unsigned) batch_range(&batch, 3, 10, 5, 0);
    b = (unsigned) batch_range(&batch, 1, 0, 9, 0);
    is(batch_range(&batch, 3, 99, 99, 99), a, "a partition has one range");

    add(a, 10, "v", "x\n");
    add(b, 4, "v", "y\n");
    add(a, 11, NULL, "z\n");
    add(a, 15, "v", "w\n");

    is(batch.ranges[a].expected, 10, "a range begins at the offset due");
    is(batch.ranges[a].next, 16, "and ends behind its last record");
    is(batch.ranges[a].records, 3, "its records are counted");
    is(batch.ranges[a].last, 3, "its last row is known");
    is(batch.ranges[b].next, 5, "ranges do not mix");

    is(batch.ngaps, 2, "offsets without a record are gaps");
    is(batch.gaps[0].partition, 1, "of their partition");
    is(batch.gaps[0].first, 0, "from the offset due");
    is(batch.gaps[0].next, 4, "to the record's");
    is(batch.gaps[1].first, 12, "between records, too");
    is(batch.gaps[1].next, 15, "up to the next one");

    ok(taken(2).value == NULL, "a null value is null");
    ok(memcmp(taken(3).key, "k", 1) == 0, "keys stay");
    ok(taken(0).headers == NULL, "no headers");
    add(a, 16, "", "v\n");
    ok(taken(4).value != NULL,
       "an empty value is no null");
    ok(batch.text.len == 10, "the lines lie one behind the other");

    batch_free(&batch);

    memset(&record, 0, sizeof(record));
    record.key = record.value = "";
    batch_init(&batch, 100, 1024 * 1024, 20);
    batch_add(&batch, (unsigned) batch_range(&batch, 0, 0, 1, 0), &record, 0);
    ok(taken(0).key != NULL && taken(0).value != NULL,
       "nor in a batch that holds no byte");
    batch_free(&batch);
}


static void
test_faults(void)
{
    int       i;
    char      reason[600];
    unsigned  r;

    batch_init(&batch, 100, 1024 * 1024, 20);
    r = (unsigned) batch_range(&batch, 0, 0, 1, 0);

    for (i = 0; i < 6; i++) {
        add(r, i, "v", i == 1 ? NULL : "line\n");
    }

    batch_fault(&batch, 1, "22032", "not JSON");
    is(batch.dead, 1, "a row without a line is dead");
    is(batch.rows[1].text_len, 0, "and has no text");

    is(line(0, 6, 1), 0, "line 1 is row 0");
    is(line(0, 6, 2), 2, "dead rows have no line");
    is(line(3, 6, 2), 4, "lines count from the span's start");
    is(line(0, 6, 6), 6, "a line behind the last: none");

    batch_fault(&batch, 4, "23505", "duplicate");
    batch_fault(&batch, 4, "23505", "again");
    is(batch.dead, 2, "a row dies once");
    is(line(0, 6, 4), 5, "rows found bad have no line either");

    batch_forget_faults(&batch);
    is(batch.dead, 1, "what SQL found is forgotten");
    is(batch.rows[4].fault, 0, "the row is good again");
    is(batch.rows[1].fault, 1, "what cannot be a row stays dead");
    is_str(batch.faults[0].reason, "not JSON", "with its reason");

    memset(reason, 'x', sizeof(reason));
    memcpy(reason + 254, "\xc3\xa9", 2);
    reason[sizeof(reason) - 1] = '\0';
    batch_fault(&batch, 5, "22000", reason);
    is(strlen(batch.faults[batch.rows[5].fault - 1].reason), 254,
       "a long reason is cut between code points");

    batch_fault(&batch, 0, "22000", "\xff");
    is_str(batch.faults[batch.rows[0].fault - 1].reason, "?",
           "a reason is always text");

    batch_free(&batch);
}


static void
test_window(void)
{
    int            i, rc;
    unsigned       r;
    dead_window_t  window;

    batch_init(&batch, 2000, 16 * 1024 * 1024, 20);
    r = (unsigned) batch_range(&batch, 0, 0, 1, 0);
    memset(&window, 0, sizeof(window));

    for (i = 0; i < 1000; i++) {
        add(r, i, "v", i < 200 ? NULL : "line\n");
        if (i < 200) {
            batch_fault(&batch, (size_t) i, "22032", "bad");
        }
    }

    is(dead_window_add(&window, &batch, 0.2), 0, "200 of 1000 may be bad");
    is(window.count, 200, "they are counted");

    batch_reset(&batch, 0);
    r = (unsigned) batch_range(&batch, 0, 0, 1, 0);
    add(r, 0, "v", "line\n");
    rc = dead_window_add(&window, &batch, 0.2);
    is(rc, 0, "a good one pushes a bad one out");
    is(window.count, 199, "of the last thousand");

    batch_reset(&batch, 0);
    r = (unsigned) batch_range(&batch, 0, 0, 1, 0);

    for (i = 0; i < 300; i++) {
        add(r, i, "v", NULL);
        batch_fault(&batch, (size_t) i, "22032", "bad");
    }

    memset(&window, 0, sizeof(window));
    is(dead_window_add(&window, &batch, 0.2), -1, "201 bad ones hold");
    memset(&window, 0, sizeof(window));
    is(dead_window_add(&window, &batch, 1), 0, "unless that is allowed");

    batch_free(&batch);
}


/* Records without a row count as far as bounds and ranges go. */

static void
test_filtered(void)
{
    unsigned        r;
    record_t  record;

    memset(&record, 0, sizeof(record));
    record.key = "a";
    record.key_len = 1;
    record.value = "b";
    record.value_len = 1;
    record.timestamp = 7;
    record.offset = 12;

    batch_init(&batch, 3, 1024 * 1024, 20);
    r = (unsigned) batch_range(&batch, 0, 10, 1, 10);
    is(batch_filter(&batch, r, &record), 0, "a record is left out");
    batch.first = 1000;

    is(batch.nrows, 0, "it is no row");
    is(batch_records(&batch), 1, "but a record");
    ok(batch_is_due(&batch, 1020), "which makes the batch due");
    is(batch_due_in(&batch, 1015), 5, "when it is old enough");
    is(batch.ranges[r].next, 13, "the range goes on");
    is(batch.ranges[r].records, 1, "counts it");
    is(batch.ranges[r].filtered, 1, "as filtered");
    is(batch.ranges[r].last_timestamp, 7, "and knows its timestamp");
    is(batch.ranges[r].last_crc, 0x9b655367, "and its CRC-32");
    is(batch.ngaps, 1, "a gap before it is one");

    add(r, 13, "v", "a\n");
    ok(batch.ranges[r].last == 0, "a row is the last again");
    record.offset = 14;
    is(batch_filter(&batch, r, &record), 0, "another one");
    ok(batch.ranges[r].last == BATCH_NULL, "is the last");
    ok(!batch_has_room(&batch), "the records bound it");

    batch_reset(&batch, 8);
    is(batch_records(&batch), 0, "reset empties it");
    batch_free(&batch);
}


/* Searches until all rows are known; returns how many parts were tried. */

static unsigned
search(bool (*is_bad)(size_t row, size_t place), size_t place,
    unsigned blamed)
{
    bool        bad;
    size_t      i, row;
    unsigned    tries;
    bisect_t    bisect;
    pg_reply_t  reply;

    memset(&reply, 0, sizeof(reply));
    bisect_begin(&bisect, &batch, 1, blamed);

    for (tries = 0; bisect_next(&bisect, &batch); tries++) {

        for (bad = false, i = bisect.part.first; i < bisect.part.end; i++) {
            bad |= is_bad(i, place) && batch.rows[i].fault == 0;
        }

        if (!bad) {
            bisect_passed(&bisect);

        } else if (bisect_failed(&bisect, &batch, &reply, &row) == -1
                   || (row != BISECT_NONE && !is_bad(row, place)))
        {
            return UINT_MAX;
        }
    }

    for (i = 0; i < batch.nrows; i++) {
        if ((batch.rows[i].fault != 0) != is_bad(i, place)) {
            return UINT_MAX;
        }
    }

    return tries;
}


static unsigned
most(unsigned a, unsigned b)
{
    return a > b ? a : b;
}


static bool
one_is_bad(size_t row, size_t place)
{
    return row == place;
}


static bool
some_are_bad(size_t row, size_t place)
{
    return (row * 2654435761u >> 7) % (place + 1) == 0;
}


static void
test_search(void)
{
    size_t    i, n;
    unsigned  r, sure, doubt, some;

    for (n = 1; n <= 256; n *= 4) {

        batch_init(&batch, n, 16 * 1024 * 1024, 20);
        r = (unsigned) batch_range(&batch, 0, 0, 1, 0);

        for (i = 0; i < n; i++) {
            add(r, (int64_t) i, "v", "line\n");
        }

        for (sure = doubt = some = i = 0; i < n; i++) {
            sure = most(sure, search(one_is_bad, i, 0));
            doubt = most(doubt, search(one_is_bad, i, 1));
            some = most(some, search(some_are_bad, i, 1));
        }

        /* n is 2 to the power of r */
        for (r = 0; (size_t) 1 << r < n; r++) { /* void */ }

        ok(sure <= r + 2, "a bad row of %zu is found in %u parts", n, sure);
        ok(doubt <= r + 3, "where any may be, in %u", doubt);
        ok(some <= n * 3, "any number of them in %u", some);
        batch_free(&batch);
    }
}


/* Rows of several a record are never apart, and each record is found. */

static void
test_search_records(void)
{
    bool        bad, apart;
    size_t      i, k, n, row, found, ends[3];
    unsigned    r, tries;
    bisect_t    bisect;
    pg_reply_t  reply;

    memset(&reply, 0, sizeof(reply));
    batch_init(&batch, 1000, 16 * 1024 * 1024, 20);
    r = (unsigned) batch_range(&batch, 0, 0, 1, 0);

    for (i = 0; i < 64; i++) {
        n = 1 + i % 3;

        for (k = 0; k < n; k++) {
            ends[k] = batch.text.len + 5 * (k + 1);
        }

        add(r, (int64_t) i, "v", &"line\nline\nline\n"[5 * (3 - n)]);
        ok(batch_split(&batch, ends, n) == 0, "a record of %zu rows", n);
    }

    is(batch.nrows, 127, "all its rows");
    is(batch_records(&batch), 64, "of 64 records");

    bisect_begin(&bisect, &batch, 1, 0);
    apart = false;

    for (tries = 0; tries < 1000 && bisect_next(&bisect, &batch); tries++) {
        apart |= batch_first(&batch, bisect.part.first) != bisect.part.first
                 || batch_first(&batch, bisect.part.end) != bisect.part.end;

        for (bad = false, i = bisect.part.first; i < bisect.part.end; i++) {
            bad |= batch.rows[i].offset % 5 == 0
                   && batch_is_stored(&batch.rows[i], 0);
        }

        if (bad) {
            (void) bisect_failed(&bisect, &batch, &reply, &row);
        } else {
            bisect_passed(&bisect);
        }
    }

    for (i = 0, found = 0; i < batch.nrows; i++) {
        found += batch.rows[i].fault && batch.rows[i].offset % 5 == 0;
    }

    ok(!apart && tries < 192, "no part begins or ends in one, of %u", tries);
    is(found, 13, "each bad record is found once");
    is(batch.dead, 13, "and no good one");
    is(batch_stored(&batch), 127 - 25, "without any of its rows");
    batch_free(&batch);
}


int
main(void)
{
    test_linger();
    test_bounds();
    test_ranges();
    test_faults();
    test_window();
    test_filtered();
    test_search();
    test_search_records();

    /* zlib's crc32() of eight length bytes and "ab" */
    is(crc32_record("a", 1, "b", 1), 0x9b655367, "the stored CRC-32");
    ok(crc32_record(NULL, 0, "b", 1) != crc32_record("", 0, "b", 1),
       "a null key differs from an empty one");

    return tap_done();
}
