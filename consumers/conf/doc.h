/* The table of keys as text: help, manual and JSON Schema. */

#ifndef SLUICE_CONF_DOC_H
#define SLUICE_CONF_DOC_H


/*
 * Prints the keys to standard output as "text", "markdown" (the table of
 * docs/reference/consumer.md), "mdoc" (the list of sluice-consumer.conf(5)) or
 * "schema" (a JSON Schema for editors).  Returns 0, or -1 for another word.
 */
int conf_doc(const char *format);


#endif
