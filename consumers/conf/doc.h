/* The table of keys, printed: for people, and for what writes the manuals. */

#ifndef SLUICE_CONF_DOC_H
#define SLUICE_CONF_DOC_H


/*
 * Prints the keys to standard output as "text" or "json": an array with an
 * object a key, whose members are those of conf_key_t that the key has and, in
 * words, what it "takes".  "default" and "example" are texts of JSON, "schema"
 * is the inside of an object.  Returns 0, or -1 for another word, which
 * standard error then names.
 */
int conf_doc(const char *format);


#endif
