#include "io/private_socket.h"

#include <fcntl.h>
#include <routed/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_NAME "routed-XXXXXX"
#define SOCKET_NAME    "engine.sock"

static int error_of_directory(void)
{
    return access("/tmp", W_OK) == 0 ? ROUTED_ERROR_SYSTEM : ROUTED_ERROR_PERMISSION;
}

/* False when it cannot be made there, for example because the name is too long for a socket. */
static bool make_directory(const char *base, char *directory, size_t size)
{
    int length = snprintf(directory, size, "%s/" DIRECTORY_NAME, base);
    return length > 0 && (size_t)length < size && mkdtemp(directory) != NULL;
}

static bool make_any_directory(char *directory, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    return (runtime && *runtime == '/' && make_directory(runtime, directory, size)) ||
           make_directory("/tmp", directory, size);
}

static int hold_path(const char *path)
{
    struct stat status;
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return ROUTED_ERROR_SYSTEM;
    if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) && status.st_uid == geteuid())
        return fd;
    close(fd);
    return ROUTED_ERROR_PERMISSION;
}

/* Both descriptors of a socket at `path`. */
static int listen_at(struct private_socket *s, const char *path)
{
    struct socket_listen_options options = {0};
    int error = socket_address_unix(path, &s->address);
    if (error)
        return error;
    s->listener = socket_listen(&s->address, &options);
    if (s->listener < 0)
        return s->listener;
    if (chmod(path, S_IRUSR | S_IWUSR) != 0)
        return ROUTED_ERROR_PERMISSION;
    s->path = hold_path(path);
    return s->path < 0 ? s->path : ROUTED_OK;
}

/* The address by descriptor, if this system can connect to one. */
static int address_by_descriptor(struct private_socket *s)
{
    char path[32];
    struct stat status;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", s->path);
    if (stat(path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return ROUTED_ERROR_UNSUPPORTED;
    return socket_address_unix(path, &s->address);
}

int private_socket_open(struct private_socket *s)
{
    char directory[80];
    char path[sizeof(directory) + sizeof(SOCKET_NAME) + 1];
    *s = PRIVATE_SOCKET_CLOSED;
    if (!make_any_directory(directory, sizeof(directory)))
        return error_of_directory();
    snprintf(path, sizeof(path), "%s/" SOCKET_NAME, directory);
    int error = listen_at(s, path);
    unlink(path);
    rmdir(directory);
    if (!error)
        error = address_by_descriptor(s);
    if (error)
        private_socket_close(s);
    return error;
}

void private_socket_close(struct private_socket *s)
{
    if (s->listener >= 0)
        close(s->listener);
    if (s->path >= 0)
        close(s->path);
    *s = PRIVATE_SOCKET_CLOSED;
}
