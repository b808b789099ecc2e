/* Text: UTF-8, escapes, hexadecimal and decimal digits. */

#ifndef SLUICE_TEXT_H
#define SLUICE_TEXT_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"


/* How many bytes of "s" come before the first that is zero or not ASCII. */
size_t text_ascii(const char *s, size_t len);

/* Whether the bytes are UTF-8 (RFC 3629, section 4) without a zero byte. */
bool text_is_utf8(const char *s, size_t len);

/* Appends the inside of a JSON string (RFC 8259, section 7) for UTF-8. */
void text_add_json(buf_t *buf, const char *s, size_t len);

/* Writes two lower-case hexadecimal digits a byte; returns behind them. */
char *text_put_hex(char *p, const void *bytes, size_t len);

/*
 * The bytes that "len" hexadecimal digits stand for; returns behind them, or
 * NULL if there is another character.
 */
char *text_get_hex(char *p, const char *digits, size_t len);

/* Writes a number, at most 20 bytes; returns behind it. */
char *text_put_int(char *p, int64_t n);

/* Writes the last "digits" digits of a number; returns behind them. */
char *text_put_digits(char *p, int64_t n, int digits);

/*
 * Appends the whole number of at most TEXT_DECIMAL bytes in two's complement,
 * first byte first; "scale" of its digits are decimals.  Returns 0, or -1 when
 * memory is short.
 */
int text_add_decimal(buf_t *buf, const char *s, size_t len, int32_t scale);

#define TEXT_DECIMAL  1024    /* numeric(1000) has 416 */

/*
 * The whole number "s", with or without '-', as a signed integer of "size"
 * bytes (2, 4 or 8).  Returns 0; 1 if it is out of range; -1 if it is none.
 */
int text_get_int(const char *s, size_t len, size_t size, int64_t *n);


#endif
