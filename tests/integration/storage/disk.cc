#include "tests/integration/storage/disk.h"

#include <utility>

namespace chappe {

Disk* Disk::here = nullptr;

Disk::Disk() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
  vfs_.zName = "in_between";
  vfs_.pNext = nullptr;
  vfs_.xOpen = [](sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
    const int code = here->real_->xOpen(here->real_, name, file, flags, out);
    if (code == SQLITE_OK) here->take_over(name, file);
    return code;
  };
  vfs_.xDelete = [](sqlite3_vfs*, const char* name, int and_sync) { return here->remove(name, and_sync != 0); };
  here = this;
  sqlite3_vfs_register(&vfs_, 1);
}

Disk::~Disk() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(real_, 1);
  here = nullptr;
}

void Disk::take_over(const char* name, sqlite3_file* file) {
  const auto [found, is_new] = methods_.try_emplace(file->pMethods, Methods{file->pMethods, *file->pMethods});
  Methods& methods = found->second;
  if (is_new) {
    methods.ours.xWrite = [](sqlite3_file* of, const void* bytes, int size, sqlite3_int64 offset) {
      return here->write(here->files_.at(of), bytes, size, offset);
    };
    methods.ours.xTruncate = [](sqlite3_file* of, sqlite3_int64 size) {
      return here->truncate(here->files_.at(of), size);
    };
    methods.ours.xSync = [](sqlite3_file* of, int flags) { return here->sync(here->files_.at(of), flags); };
    methods.ours.xClose = [](sqlite3_file* of) {
      const File closed = std::move(here->files_.extract(of).mapped());
      return closed.real->xClose(of);
    };
  }
  const File& taken = files_[file] = {.handle = file, .real = methods.real, .name = name == nullptr ? "" : name};
  file->pMethods = &methods.ours;
  opened(taken);
}

int Disk::write(const File& file, const void* bytes, int size, sqlite3_int64 offset) {
  return file.real->xWrite(file.handle, bytes, size, offset);
}

int Disk::truncate(const File& file, sqlite3_int64 size) { return file.real->xTruncate(file.handle, size); }

int Disk::sync(const File& file, int flags) { return file.real->xSync(file.handle, flags); }

int Disk::remove(const char* name, bool and_sync) { return real_->xDelete(real_, name, and_sync ? 1 : 0); }

}  // namespace chappe
