/* Writes so many numbered lines of 64 bytes to standard output, as fast as it can. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    long lines = argc > 1 ? atol(argv[1]) : 0;
    static char block[1024 * 64];
    for (long line = 0; line < lines;) {
        int used = 0;
        for (; line < lines && used < (int)sizeof block; line++, used += 64) {
            char text[80];
            snprintf(text, sizeof text, "%020ld %042d\n", line, 0);
            __builtin_memcpy(block + used, text, 64);
        }
        for (int sent = 0; sent < used;) {
            long count = write(1, block + sent, used - sent);
            if (count <= 0) return 1;
            sent += count;
        }
    }
    return 0;
}
