/* Names of keywords and types. */

#include <string.h>

#include "schema/schema_keyword.h"


#define SCHEMA_NAMED(keyword, name, ...)  name,

const char *const  schema_keywords[] = {
    SCHEMA_RULES(SCHEMA_NAMED)
    SCHEMA_OTHERS(SCHEMA_NAMED)
};

const schema_type_t  schema_types[] = {
    { "null",    SCHEMA_NULL    },
    { "boolean", SCHEMA_BOOLEAN },
    { "integer", SCHEMA_INTEGER },
    { "number",  SCHEMA_NUMBER  },
    { "string",  SCHEMA_STRING  },
    { "array",   SCHEMA_ARRAY   },
    { "object",  SCHEMA_OBJECT  },
    { NULL,      0              }
};

const schema_type_t  schema_kinds[] = {
    [JSON_NULL]   = { "null",    SCHEMA_NULL    },
    [JSON_FALSE]  = { "boolean", SCHEMA_BOOLEAN },
    [JSON_TRUE]   = { "boolean", SCHEMA_BOOLEAN },
    [JSON_NUMBER] = { "number",  SCHEMA_NUMBER  },
    [JSON_STRING] = { "string",  SCHEMA_STRING  },
    [JSON_ARRAY]  = { "array",   SCHEMA_ARRAY   },
    [JSON_OBJECT] = { "object",  SCHEMA_OBJECT  }
};


schema_keyword_t
schema_keyword(const json_doc_t *doc, uint32_t token)
{
    schema_keyword_t  i;

    for (i = SCHEMA_TYPE; i < SCHEMA_UNKNOWN; i++) {
        if (json_equals(doc, token, schema_keywords[i],
                        strlen(schema_keywords[i])))
        {
            break;
        }
    }

    return i;
}
