/* lines COUNT SIZE PER_WRITE PAUSE_US RECORD: writes COUNT numbered lines of SIZE bytes to standard
 * output, PER_WRITE of them in each write, with a pause after each. Every line begins with its number
 * (20 digits) and the moment of its write (CLOCK_MONOTONIC, ns, 20 digits). Afterwards RECORD holds the
 * 50th, 99th and 99.9th percentile of the durations of the writes, and their sum, in ns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void digits(char *to, long number) {
    for (int at = 19; at >= 0; at--, number /= 10) to[at] = '0' + number % 10;
}

static int ascending(const void *a, const void *b) {
    long left = *(const long *)a, right = *(const long *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv) {
    if (argc < 6) return 2;
    long count = atol(argv[1]), size = atol(argv[2]), per = atol(argv[3]), pause = atol(argv[4]);
    long writes = (count + per - 1) / per, sum = 0, done = 0;
    long *took = malloc(writes * sizeof *took);
    char *block = malloc(per * size);
    memset(block, 'x', per * size);
    for (long number = 0; number < count; done++) {
        long used = 0, begin = now();
        for (; used < per && number < count; used++, number++) {
            char *line = block + used * size;
            digits(line, number);
            digits(line + 20, begin);
            line[size - 1] = '\n';
        }
        begin = now();
        for (long sent = 0; sent < used * size;) {
            long more = write(1, block + sent, used * size - sent);
            if (more <= 0) return 1;
            sent += more;
        }
        took[done] = now() - begin;
        sum += took[done];
        if (pause) usleep(pause);
    }
    qsort(took, done, sizeof *took, ascending);
    FILE *record = fopen(argv[5], "w");
    if (!record) return 1;
    fprintf(record, "%ld %ld %ld %ld\n", took[done / 2], took[done * 99 / 100],
            took[done * 999 / 1000], sum);
    return fclose(record);
}
