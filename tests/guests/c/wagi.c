// A program that speaks CGI and behaves: PATH_INFO says what it answers with.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char *path;

// What stands behind a prefix of the path, or NULL.
static const char *after(const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(path, prefix, length) == 0 ? path + length : NULL;
}

static void plain(void) { fputs("content-type: text/plain\n\n", stdout); }

static void echo(void) {
    static char buffer[65536];
    ssize_t count;
    plain();
    fflush(stdout);
    while ((count = read(0, buffer, sizeof buffer)) > 0) {
        for (ssize_t done = 0; done < count;) {
            ssize_t written = write(1, buffer + done, count - done);
            if (written < 0) exit(3);
            done += written;
        }
    }
    if (count < 0) exit(4);
}

static void read_file(const char *name) {
    FILE *file = fopen(name, "rb");
    if (file == NULL) {
        printf("status: 403\n\nerrno %d %s\n", errno, strerror(errno));
        return;
    }
    plain();
    for (int byte; (byte = fgetc(file)) != EOF;) putchar(byte);
    fclose(file);
}

static void list(const char *name) {
    DIR *folder = opendir(name);
    plain();
    if (folder == NULL) return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) puts(entry->d_name);
    closedir(folder);
}

static void write_file(const char *name) {
    int failure = open(name, O_CREAT | O_WRONLY, 0600) < 0 ? errno : 0;
    plain();
    printf("errno %d\n", failure);
}

static void upload(void) {
    static char buffer[65536];
    long total = 0;
    for (ssize_t count; (count = read(0, buffer, sizeof buffer)) > 0;) total += count;
    plain();
    printf("%ld", total);
}

static void say_time(void) {
    struct timespec begin, end, pause = {0, 5000000};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    long long slept = (end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec;
    plain();
    printf("%d", slept >= 5000000 && time(NULL) > 1700000000);
}

int main(int argc, char **argv) {
    const char *name;
    path = getenv("PATH_INFO");
    if (path == NULL) path = "";
    if (strcmp(path, "/env") == 0) {
        plain();
        for (char **variable = environ; *variable; variable++) puts(*variable);
    } else if (strcmp(path, "/args") == 0) {
        plain();
        for (int number = 0; number < argc; number++) puts(argv[number]);
    } else if (strcmp(path, "/echo") == 0) {
        echo();
    } else if (strcmp(path, "/upload") == 0) {
        upload();
    } else if (strcmp(path, "/time") == 0) {
        say_time();
    } else if (strcmp(path, "/location") == 0) {
        puts("Location: /elsewhere\n");
    } else if (strcmp(path, "/status") == 0) {
        puts("Status: 418 I'm a teapot\nX-Tea: green\n\nshort and stout");
    } else if ((name = after("/read")) != NULL) {
        read_file(name);
    } else if ((name = after("/list")) != NULL) {
        list(name);
    } else if ((name = after("/write")) != NULL) {
        write_file(name);
    } else if ((name = after("/log/")) != NULL) {
        fprintf(stderr, "%s\n", name);
        plain();
    } else {
        plain();
        fputs("hello", stdout);
    }
    return 0;
}
