#include "storage/sqlite/audit_chain.h"

#include <fmt/format.h>

#include "storage/digest/digest.h"
#include "storage/sqlite/tables.h"

namespace chappe::sqlite {
namespace {

std::string hash_of(const Connection& connection, std::uint64_t number) {
  Statement statement(connection, "SELECT hash FROM audit WHERE row = ?1");
  if (!statement.query(number).step()) {
    throw Failed{{ErrorCode::kNotFound, fmt::format("the audit log has no row {}", number)}};
  }
  auto hash = statement.next<std::string>();
  statement.reset();
  return hash;
}

/// What is wrong with an entry that comes behind the row that `so_far` ends with; "": nothing.
std::string complaint(const AuditVerdict& so_far, const AuditEntry& entry) {
  if (entry.number != so_far.last + 1) {
    return fmt::format("row {} is followed by row {}: what was between them is gone", so_far.last, entry.number);
  }
  // Rows from before there was a chain have no hash; behind a row that has one, none may lack it.
  if (so_far.head.empty() && entry.hash.empty()) return "";
  if (entry.hash == chain_hash(so_far.head, entry.number, entry.row)) return "";
  return fmt::format("row {} is not as it was written, or the row before it is not", entry.number);
}

}  // namespace

std::string chain_hash(std::string_view hash_before, std::uint64_t number, const AuditRow& row) {
  Sha256 hash;
  const auto add = [&](std::string_view text) {
    hash.update(fmt::format("{}:", text.size()));
    hash.update(text);
  };
  add(hash_before);
  add(std::to_string(number));
  add(std::to_string(row.at.us));
  for (const auto* text : {&row.principal, &row.verb, &row.object, &row.detail, &row.source, &row.result}) add(*text);
  return to_hex(hash.finish());
}

AuditEnd end_of_audit(const Connection& connection) {
  AuditEnd end;
  Statement statement(connection, "SELECT row, hash FROM audit ORDER BY row DESC LIMIT 1");
  if (!statement.query().step()) return end;
  statement.read(end.number, end.hash);
  statement.reset();
  return end;
}

AuditVerdict follow_chain(const Connection& connection, std::uint64_t after, std::size_t limit) {
  AuditVerdict verdict{.last = after};
  if (after != 0) verdict.head = hash_of(connection, after);
  Statement rows(connection, select_sql<AuditEntry>("WHERE t.row > ?1 ORDER BY t.row LIMIT ?2"));
  rows.query(after, limit);
  while (rows.step()) {
    AuditEntry entry;
    read_row(rows, entry);
    verdict.why = complaint(verdict, entry);
    if (!verdict.why.empty()) {
      verdict.broken = entry.number;
      break;
    }
    ++verdict.rows;
    verdict.last = entry.number;
    verdict.head = std::move(entry.hash);
  }
  return verdict;
}

}  // namespace chappe::sqlite
