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
#define WHERE(name)   .offset = offsetof(conf_where_t, name)

/* each table of "route" has this key too */
#define ROUTE_TOO     .also = "route.tables.*"

#define TRANSFORM \
    "{ \"anyOf\": [ { \"enum\": [\"trim\", \"lower\", \"upper\", " \
    "\"sha256\", \"mask\", \"cast\"] }, { \"type\": \"object\", " \
    "\"required\": [\"mask\"], \"properties\": { \"mask\": { \"type\": " \
    "\"integer\", \"minimum\": 0, \"maximum\": 1000 } }, " \
    "\"additionalProperties\": false } ] }"


#define CONDITION \
    "\"$ref\": \"#/properties/where\""

#define CONDITIONS \
    "\"type\": \"array\", \"minItems\": 1, \"maxItems\": 64, \"items\": { " \
    CONDITION " }"


const conf_key_t  conf_keys[] = {
    { "$schema", CONF_TEXT, .set = conf_set_ignored, .form = "a URI",
      .example = "\"/usr/local/share/sluice/sluice-consumer.schema.json\"",
      .doc = "For editors: where the JSON Schema of this file is." },

    { "topic", CONF_STRING, FIELD(topic),
      .example = "\"order\"",
      .doc = "The topic that is read. Either `topic` or `topics` is "
             "required." },

    { "topics", CONF_CUSTOM, .set = conf_set_topics,
      .form = "an array of topics, an object of topics and their tables, or "
              "a pattern that begins with `^`",
      .schema = "\"anyOf\": [ { \"type\": \"string\", \"pattern\": "
                "\"^\\\\^\" }, { \"type\": \"array\", \"items\": { "
                "\"type\": \"string\", \"minLength\": 1 }, "
                "\"minItems\": 1, \"maxItems\": 256, \"uniqueItems\": "
                "true }, { \"type\": \"object\", \"minProperties\": 1, "
                "\"maxProperties\": 256, \"additionalProperties\": { "
                "\"type\": [\"string\", \"array\"] } } ]",
      .example = "[\"order\", \"visit\"]",
      .doc = "Several topics, which one daemon stores in one transaction; "
             "each has offsets of its own. A pattern is a POSIX extended "
             "regular expression; a topic that matches later is read from "
             "then on." },

    { "group", CONF_STRING, .required = true, FIELD(group),
      .example = "\"order\"",
      .doc = "The consumer group. Daemons of one group share the topic's "
             "partitions; each group sees every record." },

    { "start", CONF_TEXT, .required = true, .set = conf_set_start,
      .form = "`earliest`, `latest` or a time (RFC 3339)",
      .example = "\"earliest\"",
      .doc = "Where to begin. It is used once, for partitions of which "
             "nothing is stored yet. Partitions added later start at their "
             "beginning." },

    { "kafka", CONF_CUSTOM, .required = true, .set = conf_set_properties,
      .form = "an object of librdkafka's properties",
      .schema = "\"type\": \"object\", \"minProperties\": 1, "
                "\"additionalProperties\": { \"anyOf\": [ { \"type\": "
                "[\"string\", \"number\", \"boolean\"] }, { \"$ref\": "
                "\"#/$defs/file\" } ] }",
      .example = "{ \"bootstrap.servers\": \"k1:9092,k2:9092\" }",
      .doc = "How to reach Kafka. `bootstrap.servers` is required; "
             "properties that the daemon owns are refused with the reason." },

    { "postgres", CONF_SECRET, .required = true, .set = conf_set_postgres,
      .example = "\"service=app\"",
      .doc = "How to reach PostgreSQL: a conninfo string or URI of libpq. A "
             "password is better kept in a `.pgpass` or service file. These "
             "files, and that of `{ \"file\": … }`, are read again for each "
             "connection." },

    { "table", CONF_CUSTOM, ROUTE_TOO, .also_required = true,
      .set = conf_set_table,
      .form = "`NAME`, `SCHEMA.NAME` or `[\"SCHEMA\", \"NAME\"]`",
      .schema = "\"anyOf\": [ { \"type\": \"string\", \"pattern\": "
                "\"^[^\\\"]+$\" }, { \"type\": \"array\", \"items\": { "
                "\"type\": \"string\", \"minLength\": 1 }, \"minItems\": 1, "
                "\"maxItems\": 2 }, { \"$ref\": \"#/$defs/file\" } ]",
      .example = "\"shop.orders\"",
      .doc = "The table that takes the rows, named as in the catalogue: "
             "capitals and spaces stand as they are, and nothing is quoted. A "
             "string is split at its first dot. A schema with a dot, a name "
             "with a dot and without a schema, or a double quote need the "
             "array, `[\"NAME\"]` or `[\"SCHEMA\", \"NAME\"]`. The stored "
             "offsets are those of the table, however its name is spelled. "
             "With `topics`, `{topic}` in the name stands for the topic. "
             "`table` and `columns` are required unless `route` names every "
             "table." },

    { "tables", CONF_NAMES, FIELD(tables), .example = "[\"landing.*\"]",
      .doc = "For a pattern of `topics`, with `{topic}` in `table`: the "
             "tables that a topic may name, each `NAME`, `SCHEMA.NAME` or "
             "`SCHEMA.*`. A topic with another table is not read, and "
             "reported." },

    { "create_table", CONF_BOOL, ROUTE_TOO, FIELD(create_table),
      .fallback = "false", .example = "true",
      .doc = "Create the table from `columns` if it is absent. "
             "`sluice-consumer print-ddl` shows the SQL." },

    { "evolve", CONF_ENUM, ROUTE_TOO, FIELD(evolve), .choices = "hold|add",
      .fallback = "\"hold\"", .example = "\"add\"",
      .doc = "What to do if the table lacks a column: hold and report it, "
             "or add the column. With `columns` `auto`, `add` makes a column "
             "of each new field." },

    { "evolve_type", CONF_STRING, ROUTE_TOO, FIELD(evolve_type),
      .form = "a type that the manual lists", .example = "\"text\"",
      .doc = "The type of such a new column. Without it the first value "
             "decides: `text` of a string, `numeric` of a number, `boolean`, "
             "or `jsonb`." },

    { "evolve_columns", CONF_COUNT, ROUTE_TOO, FIELD(evolve_columns),
      .min = "1", .max = "1000", .fallback = "200", .example = "50",
      .doc = "How many columns the table may have at most for a new field to "
             "become one. Other fields are left out, and the log names "
             "them." },

    { "partitions", CONF_SECTION, ROUTE_TOO,
      .doc = "Make the partitions that a table partitioned by time lacks. "
             "Their bounds are in UTC." },

    { "partitions.by", CONF_ENUM, .required = true, FIELD(partition_by),
      .first = CONF_PERIOD_HOUR, .choices = "hour|day|week|month",
      .example = "\"day\"",
      .doc = "How much time a partition has. A week begins on Monday." },

    { "partitions.ahead", CONF_COUNT, FIELD(partition_ahead), .min = "0",
      .max = "1000", .fallback = "7", .example = "3",
      .doc = "How many partitions behind the current one are made before a "
             "row needs them." },

    { "partitions.behind", CONF_COUNT, FIELD(partition_behind), .min = "0",
      .max = "1000", .fallback = "30", .example = "90",
      .doc = "How many partitions before the current one a row may ask for." },

    { "partitions.column", CONF_STRING, FIELD(partition_column),
      .example = "\"at\"",
      .doc = "The column whose time decides. `create_table` needs it; a table "
             "that is there says itself which one it is." },

    { "partitions.outside", CONF_ENUM, FIELD(partition_outside),
      .choices = "hold|dead_letter", .fallback = "\"hold\"",
      .example = "\"dead_letter\"",
      .doc = "What happens to a row outside of these bounds that no partition "
             "takes: the daemon holds, or the record becomes a dead letter." },

    { "override_identity", CONF_BOOL, ROUTE_TOO, FIELD(override_identity),
      .fallback = "false", .example = "true",
      .doc = "Fill identity columns that are GENERATED ALWAYS from the "
             "record too, as OVERRIDING SYSTEM VALUE does. Their sequence "
             "does not notice. An `upsert` cannot change such a column, so "
             "it has to be in `key` there." },

    { "mode", CONF_ENUM, ROUTE_TOO, FIELD(mode),
      .choices = "append|ignore|upsert|upsert_delete|update",
      .fallback = "\"append\"", .example = "\"upsert\"",
      .doc = "What happens if a row with the same key exists. `append` "
             "adds another row; `ignore` keeps the existing row; `upsert` "
             "replaces it, the last record wins; `upsert_delete` is "
             "`upsert`, and a record without a value deletes the row; "
             "`update` replaces it and never adds one." },

    { "absent", CONF_ENUM, ROUTE_TOO, FIELD(absent),
      .choices = "filter|dead_letter", .fallback = "\"filter\"",
      .example = "\"dead_letter\"",
      .doc = "For `update`: what happens to a record whose row is not there. "
             "It is left out and counted, or becomes a dead letter." },

    { "key", CONF_NAMES, ROUTE_TOO, FIELD(key), .example = "[\"order_id\"]",
      .doc = "The columns of the unique constraint that decides which rows "
             "are the same; required for every `mode` except `append`. "
             "`ignore` may omit it: then any unique constraint counts." },

    { "newer", CONF_STRING, ROUTE_TOO, FIELD(newer),
      .example = "\"updated_at\"",
      .doc = "For `upsert` and `update`: a column that grows with every "
             "change. A record whose value is null or less than the row's "
             "changes nothing." },

    { "each", CONF_POINTER, ROUTE_TOO, FIELD(each), .example = "\"/items\"",
      .doc = "An array of the value: each of its elements becomes a row, and "
             "paths of columns begin at the element. All rows of a record are "
             "stored together, or the record is a dead letter." },

    { "on_missing", CONF_ENUM, ROUTE_TOO, FIELD(on_missing),
      .first = CONF_ON_REJECT, .choices = "reject|keep",
      .example = "\"keep\"",
      .doc = "What a missing field becomes in columns that do not say it "
             "themselves, by `on_missing`, `required` or `default`. With "
             "`keep` a record changes only the columns that it mentions." },

    { "columns", CONF_CUSTOM, ROUTE_TOO, .also_required = true,
      .set = conf_set_columns, .form = "an object of columns, or `auto`",
      .schema = "\"type\": [\"object\", \"string\"], \"minProperties\": 1, "
                "\"pattern\": \"^auto$\"",
      .example = "{ \"id\": \"/id\", \"at\": { \"meta\": \"timestamp\" } }",
      .doc = "What fills each column. A string stands for an object with "
             "that `path`; `auto` fills each of the table's columns from "
             "the field of the same name." },

    { "columns.*.path", CONF_POINTER, COLUMN(pointer),
      .example = "\"/user/address/0\"",
      .doc = "The field of the record's value. An empty string is the "
             "whole value." },

    { "columns.*.meta", CONF_ENUM, COLUMN(from), .first = CONF_FROM_TOPIC,
      .choices = "topic|partition|offset|timestamp|key|value|headers|element",
      .example = "\"offset\"",
      .doc = "Kafka metadata of the record, instead of a field. `headers` "
             "are all of them, as an object in `json` or `jsonb`. `element` is "
             "the number of the element that became this row, from 0, with "
             "`each`." },

    { "columns.*.root", CONF_ENUM, COLUMN(root), .first = CONF_ROOT_ELEMENT,
      .choices = "element|record", .example = "\"record\"",
      .doc = "Where `path` begins, with `each`. The default is `element`." },

    { "columns.*.key", CONF_POINTER, COLUMN(key), .example = "\"/id\"",
      .doc = "A field of the record's key, which is JSON, instead of one of "
             "the value. Records without a value have it too." },

    { "columns.*.header", CONF_STRING, COLUMN(header),
      .form = "a header's name", .example = "\"tenant\"",
      .doc = "A header of the record; of several with this name the last "
             "one." },

    { "columns.*.constant", CONF_JSON, COLUMN(constant),
      .example = "\"web\"",
      .doc = "The same value in every row." },

    { "columns.*.generated", CONF_ENUM, COLUMN(from),
      .first = CONF_FROM_IDENTITY, .choices = "identity",
      .example = "\"identity\"",
      .doc = "PostgreSQL fills the column; this matters to `create_table` "
             "only." },

    { "columns.*.type", CONF_TEXT, .set = conf_set_type,
      .form = "a type of PostgreSQL", .example = "\"numeric(12,2)\"",
      .doc = "The column's type: one that the manual lists, or, with "
             "`create_table` or `evolve`, any other of the catalogue as "
             "`[SCHEMA.]NAME[(MODIFIER)][[]]`. The default is the table's own "
             "type, and `text` for a table to be created." },

    { "columns.*.required", CONF_BOOL, COLUMN(required), .fallback = "false",
      .example = "true",
      .doc = "A record whose field is missing or null is a dead letter." },

    { "columns.*.default", CONF_JSON, COLUMN(fallback), .example = "\"EUR\"",
      .doc = "The value to store if the field is missing, as if the record "
             "had held it." },

    { "columns.*.on_missing", CONF_ENUM, COLUMN(on_missing),
      .first = CONF_ON_NULL, .choices = "null|default|reject|keep",
      .example = "\"keep\"",
      .doc = "What a missing field becomes; `reject` makes a dead letter, "
             "and `keep` leaves the column of the row as it is. The default "
             "is `reject` with `required`, `default` with a default, else "
             "`null`." },

    { "columns.*.on_null", CONF_ENUM, COLUMN(on_null), .first = CONF_ON_NULL,
      .choices = "null|default|reject|keep|json", .example = "\"default\"",
      .doc = "What a null becomes, in the same way; `json` stores it as "
             "JSON's null, which is no SQL null, in `json` and `jsonb`. The "
             "default is `reject` with `required`, else `null`." },

    { "columns.*.unit", CONF_ENUM, COLUMN(unit), .first = CONF_UNIT_S,
      .choices = "s|ms|us|ns|days", .example = "\"ms\"",
      .doc = "A number is a time since 1970 in this unit; ISO 8601 is "
             "accepted too. Without a unit a number is not accepted as a "
             "time. In a column of type interval it is a duration. In one of "
             "type time, the length of a day is 24:00:00." },

    { "columns.*.encoding", CONF_ENUM, COLUMN(encoding),
      .first = CONF_ENCODING_BASE64,
      .choices = "base64|hex|decimal|bits|json", .example = "\"decimal\"",
      .doc = "How a string holds the value. `base64` and `hex`: the bytes of "
             "a bytea, where `base64` is the default. `decimal`: base64 of a "
             "whole number in two's complement, first byte first, with as "
             "many decimals as the column's type. `bits`: base64 of a bit "
             "string, last bits first. `json`: the text of a json or jsonb." },

    { "columns.*.transform", CONF_CUSTOM, .set = conf_set_transform,
      .choices = "trim|lower|upper|sha256|mask|cast",
      .form = "`trim`, `lower`, `upper`, `sha256`, `mask`, `{ \"mask\": 4 }`, "
              "`cast`, or an array of them",
      .schema = "\"anyOf\": [ " TRANSFORM ", { \"type\": \"array\", "
                "\"minItems\": 1, \"items\": " TRANSFORM " } ]",
      .example = "[\"trim\", \"lower\", \"sha256\"]",
      .doc = "Changes of the text, applied in this order before the type "
             "reads it. `mask` replaces every character by `*`, `{ "
             "\"mask\": 4 }` all except the last 4; `cast` accepts numbers "
             "and booleans in any spelling that loses nothing: `\"12.0\"` "
             "is the integer 12, 1 is true." },

    { "rest", CONF_STRING, ROUTE_TOO, FIELD(rest), .example = "\"more\"",
      .doc = "A json or jsonb column that takes, as an object, the members "
             "of the value with which no column's path begins." },

    { "format", CONF_ENUM, FIELD(format),
      .choices = "json|text|bytes|cloudevents|debezium",
      .fallback = "\"json\"",
      .example = "\"cloudevents\"",
      .doc = "The format of a record's value. `text` and `bytes` have no "
             "fields, only `meta`. `cloudevents` accepts both the binary "
             "and the structured mode; paths see the event in its JSON "
             "format: `/type`, `/data/id`. `debezium` accepts changes with "
             "and without their envelope and schema; paths see the row: "
             "`/id`." },

    { "unavailable_value", CONF_STRING, FIELD(unavailable),
      .fallback = "\"__debezium_unavailable_value\"",
      .example = "\"(unchanged)\"",
      .doc = "With `format` `debezium`: what stands for a value that the "
             "connector does not know (its `unavailable.value.placeholder`). "
             "The column keeps what it has." },

    { "registry", CONF_SECTION,
      .doc = "Records in the frames of a schema registry: a zero byte, the "
             "number of a schema in four bytes, then the data." },

    { "registry.value", CONF_ENUM, .required = true, FIELD(registry_value),
      .choices = "plain|json|avro", .example = "\"avro\"",
      .doc = "What a record's value is: `plain`, without a frame; JSON in a "
             "frame, which is left out; or Avro in a frame, which becomes "
             "JSON by the schema that its number names. `format` then says "
             "what that JSON is. A null value has no frame." },

    { "registry.key", CONF_ENUM, FIELD(registry_key),
      .choices = "plain|json|avro", .fallback = "\"plain\"",
      .example = "\"avro\"",
      .doc = "The same of a record's key. A key that is a string becomes "
             "its text." },

    { "registry.frame", CONF_ENUM, FIELD(registry_frame),
      .choices = "required|optional", .fallback = "\"required\"",
      .example = "\"optional\"",
      .doc = "What to do with a key or value that should have a frame and "
             "has none: make the record a dead letter, or take it as it is, "
             "for a topic whose older records have none." },

    { "registry.url", CONF_NAMES, FIELD(registry_url),
      .example = "[\"https://registry1:8081\", "
                 "\"https://registry2:8081\"]",
      .doc = "The servers of the registry. One is asked, and the next one "
             "if that is away. Only Avro needs it." },

    { "registry.user", CONF_STRING, FIELD(registry_user),
      .example = "\"sluice\"",
      .doc = "The user of HTTP's basic authentication." },

    { "registry.password", CONF_SECRET, .set = conf_set_registry_secret,
      .example = "\"a-password\"",
      .doc = "The user's password. Its file is read again for each "
             "request." },

    { "registry.authorization", CONF_SECRET, .set = conf_set_registry_secret,
      .example = "\"Bearer a-token\"",
      .doc = "The value of the header `Authorization`, such as `Bearer` and "
             "a token, instead of a user and a password. Its file is read "
             "again for each request." },

    { "registry.ca", CONF_STRING, FIELD(registry_ca),
      .form = "a file's name", .example = "\"/etc/sluice/registry-ca.pem\"",
      .doc = "The certificates that sign the registry's, in PEM. The default "
             "is the system's." },

    { "registry.certificate", CONF_STRING, FIELD(registry_certificate),
      .form = "a file's name", .example = "\"/etc/sluice/client.pem\"",
      .doc = "The daemon's own certificate, for a registry that asks for "
             "one." },

    { "registry.certificate_key", CONF_STRING,
      FIELD(registry_certificate_key), .form = "a file's name",
      .example = "\"/etc/sluice/client.key\"",
      .doc = "The private key of `registry.certificate`." },

    { "registry.timeout", CONF_TIME, FIELD(registry_timeout),
      .min = "100ms", .max = "1m", .fallback = "\"5s\"",
      .example = "\"2s\"",
      .doc = "How long a request to the registry may take. Other work goes "
             "on meanwhile." },

    { "nul", CONF_ENUM, FIELD(nul), .choices = "reject|strip|replace",
      .fallback = "\"reject\"", .example = "\"replace\"",
      .doc = "What to do with a zero byte, also written as `\\u0000`, "
             "which a text cannot hold: make a dead letter, leave the byte "
             "out, or replace it by U+FFFD. In bytea it is stored "
             "unchanged." },

    { "where", CONF_SECTION, .set = conf_set_where,
      .doc = "Which records are stored. All others are counted and left "
             "out." },

    { "where.path", CONF_POINTER, WHERE(pointer),
      .example = "\"/type\"",
      .doc = "The field that decides." },

    { "where.header", CONF_STRING, WHERE(header),
      .form = "a header's name", .example = "\"type\"",
      .doc = "The header that decides, instead of a field." },

    { "where.equals", CONF_CUSTOM, .set = conf_set_values,
      .form = "a string, a number, true, false or null",
      .schema = "\"type\": [\"string\", \"number\", \"boolean\", \"null\"]",
      .example = "\"order\"",
      .doc = "Store a record if the field equals this value. Numbers are "
             "compared by value." },

    { "where.in", CONF_CUSTOM, .set = conf_set_values,
      .form = "an array of such values",
      .schema = "\"type\": \"array\", \"minItems\": 1, \"items\": { \"type\": "
                "[\"string\", \"number\", \"boolean\", \"null\"] }",
      .example = "[\"order\", \"refund\"]",
      .doc = "Store a record if the field equals one of these values." },

    { "where.exists", CONF_BOOL, WHERE(exists), .example = "true",
      .doc = "`true` stores a record that has the field, also as null; "
             "`false` stores a record that lacks it." },

    { "where.all", CONF_CUSTOM, .set = conf_set_parts,
      .form = "an array of conditions as `where` is one",
      .schema = CONDITIONS,
      .example = "[{ \"path\": \"/type\", \"equals\": \"order\" }, { \"any\": "
                 "[{ \"path\": \"/total\", \"exists\": true }, { \"header\": "
                 "\"tenant\", \"equals\": \"a\" }] }]",
      .doc = "Store a record if each of these conditions holds." },

    { "where.any", CONF_CUSTOM, .set = conf_set_parts,
      .form = "an array of conditions as `where` is one",
      .schema = CONDITIONS,
      .example = "[{ \"path\": \"/paid\", \"equals\": true }, { \"path\": "
                 "\"/total\", \"equals\": 0 }]",
      .doc = "Store a record if one of these conditions holds." },

    { "delete_when", CONF_CUSTOM, .set = conf_set_delete_when,
      .form = "a condition as `where` is one", .schema = CONDITION,
      .example = "{ \"path\": \"/__deleted\", \"equals\": \"true\" }",
      .doc = "Which records delete their row, beside those without a value. "
             "`mode` has to be `upsert_delete`." },

    { "route", CONF_SECTION,
      .doc = "Store one topic in several tables, in one transaction." },

    { "route.path", CONF_POINTER, FIELD(route_pointer),
      .example = "\"/type\"",
      .doc = "The field that names the table." },

    { "route.header", CONF_STRING, FIELD(route_header),
      .form = "a header's name", .example = "\"ce_type\"",
      .doc = "The header that names the table, instead of a field." },

    { "route.default", CONF_ENUM, FIELD(route_default),
      .choices = "dead_letter|filter|table", .fallback = "\"dead_letter\"",
      .example = "\"filter\"",
      .doc = "What happens to a record whose value has no table: it "
             "becomes a dead letter, is left out and counted, or becomes a "
             "row of `table`." },

    { "route.tables", CONF_CUSTOM, .required = true, .set = conf_set_routes,
      .form = "an object: a table, or another value, by value",
      .schema = "\"type\": \"object\", \"minProperties\": 1",
      .example = "{ \"created\": { \"table\": \"orders\", \"columns\": "
                 "\"auto\" }, \"updated\": \"created\" }",
      .doc = "The table of each value, an object with the keys `table`, "
             "`create_table`, `evolve`, `evolve_type`, `evolve_columns`, "
             "`partitions`, `mode`, `absent`, `key`, `newer`, `each`, "
             "`on_missing`, `columns` and `rest` as above; `table` and "
             "`columns` are required. A string names another value and "
             "shares its table." },

    { "batch", CONF_SECTION,
      .doc = "When a batch ends: at the first of these bounds." },

    { "batch.rows", CONF_COUNT, FIELD(batch_rows), .min = "1",
      .max = "1000000", .fallback = "50000", .example = "10000",
      .doc = "The most records of a batch." },

    { "batch.bytes", CONF_SIZE, FIELD(batch_bytes), .min = "64k",
      .max = "1g", .fallback = "\"8m\"", .example = "\"16m\"",
      .doc = "The most bytes of a batch. Two batches are in memory." },

    { "batch.linger", CONF_TIME, FIELD(batch_linger), .min = "0ms",
      .max = "1h", .fallback = "\"20ms\"", .example = "\"100ms\"",
      .doc = "A batch ends this long after its first record. If writing a "
             "batch takes more than a quarter of that, the time grows, up "
             "to ten times." },

    { "dedupe", CONF_SECTION, .doc = "Store a client's retries once." },

    { "dedupe.header", CONF_STRING, .required = true, FIELD(dedupe_header),
      .example = "\"idempotency-key\"",
      .doc = "The record's header that holds the client's key. A record "
             "whose key was stored before takes no effect. A record "
             "without the header is stored." },

    { "dedupe.window", CONF_TIME, FIELD(dedupe_window), .min = "1s",
      .max = "366d", .fallback = "\"24h\"", .example = "\"7d\"",
      .doc = "How long a key is known after it was stored, by PostgreSQL's "
             "clock." },

    { "dead_letters", CONF_SECTION,
      .doc = "What happens to records that cannot become rows." },

    { "dead_letters.store", CONF_ENUM, FIELD(dead_store),
      .choices = "all|reason", .fallback = "\"all\"",
      .example = "\"reason\"",
      .doc = "What to keep of a dead letter: the whole record, or only its "
             "place and the reason, for data that must not be stored twice." },

    { "dead_letters.topic", CONF_STRING, FIELD(dead_topic),
      .example = "\"order-dead\"",
      .doc = "A topic that also gets each dead letter, at least once, "
             "before the batch is committed. The topic must exist." },

    { "dead_letters.keep", CONF_TIME, FIELD(dead_keep), .min = "1s",
      .max = "36525d", .example = "\"30d\"",
      .doc = "How long dead letters are kept. The default is until they "
             "are purged." },

    { "dead_letters.hold_above", CONF_SHARE, FIELD(hold_above),
      .fallback = "0.2", .example = "0.05",
      .doc = "Hold if more than this share of the last 1,000 records is "
             "bad. `1` never holds." },

    { "receipts", CONF_SECTION,
      .doc = "Tell clients what became of their records: see `kafka_ack "
             "stored` of the module." },

    { "receipts.topic", CONF_STRING, .required = true, FIELD(receipts_topic),
      .example = "\"sluice-receipts\"",
      .doc = "A topic that gets a receipt of each batch once it is "
             "committed. The daemon creates it if it is absent. A receipt "
             "that cannot be sent is dropped and counted." },

    { "flush_timeout", CONF_TIME, FIELD(flush_timeout), .min = "100ms",
      .max = "1h", .fallback = "\"10s\"", .example = "\"30s\"",
      .doc = "How long a stop may take to store what is in memory." },

    { "listen", CONF_TEXT, .set = conf_set_listen, .form = "`ADDRESS:PORT`",
      .example = "\"127.0.0.1:9465\"",
      .doc = "Where health and metrics are served over HTTP. The default "
             "is nowhere." },

    { "trace", CONF_SECTION,
      .doc = "Write a span of each batch that holds records with a sampled "
             "`traceparent`, linked to their traces." },

    { "trace.file", CONF_STRING, .required = true, FIELD(trace_file),
      .form = "a file's name", .example = "\"/var/log/sluice/order.otlp\"",
      .doc = "The file that gets a line of OTLP's JSON encoding each span, as "
             "OpenTelemetry's collector reads it. What cannot be written is "
             "logged and dropped." },

    { "trace.bytes", CONF_SIZE, FIELD(trace_bytes), .min = "1m", .max = "1g",
      .fallback = "\"64m\"", .example = "\"256m\"",
      .doc = "A file that would become larger is renamed, with `.1` behind "
             "its name, and the next one begun." },

    { .path = NULL }
};


_Static_assert(sizeof(conf_keys) / sizeof(conf_keys[0]) <= CONF_KEYS_MAX,
               "a row has its place among the seen ones");
