/*
 * Every key of the configuration, in the order of the manual.  The reader,
 * --help-config, the manual page, docs/reference/consumer.md and the JSON
 * Schema all come from here.
 */

#include <stddef.h>

#include "conf/keys.h"
#include "conf/setters.h"


#define FIELD(name)   .offset = offsetof(conf_t, name)
#define COLUMN(name)  .offset = offsetof(conf_column_t, name)

#define TRANSFORM \
    "{ \"anyOf\": [ { \"enum\": [\"trim\", \"lower\", \"upper\", " \
    "\"sha256\", \"mask\", \"cast\"] }, { \"type\": \"object\", " \
    "\"required\": [\"mask\"], \"properties\": { \"mask\": { \"type\": " \
    "\"integer\", \"minimum\": 0, \"maximum\": 1000 } }, " \
    "\"additionalProperties\": false } ] }"


const conf_key_t  conf_keys[] = {
    { "$schema", CONF_TEXT, .set = conf_set_ignored, .form = "a URI",
      .example = "\"/usr/local/share/doc/sluice/sluice-consumer.schema.json\"",
      .doc = "For editors: where the JSON Schema of this file is." },

    { "topic", CONF_STRING, .required = true, FIELD(topic),
      .example = "\"order\"", .doc = "The topic that is read." },

    { "group", CONF_STRING, .required = true, FIELD(group),
      .example = "\"order\"",
      .doc = "The consumer group. Daemons of one group share the topic's "
             "partitions; each group sees every record." },

    { "start", CONF_TEXT, .required = true, .set = conf_set_start,
      .form = "`earliest`, `latest` or a time (RFC 3339)",
      .example = "\"earliest\"",
      .doc = "Where to begin, used once: for partitions nothing is stored of "
             "yet. Partitions added later start at their beginning." },

    { "kafka", CONF_CUSTOM, .required = true, .set = conf_set_properties,
      .form = "an object of librdkafka's properties",
      .schema = "\"type\": \"object\", \"minProperties\": 1, "
                "\"additionalProperties\": { \"anyOf\": [ { \"type\": "
                "[\"string\", \"number\", \"boolean\"] }, { \"$ref\": "
                "\"#/$defs/file\" } ] }",
      .example = "{ \"bootstrap.servers\": \"k1:9092,k2:9092\" }",
      .doc = "How to reach Kafka. `bootstrap.servers` is a must; properties "
             "the daemon owns are refused with the reason." },

    { "postgres", CONF_SECRET, .required = true, FIELD(postgres),
      .example = "\"service=app\"",
      .doc = "How to reach PostgreSQL: a conninfo string or URI of libpq. A "
             "password is better kept in a `.pgpass` or service file." },

    { "table", CONF_TEXT, .set = conf_set_table,
      .form = "`NAME` or `SCHEMA.NAME`", .example = "\"shop.orders\"",
      .doc = "The table that takes the rows, its name as it is in the "
             "catalogue. It is a part of the key of the stored offsets. A "
             "must, as `columns` is, unless `route` says all." },

    { "create_table", CONF_BOOL, FIELD(create_table), .fallback = "false",
      .example = "true",
      .doc = "Create the table from `columns` if it is absent. "
             "`sluice-consumer print-ddl` shows how." },

    { "evolve", CONF_ENUM, FIELD(evolve), .choices = "hold|add",
      .fallback = "\"hold\"", .example = "\"add\"",
      .doc = "What is done about a column that the table lacks: hold and say "
             "so, or add it." },

    { "mode", CONF_ENUM, FIELD(mode),
      .choices = "append|ignore|upsert|upsert_delete",
      .fallback = "\"append\"", .example = "\"upsert\"",
      .doc = "How a row meets one of the same key. `append` inserts each; "
             "`ignore` keeps what is there; `upsert` replaces it, the last "
             "record wins; `upsert_delete` is `upsert`, and a record without "
             "a value deletes." },

    { "key", CONF_NAMES, FIELD(key), .example = "[\"order_id\"]",
      .doc = "The columns of the unique constraint by which rows meet; for "
             "every `mode` but `append`. With `ignore` it may be left out: "
             "then any unique constraint counts." },

    { "newer", CONF_STRING, FIELD(newer), .example = "\"updated_at\"",
      .doc = "For `upsert`: a column that grows with every change. A record "
             "whose value is less than the row's, or null, changes nothing." },

    { "columns", CONF_CUSTOM, .set = conf_set_columns,
      .form = "an object of columns, or `auto`",
      .schema = "\"type\": [\"object\", \"string\"], \"minProperties\": 1, "
                "\"pattern\": \"^auto$\"",
      .example = "{ \"id\": \"/id\", \"at\": { \"meta\": \"timestamp\" } }",
      .doc = "What fills which column. A string is short for an object with "
             "that `path`; `auto` fills each of the table's columns from the "
             "field of its name." },

    { "columns.*.path", CONF_POINTER, COLUMN(pointer),
      .example = "\"/user/address/0\"",
      .doc = "The field of the record's value; an empty string is the whole "
             "value." },

    { "columns.*.meta", CONF_ENUM, COLUMN(from), .first = CONF_FROM_TOPIC,
      .choices = "topic|partition|offset|timestamp|key|value",
      .example = "\"offset\"",
      .doc = "What Kafka knows of the record, instead of a field." },

    { "columns.*.header", CONF_STRING, COLUMN(header),
      .form = "a header's name", .example = "\"tenant\"",
      .doc = "A header of the record; the last one of that name." },

    { "columns.*.constant", CONF_JSON, COLUMN(constant),
      .example = "\"web\"", .doc = "The same value in every row." },

    { "columns.*.generated", CONF_ENUM, COLUMN(from),
      .first = CONF_FROM_IDENTITY, .choices = "identity",
      .example = "\"identity\"",
      .doc = "PostgreSQL fills the column; it matters to `create_table` "
             "only." },

    { "columns.*.type", CONF_TEXT, .set = conf_set_type,
      .form = "a type of PostgreSQL", .example = "\"numeric(12,2)\"",
      .doc = "The column's type. Left out, it is the table's own, and `text` "
             "for a table to be created." },

    { "columns.*.required", CONF_BOOL, COLUMN(required), .fallback = "false",
      .example = "true",
      .doc = "A record whose field is missing or null is a dead letter." },

    { "columns.*.default", CONF_JSON, COLUMN(fallback), .example = "\"EUR\"",
      .doc = "What is stored when the field is missing, as if the record had "
             "held it." },

    { "columns.*.on_missing", CONF_ENUM, COLUMN(on_missing),
      .first = CONF_ON_NULL, .choices = "null|default|reject",
      .example = "\"reject\"",
      .doc = "What a missing field becomes; `reject` is a dead letter. Left "
             "out, `reject` with `required`, `default` with a default, else "
             "`null`." },

    { "columns.*.on_null", CONF_ENUM, COLUMN(on_null), .first = CONF_ON_NULL,
      .choices = "null|default|reject", .example = "\"default\"",
      .doc = "What a null becomes. Left out, `reject` with `required`, else "
             "`null`." },

    { "columns.*.unit", CONF_ENUM, COLUMN(unit), .first = CONF_UNIT_S,
      .choices = "s|ms|us|ns", .example = "\"ms\"",
      .doc = "A number is a time since 1970 in this unit; ISO 8601 is taken "
             "beside it. Without a unit a number is no time." },

    { "columns.*.transform", CONF_CUSTOM, .set = conf_set_transform,
      .choices = "trim|lower|upper|sha256|mask|cast",
      .form = "`trim`, `lower`, `upper`, `sha256`, `mask`, `{ \"mask\": 4 }`, "
              "`cast`, or an array of them",
      .schema = "\"anyOf\": [ " TRANSFORM ", { \"type\": \"array\", "
                "\"minItems\": 1, \"items\": " TRANSFORM " } ]",
      .example = "[\"trim\", \"lower\", \"sha256\"]",
      .doc = "Done to the text in this order before the type reads it. `mask` "
             "puts `*` in the place of all characters but the last so many; "
             "`cast` takes numbers and truths however they are written, where "
             "nothing is lost: `\"12.0\"` is the integer 12, 1 is true." },

    { "rest", CONF_STRING, FIELD(rest), .example = "\"more\"",
      .doc = "A json or jsonb column that takes the members of the value "
             "which no column's path begins with, as an object." },

    { "format", CONF_ENUM, FIELD(format),
      .choices = "json|text|bytes|cloudevents", .fallback = "\"json\"",
      .example = "\"cloudevents\"",
      .doc = "What a record's value is. `text` and `bytes` have no fields, "
             "only `meta`. `cloudevents` takes both the binary and the "
             "structured mode; paths see the event in its JSON format: "
             "`/type`, `/data/id`." },

    { "nul", CONF_ENUM, FIELD(nul), .choices = "reject|strip|replace",
      .fallback = "\"reject\"", .example = "\"replace\"",
      .doc = "What becomes of a zero byte, also as `\\u0000`, that a text "
             "cannot hold: the record is a dead letter, or the byte is left "
             "out, or replaced by U+FFFD. In bytea it is stored as it is." },

    { "where", CONF_SECTION,
      .doc = "Which records are stored. The others are counted and left "
             "out." },

    { "where.path", CONF_POINTER, FIELD(where.pointer),
      .example = "\"/type\"", .doc = "The field that decides." },

    { "where.header", CONF_STRING, FIELD(where.header),
      .form = "a header's name", .example = "\"type\"",
      .doc = "The header that decides, instead of a field." },

    { "where.equals", CONF_CUSTOM, .set = conf_set_where,
      .form = "a string, a number, true, false or null",
      .schema = "\"type\": [\"string\", \"number\", \"boolean\", \"null\"]",
      .example = "\"order\"",
      .doc = "Take a record whose field is this. Numbers are equal by their "
             "value." },

    { "where.in", CONF_CUSTOM, .set = conf_set_where,
      .form = "an array of such values",
      .schema = "\"type\": \"array\", \"minItems\": 1, \"items\": { \"type\": "
                "[\"string\", \"number\", \"boolean\", \"null\"] }",
      .example = "[\"order\", \"refund\"]",
      .doc = "Take a record whose field is one of these." },

    { "where.exists", CONF_BOOL, FIELD(where.exists), .example = "true",
      .doc = "Take a record that has the field, be it null, or with `false` "
             "one that lacks it." },

    { "route", CONF_SECTION,
      .doc = "One topic into several tables, in one transaction." },

    { "route.path", CONF_POINTER, FIELD(route_pointer),
      .example = "\"/type\"", .doc = "The field that names the table." },

    { "route.header", CONF_STRING, FIELD(route_header),
      .form = "a header's name", .example = "\"ce_type\"",
      .doc = "The header that does, instead of a field." },

    { "route.default", CONF_ENUM, FIELD(route_default),
      .choices = "dead_letter|filter|table", .fallback = "\"dead_letter\"",
      .example = "\"filter\"",
      .doc = "What becomes of a record whose value has no table: a dead "
             "letter, nothing (it is counted), or a row of `table`." },

    { "route.tables", CONF_CUSTOM, .required = true, .set = conf_set_routes,
      .form = "an object: a table, or another value, by value",
      .schema = "\"type\": \"object\", \"minProperties\": 1",
      .example = "{ \"created\": { \"table\": \"orders\", \"columns\": "
                 "\"auto\" }, \"updated\": \"created\" }",
      .doc = "The table of each value. A string is another value, whose table "
             "it is as well." },

    { "route.tables.*.table", CONF_TEXT, .required = true,
      .set = conf_set_table, .form = "`NAME` or `SCHEMA.NAME`",
      .example = "\"shop.orders\"",
      .doc = "As above, for this table; so are the keys below." },

    { "route.tables.*.create_table", CONF_BOOL, FIELD(create_table),
      .fallback = "false", .example = "true",
      .doc = "Create it if it is absent." },

    { "route.tables.*.evolve", CONF_ENUM, FIELD(evolve),
      .choices = "hold|add", .fallback = "\"hold\"", .example = "\"add\"",
      .doc = "What is done about a column that it lacks." },

    { "route.tables.*.mode", CONF_ENUM, FIELD(mode),
      .choices = "append|ignore|upsert|upsert_delete",
      .fallback = "\"append\"", .example = "\"upsert\"",
      .doc = "How its rows meet." },

    { "route.tables.*.key", CONF_NAMES, FIELD(key),
      .example = "[\"order_id\"]", .doc = "By which columns." },

    { "route.tables.*.newer", CONF_STRING, FIELD(newer),
      .example = "\"updated_at\"",
      .doc = "The column that says which is stale." },

    { "route.tables.*.columns", CONF_CUSTOM, .required = true,
      .set = conf_set_columns, .form = "an object of columns, or `auto`",
      .schema = "\"type\": [\"object\", \"string\"]",
      .example = "{ \"id\": \"/id\" }",
      .doc = "What fills its columns; the keys of a column are those of "
             "`columns.*`." },

    { "route.tables.*.rest", CONF_STRING, FIELD(rest), .example = "\"more\"",
      .doc = "Its column that takes the other members." },

    { "batch", CONF_SECTION,
      .doc = "When a batch ends. The first bound that is met counts." },

    { "batch.rows", CONF_COUNT, FIELD(batch_rows), .min = "1",
      .max = "1000000", .fallback = "50000", .example = "10000",
      .doc = "A batch ends at so many records." },

    { "batch.bytes", CONF_SIZE, FIELD(batch_bytes), .min = "64k",
      .max = "1g", .fallback = "\"8m\"", .example = "\"16m\"",
      .doc = "A batch ends at so many bytes. Two batches are in memory." },

    { "batch.linger", CONF_TIME, FIELD(batch_linger), .min = "0ms",
      .max = "1h", .fallback = "\"20ms\"", .example = "\"100ms\"",
      .doc = "A batch ends this time after its first record; later, up to ten "
             "times this, where writing one takes more than a quarter of "
             "that." },

    { "dedupe", CONF_SECTION, .doc = "A client's retries are stored once." },

    { "dedupe.header", CONF_STRING, .required = true, FIELD(dedupe_header),
      .example = "\"idempotency-key\"",
      .doc = "The record's header that holds the client's key. A record whose "
             "key was stored before takes no effect; one without the header "
             "is stored." },

    { "dedupe.window", CONF_TIME, FIELD(dedupe_window), .min = "1s",
      .max = "366d", .fallback = "\"24h\"", .example = "\"7d\"",
      .doc = "How long a key is known, from when it was stored, by "
             "PostgreSQL's clock." },

    { "dead_letters", CONF_SECTION,
      .doc = "What becomes of records that cannot become rows." },

    { "dead_letters.store", CONF_ENUM, FIELD(dead_store),
      .choices = "all|reason", .fallback = "\"all\"",
      .example = "\"reason\"",
      .doc = "What is kept of a dead letter: the record, or, for data that "
             "must not lie around, its place and the reason alone." },

    { "dead_letters.topic", CONF_STRING, FIELD(dead_topic),
      .example = "\"order-dead\"",
      .doc = "A topic that takes each dead letter as well, at least once, "
             "before the batch is committed. It must be there." },

    { "dead_letters.keep", CONF_TIME, FIELD(dead_keep), .min = "1s",
      .max = "36525d", .example = "\"30d\"",
      .doc = "How long dead letters are kept. Left out, until they are "
             "purged." },

    { "dead_letters.hold_above", CONF_SHARE, FIELD(hold_above),
      .fallback = "0.2", .example = "0.05",
      .doc = "Hold when more than this share of the last 1,000 records is "
             "bad; `1` is never." },

    { "flush_timeout", CONF_TIME, FIELD(flush_timeout), .min = "100ms",
      .max = "1h", .fallback = "\"10s\"", .example = "\"30s\"",
      .doc = "How long a stop may take to store what is in memory." },

    { "listen", CONF_TEXT, .set = conf_set_listen, .form = "`ADDRESS:PORT`",
      .example = "\"127.0.0.1:9465\"",
      .doc = "Where health and metrics are served over HTTP. Left out, "
             "nowhere." },

    { .path = NULL }
};


_Static_assert(sizeof(conf_keys) / sizeof(conf_keys[0]) <= CONF_KEYS_MAX,
               "a row has its place among the seen ones");
