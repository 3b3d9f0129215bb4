/// \file
/// The tables and views of the metadata store, and how a file of an older Chappe becomes one of today.
#pragma once

#include <span>

#include "storage/sqlite/connection.h"

namespace chappe::sqlite {

/// One step of the schema, never changed once it was released. Versions grow.
struct Migration {
  std::int64_t version;
  const char* name;
  const char* sql;
};

/// All of them, oldest first.
std::span<const Migration> migrations();

/// In the file's header: "CHAP".
inline constexpr std::int64_t kApplicationId = 0x43484150;

/// What sort of file `connection` has open. Throws Failed: kCorrupt where it cannot be read, kInvalidInput where it is
/// another program's database, or where a newer Chappe wrote it than `known`. True: it is empty, or older than `known`.
bool needs_migration(Connection& connection, std::span<const Migration> known);

/// Brings the schema up to the last of `known`, in one transaction: all of them, or none. Throws Failed as above.
void migrate(Connection& connection, std::span<const Migration> known, WallTime now);

}  // namespace chappe::sqlite
