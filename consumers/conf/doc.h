/* Prints the table of keys for people and for tests/manual. */

#ifndef SLUICE_CONF_DOC_H
#define SLUICE_CONF_DOC_H


/*
 * Prints the keys to standard output as "text", or as "json": an array with an
 * object for each key.  Its members are those of conf_key_t that the key has;
 * "takes" says in words what the key takes; "default" and "example" are JSON in
 * a string, "schema" is the inside of an object.  Returns 0, or -1 for another
 * format, with the reason on standard error.
 */
int conf_doc(const char *format);


#endif
