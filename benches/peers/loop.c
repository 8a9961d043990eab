/* The least that a supervisor can do: start N programs by vfork and exec, and start again whatever
 * ends, until standard input is closed. Usage: loop N PROGRAM ARGUMENT */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t start(char **words) {
    pid_t pid = vfork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, 0);
        execv(words[0], words);
        _exit(127);
    }
    return pid;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    int count = atoi(argv[1]);
    pid_t *pids = calloc(count, sizeof *pids);
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, 0);
    int signals = signalfd(-1, &chld, SFD_CLOEXEC);
    for (int i = 0; i < count; i++) pids[i] = start(argv + 2);
    struct pollfd sources[2] = {{signals, POLLIN, 0}, {0, POLLIN, 0}};
    for (;;) {
        if (poll(sources, 2, -1) < 0) continue;
        if (sources[1].revents) break;
        struct signalfd_siginfo news;
        if (read(signals, &news, sizeof news) < 0) continue;
        pid_t ended;
        while ((ended = waitpid(-1, 0, WNOHANG)) > 0)
            for (int i = 0; i < count; i++)
                if (pids[i] == ended) pids[i] = start(argv + 2);
    }
    /* kill(0) and kill(-1) would reach far more than our programs. */
    for (int i = 0; i < count; i++)
        if (pids[i] > 0) kill(pids[i], SIGKILL);
    return 0;
}
