/* io/file.h: whole files: read, written for the owner alone, listed, compared with before.
 *
 * These calls block: they belong to starts and reloads, never to a loop's turn; only file_stamp
 * is quick enough to be asked now and then. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "base/buffer.h"

/* Appends the content to `out`. Directories, devices and files above `max` bytes are refused.
 * ROUTED_OK, ROUTED_ERROR_FILE, _PERMISSION or _MEMORY, and then `why` (never NULL) says in words
 * what is wrong, for example "no such file": static. */
int file_read(const char *path, size_t max, struct buffer *out, const char **why);

/* The same for a file with a secret: one that everybody may read, write or run is refused. */
int file_read_private(const char *path, size_t max, struct buffer *out, const char **why);

/* May every user of the machine read it? False where there is none. */
bool file_is_open_to_all(const char *path);

/* What changes when a file is written, replaced or removed. All zero: there is none. */
struct file_stamp {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    int64_t modified_seconds;
    int64_t modified_nanoseconds;
};

struct file_stamp file_stamp(const char *path);
bool file_stamp_equals(const struct file_stamp *a, const struct file_stamp *b);
bool file_is_folder(const char *path);

/* Calls `visit` with the path of each file in a folder, in the order of their names, hidden ones
 * left out; ends early, with that result, when it returns anything but ROUTED_OK.
 * ROUTED_ERROR_FILE or _PERMISSION when the folder cannot be read, _MEMORY, _LIMIT above
 * FILE_FOLDER_MAX files. */
#define FILE_FOLDER_MAX 4096
int file_each(const char *folder, int (*visit)(void *user, const char *path), void *user);

/* Makes an empty file for this user alone (0600) that must not have been there: the descriptor for
 * file_append and system_close, or ROUTED_ERROR_FILE, _PERMISSION or _MEMORY. */
int file_create(const char *path);
/* ROUTED_OK, or an error when not all of it was written. */
int file_append(int fd, struct span content);
/* Writes a file that appears whole or not at all, replacing one that is there: mode 0600 when
 * `is_private`, else 0644. ROUTED_OK, ROUTED_ERROR_FILE, _PERMISSION or _MEMORY. */
int file_write(const char *path, struct span content, bool is_private);
/* Makes a folder for this user alone (0700) where there is none; its parent must exist. */
int file_make_folder(const char *path);

#endif
