// A program that misbehaves in the way that PATH_INFO says, with a number behind it where that makes sense.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile int zero;

__attribute__((noinline)) static int recurse(int depth) {
    return zero ? 0 : 3 * recurse(depth + 1) + depth;
}

static void spin(void) {
    while (!zero) continue;
}

static void sleep_long(void) {
    struct timespec hour = {3600, 0};
    nanosleep(&hour, NULL);
}

// Writes n zero bytes as fast as they are taken.
static void output(long n) {
    static char zeroes[65536];
    while (n > 0) {
        ssize_t written = write(1, zeroes, n < (long)sizeof zeroes ? n : (long)sizeof zeroes);
        if (written < 0) exit(3);
        n -= written;
    }
}

static void begin(void) {
    fputs("content-type: text/plain\n\npartial", stdout);
    fflush(stdout);
}

int main(void) {
    char path[64] = "";
    const char *given = getenv("PATH_INFO");
    if (given != NULL) strncpy(path, given + 1, sizeof path - 1);
    char *slash = strchr(path, '/');
    long n = slash ? atol(slash + 1) : 0;
    if (slash) *slash = 0;
    if (!strcmp(path, "loop")) spin();
    if (!strcmp(path, "loop-late")) begin(), spin();
    if (!strcmp(path, "sleep")) sleep_long();
    if (!strcmp(path, "sleep-late")) begin(), sleep_long();
    if (!strcmp(path, "trap")) __builtin_trap();
    if (!strcmp(path, "trap-late")) begin(), __builtin_trap();
    if (!strcmp(path, "recursion")) return recurse(0);
    if (!strcmp(path, "exit")) begin(), exit(n);
    if (!strcmp(path, "exit-late")) {
        begin();
        struct timespec moment = {0, 1000000};
        nanosleep(&moment, NULL);
        exit(n);
    }
    if (!strcmp(path, "silent")) return 0;
    if (!strcmp(path, "no-headers")) fputs("hello\n\nworld", stdout);
    if (!strcmp(path, "no-end")) fputs("content-type: text/plain\n", stdout);
    if (!strcmp(path, "bad-status")) fputs("status: 99\n\n", stdout);
    if (!strcmp(path, "length")) fputs("status: 200\ncontent-length: 10\n\nfive.", stdout);
    if (!strcmp(path, "head")) output(n);
    if (!strcmp(path, "output")) begin(), output(n);
    if (!strcmp(path, "unread")) begin();
    if (!strcmp(path, "stderr"))
        for (;;) fputs("\033[31mred\r\n", stderr);
    if (!strcmp(path, "memory")) {
        for (char *volatile block; (block = malloc(65536)) != NULL;) memset(block, 1, 65536);
        begin();
    }
    if (!strcmp(path, "files")) {
        long count = 0;
        while (count < 1000 && open("/a.txt", O_RDONLY) >= 0) count++;
        printf("content-type: text/plain\n\n%ld", count);
    }
    if (!strcmp(path, "random")) {
        static char bytes[65536];
        for (;;) getentropy(bytes, 256);
    }
    if (!strcmp(path, "calls"))
        for (;;) write(2, "", 0);
    return 0;
}
