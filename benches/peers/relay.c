/* relay FILE: moves standard input into FILE as a log plane has to that must survive SIGKILL at any
 * moment: wait for the pipe, splice what it holds into a pipe that would outlive this process, splice
 * that to the end of the file. What a line waits here beside `cat` is the price of that, and no
 * supervisor that pays it can be quicker. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int staging[2], ready = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    int file = argc > 1 ? open(argv[1], O_WRONLY | O_CREAT, 0666) : -1;
    if (file < 0 || pipe(staging) || epoll_ctl(ready, EPOLL_CTL_ADD, 0, &event)) return 1;
    for (;;) {
        struct statx about;
        if (epoll_wait(ready, &event, 1, -1) < 1) continue;
        /* Somebody else may have truncated it. */
        if (statx(file, "", AT_EMPTY_PATH, STATX_SIZE, &about)) return 1;
        loff_t end = about.stx_size;
        ssize_t held = splice(0, 0, staging[1], 0, 65536, SPLICE_F_NONBLOCK);
        if (held == 0) return 0;
        while (held > 0) {
            ssize_t moved = splice(staging[0], 0, file, &end, held, SPLICE_F_NONBLOCK);
            if (moved <= 0) return 1;
            held -= moved;
        }
    }
}
