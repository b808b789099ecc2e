/* Inside the decoders: what is text, base64 and forms. */

#ifndef SLUICE_INFLATE_TEXT_H
#define SLUICE_INFLATE_TEXT_H


#include "inflate.h"


inflate_rc_e inflate_base64(inflate_t *in, const unsigned char *data,
    size_t *left);
inflate_rc_e inflate_form(inflate_t *in, const unsigned char *data,
    size_t *left);

/* At the end of the data: sets in->complete. */
inflate_rc_e inflate_base64_end(inflate_t *in);
inflate_rc_e inflate_form_end(inflate_t *in);


#endif
