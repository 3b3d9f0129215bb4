/// \file
/// SQLite's default file system with somebody in between: what a test does to calls, or remembers of them.
#pragma once

#include <sqlite3.h>

#include <map>
#include <string>

namespace chappe {

/// In force while it lives; one at a time. By itself it hands every call on.
class Disk {
 public:
  Disk();
  virtual ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

 protected:
  struct File {
    sqlite3_file* handle = nullptr;
    const sqlite3_io_methods* real = nullptr;
    std::string name;  ///< With its path; "": a temporary one.
  };

  virtual void opened(const File&) {}
  virtual int write(const File& file, const void* bytes, int size, sqlite3_int64 offset);
  virtual int truncate(const File& file, sqlite3_int64 size);
  virtual int sync(const File& file, int flags);
  /// `and_sync`: the directory is synced, too.
  virtual int remove(const char* name, bool and_sync);

 private:
  struct Methods {
    const sqlite3_io_methods* real;
    sqlite3_io_methods ours;
  };
  void take_over(const char* name, sqlite3_file* file);

  static Disk* here;
  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  std::map<const sqlite3_io_methods*, Methods> methods_;
  std::map<sqlite3_file*, File> files_;
};

}  // namespace chappe
