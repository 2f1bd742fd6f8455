/* log/delete.h - removing files and directories, at once or later. */
#pragma once

#include "log/state.h"

/* Remove all files in `dir`, then `dir`. */
void dir_remove(struct io *io, const char *dir, struct op *op);

/* After file.delete.delay.ms. `paths` are joined, each with its terminator. */
void delete_files_later(struct log *log, const struct text *paths);
void delete_dir_later(struct log *log, const char *dir);
