/// \file
/// The audit log as a chain: each row holds a hash over its own fields and the hash before it.
///
///   hash(n) = hex(SHA-256(text(hash(n-1)) text(n) text(at) text(principal) text(verb) text(object) text(detail)
///                         text(source) text(result)))       text(x) = decimal length of x, ":", x; numbers in decimal
///
/// So a row that was changed, removed from the middle or put in between no longer fits. Whoever can write the file can
/// also compute a whole new chain: the hash at its end, kept elsewhere, shows that, and that rows were cut off.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/ports/meta_reader.h"
#include "storage/sqlite/connection.h"

namespace chappe::sqlite {

/// Where the next row goes on.
struct AuditEnd {
  std::uint64_t number = 0;  ///< Of the last row; 0: there is none.
  std::string hash;
};

std::string chain_hash(std::string_view hash_before, std::uint64_t number, const AuditRow& row);
AuditEnd end_of_audit(const Connection& connection);

/// As MetaReader::verify_audit(). Cost: O(limit).
AuditVerdict follow_chain(const Connection& connection, std::uint64_t after, std::size_t limit);

}  // namespace chappe::sqlite
