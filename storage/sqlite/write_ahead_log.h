/// \file
/// Keeps SQLite's write-ahead log short, and its blocks allocated before a commit needs them.
///
/// A commit that makes the file grow costs about twice the fdatasync of one that writes over allocated blocks. So the
/// file is filled up to its mark when there is time, and not shortened while the store is open; after a checkpoint
/// SQLite writes from its beginning again, unless a reader still holds an older snapshot. A clean close removes it: a
/// log that stayed would be replayed over a database file that somebody restored from a backup.
#pragma once

#include <cstdint>
#include <filesystem>

#include "storage/sqlite/connection.h"

namespace chappe::sqlite {

class WriteAheadLog {
 public:
  /// `idle_bytes`: what idle() lets stand. `busy_bytes`: what after_commit() lets stand.
  WriteAheadLog(const Connection& connection, std::filesystem::path database, std::uint64_t idle_bytes,
                std::uint64_t busy_bytes);
  WriteAheadLog(const WriteAheadLog&) = delete;
  WriteAheadLog& operator=(const WriteAheadLog&) = delete;

  /// Moves the log into the database where it is long, at most once each `busy_bytes` of growth. Past four times that,
  /// which takes readers that overlap without end, it waits up to kReadersWaitMs for them. Throws Failed.
  void after_commit();
  /// Moves it where it is longer than `idle_bytes`, or else allocates up to kFillBytes of it. Throws Failed.
  void idle();

  static constexpr int kReadersWaitMs = 100;
  static constexpr std::uint64_t kFillBytes = std::uint64_t{1} << 20;

 private:
  void grown_to(std::uint64_t pages);
  void checkpoint(int mode);
  void fill();

  const Connection& connection_;
  std::filesystem::path file_;
  std::uint64_t idle_bytes_;
  std::uint64_t busy_bytes_;
  std::uint64_t bytes_ = 0;      ///< In the log, moved or not.
  std::uint64_t moved_ = 0;      ///< Of them, in the database too.
  std::uint64_t next_mark_ = 0;  ///< When after_commit() acts.
  bool filled_ = false;
};

}  // namespace chappe::sqlite
