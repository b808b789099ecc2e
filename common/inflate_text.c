/* base64 and fields of forms: at most a byte out for each byte in. */

#include "inflate_text.h"
#include <string.h>


#define BASE64_NONE  64

/* What a form's field is read for. */
enum {
    FORM_NAME = 0,      /* its name, which may be the one that is asked for */
    FORM_VALUE,         /* its value, which is */
    FORM_OTHER,         /* nothing: it is another field */
    FORM_DONE           /* nothing: the field was there */
};


/* The alphabets of RFC 4648, sections 4 and 5. */
static unsigned
base64_digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26U;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52U;
    }

    if (c == '+' || c == '-') {
        return 62;
    }

    return c == '/' || c == '_' ? 63 : BASE64_NONE;
}


inflate_rc_e
inflate_base64(inflate_t *in, const unsigned char *data, size_t *left)
{
    unsigned              digit;
    unsigned char         c;
    const unsigned char  *p, *last;

    p = data;
    last = p + *left;

    while (p < last && in->len < in->size) {
        c = *p++;

        if (c == '\r' || c == '\n') {
            continue;
        }

        if (c == '=' && in->pads < 2) {
            in->pads++;
            continue;
        }

        digit = base64_digit(c == ' ' && in->step->plus ? '+' : c);

        if (digit == BASE64_NONE || in->pads) {
            return INFLATE_DAMAGED;
        }

        in->bits = (in->bits << 6 | digit) & 0xffff;
        in->nbits = (uint8_t) (in->nbits + 6);
        in->digits = (in->digits + 1) & 3;

        if (in->nbits >= 8) {
            in->nbits = (uint8_t) (in->nbits - 8);
            in->out[in->len++] = (unsigned char) (in->bits >> in->nbits);
        }
    }

    *left = (size_t) (last - p);

    return in->len > in->max ? INFLATE_TOO_LARGE : INFLATE_OK;
}


/* Padding may be left out (section 3.2), but not be wrong. */
inflate_rc_e
inflate_base64_end(inflate_t *in)
{
    in->complete = in->digits != 1
                   && (in->pads == 0 || in->digits + in->pads == 4);

    return INFLATE_OK;
}


static int
form_hex(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


inflate_rc_e
inflate_form(inflate_t *in, const unsigned char *data, size_t *left)
{
    int                   hex;
    unsigned char         c;
    const unsigned char  *p, *last;

    p = data;
    last = p + *left;

    while (p < last && in->len < in->size) {

        if (in->state == FORM_DONE) {
            p = last;
            break;
        }

        if (in->state == FORM_OTHER) {
            p = memchr(p, '&', (size_t) (last - p));

            if (p == NULL) {
                p = last;
                break;
            }
        }

        c = *p++;

        if (in->nbits) {
            hex = form_hex(c);

            if (hex < 0) {
                return INFLATE_DAMAGED;
            }

            in->bits = (in->bits << 4 | (uint32_t) hex) & 0xff;

            if (--in->nbits) {
                continue;
            }

            c = (unsigned char) in->bits;

        } else if (c == '&') {
            in->state = in->state == FORM_VALUE
                        || (in->state == FORM_NAME && in->at == in->step->len)
                        ? FORM_DONE : FORM_NAME;
            in->at = 0;
            continue;

        } else if (c == '=' && in->state == FORM_NAME) {
            in->state = in->at == in->step->len ? FORM_VALUE : FORM_OTHER;
            continue;

        } else if (c == '%') {
            in->nbits = 2;
            continue;

        } else if (c == '+') {
            c = ' ';
        }

        if (in->state == FORM_VALUE) {
            in->out[in->len++] = c;

        } else if (in->at < in->step->len
                   && in->step->name[in->at] == (char) c)
        {
            in->at++;

        } else {
            in->state = FORM_OTHER;
        }
    }

    *left = (size_t) (last - p);

    return in->len > in->max ? INFLATE_TOO_LARGE : INFLATE_OK;
}


inflate_rc_e
inflate_form_end(inflate_t *in)
{
    if (in->nbits) {
        return INFLATE_DAMAGED;
    }

    in->complete = in->state == FORM_VALUE || in->state == FORM_DONE
                   || (in->state == FORM_NAME && in->at == in->step->len);

    return INFLATE_OK;
}
