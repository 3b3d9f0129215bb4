#include "storage/sqlite/connection.h"

#include <fmt/format.h>

#include "proto/json/json.h"

namespace chappe::sqlite {
namespace {

ErrorCode code_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kCorrupt;
    case SQLITE_CONSTRAINT:
      return ErrorCode::kConflict;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
      return ErrorCode::kPermissionDenied;
    case SQLITE_CANTOPEN:
      return ErrorCode::kNotFound;
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return ErrorCode::kInvalidInput;
    default:
      return ErrorCode::kUnavailable;
  }
}

std::string_view remedy(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return " (the disk is full: free some space, then start again)";
    case SQLITE_CORRUPT:
      return " (the file is damaged: restore it from a backup)";
    case SQLITE_NOTADB:
      return " (this file is no SQLite database, or its first page is damaged)";
    case SQLITE_INTERRUPT:
      return " (the read took too long: ask for less at a time)";
    case SQLITE_IOERR:
      return " (look into the kernel's log for disk errors)";
    default:
      return "";
  }
}

}  // namespace

Connection::Connection(const std::filesystem::path& path, int flags) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(handle);
  check(code, "open");
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  // Nobody else writes: what there is to wait for is a reader that opens, or a checkpoint's last moments.
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON");
}

void Connection::execute(const char* sql) { check(sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr), sql); }

void Connection::check(int code, std::string_view what) const {
  if (code != SQLITE_OK) raise(code, what);
}

void Connection::raise(int code, std::string_view what) const {
  const std::string_view shown = what.substr(0, 120);
  const char* message = handle() != nullptr ? sqlite3_errmsg(handle()) : sqlite3_errstr(code);
  throw Failed{{code_of(code), fmt::format("{}: {}{}", shown, message, remedy(code))}};
}

Statement::Statement(const Connection& connection, const std::string& sql) : connection_(&connection) {
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(connection.handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  handle_.reset(handle);
  connection.check(code, sql);
}

void Statement::end(int code) {
  if (code != SQLITE_DONE) {
    const Error error = [&] {
      try {
        connection_->raise(code, sqlite3_sql(handle_.get()));
      } catch (Failed& failed) {
        return std::move(failed.error);
      }
    }();
    sqlite3_reset(handle_.get());
    throw Failed{error};
  }
  sqlite3_reset(handle_.get());
}

void Statement::corrupt() const {
  throw Failed{
      {ErrorCode::kCorrupt, fmt::format("column {} of \"{}\" holds what cannot stand there (the file is damaged "
                                        "or was edited: restore it from a backup)",
                                        column_ - 1, sqlite3_sql(handle_.get()))}};
}

void Statement::read_next(std::string& text) {
  const int column = column_++;
  // As bytes: column_text() would end them with a NUL, and without memory for that return nothing, as if there were
  // none.
  const auto* begin = static_cast<const char*>(sqlite3_column_blob(handle_.get(), column));
  const int size = sqlite3_column_bytes(handle_.get(), column);
  if (size > 0) text.assign(begin, static_cast<std::size_t>(size));
}

void Statement::read_next(RunId& id) {
  const std::optional<RunId> parsed = RunId::parse(next<std::string>());
  if (!parsed) corrupt();
  id = *parsed;
}

std::string Statement::joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ","));
}

void Statement::read_next(std::vector<std::string>& words) {
  const auto text = next<std::string>();
  words.clear();
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

void Statement::read_next(Value& value) {
  Result<Value> parsed = parse_json(next<std::string>());
  if (!parsed) corrupt();
  value = std::move(*parsed);
}

void Statement::bind(int position, const CacheParts& parts, sqlite3_destructor_type) {
  ValueMap map;
  for (const auto& [name, digest] : parts) map.emplace_back(name, digest);
  bind(position, to_json(map), SQLITE_TRANSIENT);
}

void Statement::read_next(CacheParts& parts) {
  Value value;
  read_next(value);
  if (value.as_map() == nullptr) corrupt();
  parts.clear();
  for (const auto& [name, digest] : *value.as_map()) parts.emplace_back(name, to_text(digest));
}

}  // namespace chappe::sqlite
