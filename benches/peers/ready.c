/* A program to be supervised: tells its pid through a FIFO, then sleeps. */
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int fifo = open(argc > 1 ? argv[1] : "", O_WRONLY);
    int pid = getpid();
    if (fifo < 0 || write(fifo, &pid, sizeof pid) != sizeof pid) return 1;
    close(fifo);
    for (;;) pause();
}
