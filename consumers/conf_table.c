/*
 * Every key of the configuration, in the order of the manual.  The reader,
 * --help-config, the manual page, docs/consumer.md and the JSON Schema all
 * come from here.
 */

#include <stddef.h>

#include "conf_set.h"
#include "conf_table.h"


#define FIELD(name)   .offset = offsetof(conf_t, name)
#define COLUMN(name)  .offset = offsetof(conf_column_t, name)


const conf_key_t  conf_keys[] = {
    { .path = "$schema", .kind = CONF_TEXT, .set = conf_set_ignored,
      .form = "a URI",
      .example = "\"/usr/local/share/doc/sluice/"
                 "sluice-consumer.schema.json\"",
      .doc = "For editors: where the JSON Schema of this file is." },

    { .path = "topic", .kind = CONF_STRING, .required = true, FIELD(topic),
      .example = "\"order\"",
      .doc = "The topic that is read." },

    { .path = "group", .kind = CONF_STRING, .required = true, FIELD(group),
      .example = "\"order\"",
      .doc = "The consumer group. Daemons of one group share the topic's "
             "partitions; each group sees every record." },

    { .path = "start", .kind = CONF_TEXT, .required = true,
      .set = conf_set_start, .choices = "earliest|latest",
      .form = "`earliest`, `latest` or a time (RFC 3339)",
      .example = "\"earliest\"",
      .doc = "Where to begin, used once: for partitions nothing is stored "
             "of yet. Partitions added later start at their beginning." },

    { .path = "kafka", .kind = CONF_CUSTOM, .required = true,
      .set = conf_read_kafka, .form = "an object of librdkafka's properties",
      .schema = "\"type\": \"object\", \"minProperties\": 1, "
                "\"additionalProperties\": { \"anyOf\": [ { \"type\": "
                "[\"string\", \"number\", \"boolean\"] }, { \"$ref\": "
                "\"#/$defs/file\" } ] }",
      .example = "{ \"bootstrap.servers\": \"k1:9092,k2:9092\" }",
      .doc = "How to reach Kafka. `bootstrap.servers` is a must; properties "
             "the daemon owns are refused with the reason." },

    { .path = "postgres", .kind = CONF_SECRET, .required = true,
      FIELD(postgres),
      .example = "\"service=app\"",
      .doc = "How to reach PostgreSQL: a conninfo string or URI of libpq. "
             "A password is better kept in a `.pgpass` or service file." },

    { .path = "table", .kind = CONF_TEXT, .required = true,
      .set = conf_set_table, .form = "`NAME` or `SCHEMA.NAME`",
      .example = "\"shop.orders\"",
      .doc = "The table that takes the rows, its name as it is in the "
             "catalogue. It is a part of the key of the stored offsets." },

    { .path = "create_table", .kind = CONF_BOOL, FIELD(create_table),
      .fallback = "false", .example = "true",
      .doc = "Create the table from `columns` if it is absent. "
             "`sluice-consumer print-ddl` shows how." },

    { .path = "evolve", .kind = CONF_ENUM, FIELD(evolve),
      .choices = "hold|add", .fallback = "\"hold\"", .example = "\"add\"",
      .doc = "What is done about a column that the table lacks: hold and say "
             "so, or add it." },

    { .path = "columns", .kind = CONF_CUSTOM, .required = true,
      .set = conf_read_columns, .form = "an object of columns",
      .schema = "\"type\": \"object\", \"minProperties\": 1",
      .example = "{ \"id\": \"/id\", \"at\": { \"meta\": \"timestamp\" } }",
      .doc = "What fills which column. A string is short for an object with "
             "that `path`." },

    { .path = "columns.*.path", .kind = CONF_TEXT, .set = conf_column_path,
      .form = "a JSON Pointer (RFC 6901)", .example = "\"/user/address/0\"",
      .doc = "The field of the record's value; an empty string is the whole "
             "value." },

    { .path = "columns.*.meta", .kind = CONF_TEXT, .set = conf_column_meta,
      .choices = "topic|partition|offset|timestamp|key|value",
      .example = "\"offset\"",
      .doc = "What Kafka knows of the record, instead of a field." },

    { .path = "columns.*.generated", .kind = CONF_TEXT,
      .set = conf_column_generated, .choices = "identity",
      .example = "\"identity\"",
      .doc = "PostgreSQL fills the column; it matters to `create_table` "
             "only." },

    { .path = "columns.*.type", .kind = CONF_TEXT, .set = conf_column_type,
      .form = "a type of PostgreSQL", .example = "\"numeric(12,2)\"",
      .doc = "The column's type. Left out, it is the table's own, and "
             "`text` for a table to be created." },

    { .path = "columns.*.required", .kind = CONF_BOOL, COLUMN(required),
      .fallback = "false", .example = "true",
      .doc = "A record without the field is a dead letter." },

    { .path = "columns.*.default", .kind = CONF_CUSTOM,
      .set = conf_column_default,
      .form = "a string, a number, true or false",
      .schema = "\"type\": [\"string\", \"number\", \"boolean\"]",
      .example = "\"EUR\"",
      .doc = "What is stored when the field is absent." },

    { .path = "batch", .kind = CONF_SECTION,
      .doc = "When a batch ends. The first bound that is met counts." },

    { .path = "batch.rows", .kind = CONF_COUNT, FIELD(batch_rows),
      .min = 1, .max = 1000000, .fallback = "10000", .example = "50000",
      .doc = "A batch ends at so many records." },

    { .path = "batch.bytes", .kind = CONF_SIZE, FIELD(batch_bytes),
      .min = 64 * 1024, .max = 1024LL * 1024 * 1024,
      .fallback = "\"8m\"", .example = "\"16m\"",
      .doc = "A batch ends at so many bytes. Two batches are in memory." },

    { .path = "batch.linger", .kind = CONF_TIME, FIELD(batch_linger),
      .min = 0, .max = 3600 * 1000, .fallback = "\"20ms\"",
      .example = "\"100ms\"",
      .doc = "A batch ends this time after its first record." },

    { .path = "dead_letters", .kind = CONF_SECTION,
      .doc = "What becomes of records that cannot become rows." },

    { .path = "dead_letters.hold_above", .kind = CONF_SHARE,
      FIELD(hold_above), .fallback = "0.2", .example = "0.05",
      .doc = "Hold when more than this share of the last 1,000 records is "
             "bad; `1` is never." },

    { .path = "flush_timeout", .kind = CONF_TIME, FIELD(flush_timeout),
      .min = 100, .max = 3600 * 1000, .fallback = "\"10s\"",
      .example = "\"30s\"",
      .doc = "How long a stop may take to store what is in memory." },

    { .path = "listen", .kind = CONF_TEXT, .set = conf_set_listen,
      .form = "`ADDRESS:PORT`", .example = "\"127.0.0.1:9465\"",
      .doc = "Where health and metrics are served over HTTP. Left out, "
             "nowhere." }
};


const size_t  conf_nkeys = sizeof(conf_keys) / sizeof(conf_keys[0]);
