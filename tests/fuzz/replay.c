/* Runs a fuzz target over the files named, as a program of its own. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define REPLAY_MAX  (1 << 20)    /* bytes of one input */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
main(int argc, char **argv)
{
    int       i;
    FILE     *file;
    size_t    len;
    uint8_t  *data;

    static uint8_t  input[REPLAY_MAX];

    for (i = 1; i < argc; i++) {
        file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 1;
        }

        len = fread(input, 1, REPLAY_MAX, file);
        (void) fclose(file);

        /* of its own size, so that reading on is seen */
        data = malloc(len + (len == 0));
        memcpy(data, input, len);

        (void) LLVMFuzzerTestOneInput(data, len);
        free(data);
    }

    printf("%d inputs\n", argc - 1);

    return 0;
}
