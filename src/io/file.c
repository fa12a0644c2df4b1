#include "io/file.h"

#include "base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <routed/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(const char **why, int code, const char *text)
{
    *why = text;
    return code;
}

static int code_of_errno(void)
{
    if (errno == EACCES || errno == EPERM || errno == EROFS)
        return ROUTED_ERROR_PERMISSION;
    return errno == ENOMEM ? ROUTED_ERROR_MEMORY : ROUTED_ERROR_FILE;
}

static int refuse_open(const char **why)
{
    switch (errno) {
    case ENOENT:
        return refuse(why, ROUTED_ERROR_FILE, "no such file");
    case ENOTDIR:
        return refuse(why, ROUTED_ERROR_FILE, "a part of the path is no folder");
    case EACCES:
    case EPERM:
        return refuse(why, ROUTED_ERROR_PERMISSION, "permission denied");
    case EMFILE:
    case ENFILE:
        return refuse(why, ROUTED_ERROR_FILE, "too many open files");
    default:
        return refuse(why, ROUTED_ERROR_FILE, "cannot be opened");
    }
}

static int read_all(int fd, size_t size, struct buffer *out, const char **why)
{
    uint8_t *room = buffer_reserve(out, size + 1);
    if (!room)
        return refuse(why, ROUTED_ERROR_MEMORY, "out of memory");
    size_t filled = 0;
    while (filled < size) {
        ssize_t count = read(fd, room + filled, size - filled);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return refuse(why, ROUTED_ERROR_FILE, "cannot be read");
        if (count == 0)
            break;
        filled += (size_t)count;
    }
    buffer_commit(out, filled);
    return ROUTED_OK;
}

static int read_checked(int fd, size_t max, bool is_private, struct buffer *out, const char **why)
{
    struct stat s;
    if (fstat(fd, &s) != 0)
        return refuse(why, ROUTED_ERROR_FILE, "cannot be read");
    if (S_ISDIR(s.st_mode))
        return refuse(why, ROUTED_ERROR_FILE, "is a folder");
    if (!S_ISREG(s.st_mode))
        return refuse(why, ROUTED_ERROR_FILE, "is no regular file");
    if (is_private && s.st_mode & S_IRWXO)
        return refuse(why, ROUTED_ERROR_PERMISSION, "is open to every user: chmod o= it");
    if ((uint64_t)s.st_size > max)
        return refuse(why, ROUTED_ERROR_FILE, "is too large");
    return read_all(fd, (size_t)s.st_size, out, why);
}

static int read_file(const char *path, size_t max, bool is_private, struct buffer *out,
                     const char **why)
{
    /* Not blocking: a fifo without a writer must not hold up a start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return refuse_open(why);
    int result = read_checked(fd, max, is_private, out, why);
    close(fd);
    return result;
}

int file_read(const char *path, size_t max, struct buffer *out, const char **why)
{
    return read_file(path, max, false, out, why);
}

int file_read_private(const char *path, size_t max, struct buffer *out, const char **why)
{
    return read_file(path, max, true, out, why);
}

struct file_stamp file_stamp(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return (struct file_stamp){0};
    return (struct file_stamp){.device = (uint64_t)s.st_dev,
                               .inode = (uint64_t)s.st_ino,
                               .size = (uint64_t)s.st_size,
                               .modified_seconds = (int64_t)s.st_mtim.tv_sec,
                               .modified_nanoseconds = (int64_t)s.st_mtim.tv_nsec};
}

bool file_stamp_equals(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_seconds == b->modified_seconds &&
           a->modified_nanoseconds == b->modified_nanoseconds;
}

bool file_is_open_to_all(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && s.st_mode & S_IROTH;
}

bool file_is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* ---- folders ---- */

static char *join(const char *folder, const char *name, const char *ending)
{
    size_t size = strlen(folder) + strlen(name) + strlen(ending) + 2;
    char *path = memory_new(size);
    if (path)
        snprintf(path, size, "%s%s%s%s", folder, *name ? "/" : "", name, ending);
    return path;
}

struct paths {
    char **items;
    size_t count;
    size_t capacity;
};

static void paths_release(struct paths *p)
{
    for (size_t i = 0; i < p->count; i++)
        memory_free(p->items[i]);
    memory_free(p->items);
}

static int paths_append(struct paths *p, const char *folder, const char *name)
{
    if (p->count == FILE_FOLDER_MAX)
        return ROUTED_ERROR_LIMIT;
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? p->capacity * 2 : 16;
        char **grown = memory_resize(p->items, capacity * sizeof(*grown));
        if (!grown)
            return ROUTED_ERROR_MEMORY;
        p->items = grown;
        p->capacity = capacity;
    }
    char *path = join(folder, name, "");
    if (!path)
        return ROUTED_ERROR_MEMORY;
    p->items[p->count++] = path;
    return ROUTED_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_folder(const char *folder, struct paths *p)
{
    DIR *d = opendir(folder);
    if (!d)
        return code_of_errno();
    int result = ROUTED_OK;
    struct dirent *entry;
    while (result == ROUTED_OK && (entry = readdir(d)))
        if (entry->d_name[0] != '.')
            result = paths_append(p, folder, entry->d_name);
    closedir(d);
    return result;
}

int file_each(const char *folder, int (*visit)(void *user, const char *path), void *user)
{
    struct paths paths = {0};
    int result = list_folder(folder, &paths);
    if (result == ROUTED_OK && paths.count)
        qsort(paths.items, paths.count, sizeof(*paths.items), by_name);
    for (size_t i = 0; i < paths.count && result == ROUTED_OK; i++)
        if (!file_is_folder(paths.items[i]))
            result = visit(user, paths.items[i]);
    paths_release(&paths);
    return result;
}

int file_make_folder(const char *path)
{
    if (mkdir(path, 0700) == 0 || (errno == EEXIST && file_is_folder(path)))
        return ROUTED_OK;
    return errno == EEXIST ? ROUTED_ERROR_FILE : code_of_errno();
}

/* ---- writing ---- */

int file_create(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
    return fd >= 0 ? fd : code_of_errno();
}

int file_append(int fd, struct span content)
{
    while (content.size) {
        ssize_t count = write(fd, content.data, content.size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return code_of_errno();
        content = span_after(content, (size_t)count);
    }
    return ROUTED_OK;
}

static int write_beside(const char *path, char *beside, struct span content, bool is_private)
{
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return code_of_errno();
    int result = file_append(fd, content);
    if (result == ROUTED_OK && fsync(fd) != 0)
        result = ROUTED_ERROR_FILE;
    if (result == ROUTED_OK && !is_private && fchmod(fd, 0644) != 0)
        result = code_of_errno();
    close(fd);
    if (result == ROUTED_OK && rename(beside, path) != 0)
        result = code_of_errno();
    if (result != ROUTED_OK)
        unlink(beside);
    return result;
}

int file_write(const char *path, struct span content, bool is_private)
{
    char *beside = join(path, "", ".XXXXXX");
    if (!beside)
        return ROUTED_ERROR_MEMORY;
    int result = write_beside(path, beside, content, is_private);
    memory_free(beside);
    return result;
}
