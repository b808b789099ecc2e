/* What a connector's records are: converters and transforms. */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tools/connector.h"
#include "tools/report.h"


#define CONNECTOR_KEY  512    /* bytes of a transform's key */


static bool connector_is_unwrapped(const connector_t *cn);
static const char *connector_frame(const connector_t *cn, const char *key);
static void connector_urls(const connector_t *cn, buf_t *out);
static void connector_transform(const connector_t *cn, const char *name);


/* By the class's own name, without "$Key" and "$Value". */
static const struct {
    const char  *type;
    const char  *why;
} connector_known_transforms[] = {
    { "Cast", "the column's type reads the value; \"transform\": \"cast\" "
      "takes other spellings" },
    { "DropHeaders", "headers that no column names are not stored" },
    { "ExtractField", "\"path\" of a column names the field" },
    { "Filter", "\"where\" says which records are stored" },
    { "Flatten", "\"path\" of a column reaches inside: \"/address/city\"" },
    { "HeaderFrom", "a column with \"header\" takes a header" },
    { "HoistField", "a column with \"path\": \"\" takes the whole value" },
    { "InsertField", "a column with \"meta\" or \"constant\" takes what it "
      "inserts" },
    { "InsertHeader", "a column with \"constant\" takes what it inserts" },
    { "MaskField", "\"transform\": \"mask\" in the column" },
    { "RegexRouter", "it renames topics, so tables: name the table of each "
      "topic in \"table\" or \"topics\"" },
    { "ByLogicalTableRouter", "it renames topics, so tables: name the table of "
      "each topic in \"table\" or \"topics\"" },
    { "TimestampRouter", "tables are not named by the time: use one that is "
      "partitioned by it" },
    { "ReplaceField", "list the columns: \"columns\": { \"new_name\": "
      "\"/old_name\" }" },
    { "SetSchemaMetadata", "nothing depends on a schema's name" },
    { "TimestampConverter", "\"unit\" of the column says what its numbers "
      "are" },
    { "ValueToKey", "\"key\" names columns, which take fields of the value" },
    { NULL, "no counterpart is known: look among the keys of \"columns\"" }
};


/* What a record is: "format" and "registry". */

int
connector_format(const connector_t *cn, buf_t *out)
{
    bool         debezium;
    const char  *key, *value, *frame, *class;

    class = connector_get(cn, "value.converter");
    value = connector_frame(cn, "value.converter");
    key = connector_frame(cn, "key.converter");

    if (value == NULL || key == NULL) {
        return connector_refuse(cn, value ? "key.converter" : "value.converter",
                                "Protobuf is not read: let the producer write "
                                "Avro or JSON");
    }

    /* it reads JsonConverter's schemas too, which are the default */
    frame = connector_get(cn, "value.converter.schemas.enable");
    debezium = cn->sink == CONNECTOR_DEBEZIUM || connector_is_unwrapped(cn)
               || (class && strstr(class, "json.JsonConverter")
                   && (frame == NULL || strcasecmp(frame, "true") == 0));

    if (class == NULL) {
        report_error("look over \"format\": the connector has its converters "
                     "from its worker; JSON is taken for granted");
    } else if (strstr(class, "StringConverter")
               || strstr(class, "ByteArrayConverter"))
    {
        connector_note("value.converter", "a sink needs fields, so the value "
                       "is read as JSON");
    }

    class = connector_get(cn, "key.converter");
    if (class && strstr(class, "Json") == NULL && strstr(class, "Avro") == NULL
        && strstr(class, "String") == NULL)
    {
        connector_note("key.converter", "a key is JSON, Avro or text here");
    }

    if (debezium) {
        buf_addf(out, ",\n    \"format\": \"debezium\"");
    }

    if (strcmp(value, "plain") != 0 || strcmp(key, "plain") != 0) {
        buf_addf(out, ",\n    \"registry\": { \"value\": \"%s\", \"key\": "
                 "\"%s\"", value, key);
        if (strcmp(value, "avro") == 0 || strcmp(key, "avro") == 0) {
            connector_urls(cn, out);
        }
        buf_addf(out, " }");
    }

    buf_addf(out, ",\n");

    return 0;
}


/* Whether a transform takes the row out of a change's envelope. */

static bool
connector_is_unwrapped(const connector_t *cn)
{
    size_t  i;

    for (i = 0; i < cn->n; i++) {
        if (strncmp(cn->pairs[i].name, "transforms.", 11) == 0
            && strstr(cn->pairs[i].value, "ExtractNewRecordState"))
        {
            return true;
        }
    }

    return false;
}


/* How a key or value is framed; NULL: nobody reads that here. */

static const char *
connector_frame(const connector_t *cn, const char *key)
{
    const char  *class;

    class = connector_get(cn, key);

    if (class == NULL) {
        return "plain";
    }

    if (strstr(class, "Protobuf")) {
        return NULL;
    }

    return strstr(class, "AvroConverter") ? "avro"
           : strstr(class, "JsonSchemaConverter") ? "json" : "plain";
}


static void
connector_urls(const connector_t *cn, buf_t *out)
{
    size_t       len;
    const char  *s, *item, *between;

    s = connector_get(cn, "value.converter.schema.registry.url");
    s = s ? s : connector_get(cn, "key.converter.schema.registry.url");

    if (s == NULL) {
        s = "http://127.0.0.1:8081";
        report_error("look over \"url\" of \"registry\": the connector does "
                     "not say where its registry is");
    }

    buf_addf(out, ", \"url\": [");

    for (between = ""; (len = connector_item(&s, &item)) > 0; between = ", ") {
        buf_addf(out, "%s", between);
        connector_string(out, item, len);
    }

    buf_addf(out, "]");
}


void
connector_transforms(const connector_t *cn)
{
    char         name[CONNECTOR_KEY];
    size_t       i, len;
    const char  *last, *type;

    for (i = 0; i < cn->n; i++) {
        if (strncmp(cn->pairs[i].name, "transforms.", 11) != 0) {
            continue;
        }

        last = strchr(cn->pairs[i].name + 11, '.');
        len = last ? (size_t) (last - cn->pairs[i].name) : 0;
        if (len == 0 || len > sizeof(name) - sizeof(".type")) {
            connector_note(cn->pairs[i].name, "it belongs to no transform");
            continue;
        }

        snprintf(name, sizeof(name), "%.*s.type", (int) len,
                 cn->pairs[i].name);
        type = connector_get(cn, name);

        if (type && strstr(type, "ExtractNewRecordState")) {
            if (strcmp(last, ".predicate") == 0 || strcmp(last, ".negate") == 0)
            {
                connector_note(cn->pairs[i].name, "the format is that of all "
                               "records");

            } else if (strstr(last, ".add.") || strstr(last, "route.by.field"))
            {
                connector_note(cn->pairs[i].name, "\"/__op\", \"/__ts_ms\" and "
                               "\"/__source_lsn\" are paths for \"columns\"");
            }

        } else if (strcmp(cn->pairs[i].name, name) == 0) {
            connector_transform(cn, name);

        } else {
            connector_note(cn->pairs[i].name, "it belongs to a transform that "
                           "is not converted");
        }
    }
}


static void
connector_transform(const connector_t *cn, const char *name)
{
    size_t       i, len;
    const char  *type, *class;

    type = connector_get(cn, name);
    class = type ? strrchr(type, '.') : NULL;
    class = class ? class + 1 : type ? type : "";

    for (i = 0; connector_known_transforms[i].type; i++) {
        len = strlen(connector_known_transforms[i].type);
        if (strncmp(class, connector_known_transforms[i].type, len) == 0
            && (class[len] == '\0' || class[len] == '$'))
        {
            break;
        }
    }

    connector_note(name, connector_known_transforms[i].why);
}
