/// \file
/// SQLite's C interface as this folder uses it: connections, statements bound and read by position, errors.
///
/// Failures are thrown as Failed here and turned into Results by catching() at the folder's edge.
#pragma once

#include <sqlite3.h>

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/run/records.h"

namespace chappe::sqlite {

/// Never leaves this folder.
struct Failed {
  Error error;
};

/// Runs `work`; what it throws comes back as an Error that begins with `what`.
template <typename Work>
auto catching(std::string_view what, Work&& work) -> Result<std::invoke_result_t<Work>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Work>>) {
      work();
      return {};
    } else {
      return work();
    }
  } catch (Failed& failed) {
    return fail(std::move(failed.error).in(what));
  } catch (const std::exception& error) {  // Memory, file system.
    return fail(ErrorCode::kUnavailable, std::string(what) + ": " + error.what());
  }
}

inline constexpr int kBusyTimeoutMs = 5'000;

class Connection {
 public:
  /// `flags`: SQLITE_OPEN_*. The connection is hardened (reliability rules of the manual's "Metadata store").
  Connection(const std::filesystem::path& path, int flags);

  sqlite3* handle() const { return handle_.get(); }
  /// One or more statements without parameters and results.
  void execute(const char* sql);
  /// Rows that the latest INSERT, UPDATE or DELETE touched.
  std::int64_t changes() const { return sqlite3_changes64(handle()); }
  bool in_transaction() const { return sqlite3_get_autocommit(handle()) == 0; }
  /// Throws Failed for `code` unless it is SQLITE_OK.
  void check(int code, std::string_view what) const;
  [[noreturn]] void raise(int code, std::string_view what) const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::unique_ptr<sqlite3, Close> handle_;
};

/// A prepared statement that is used again and again.
class Statement {
 public:
  Statement(const Connection& connection, const std::string& sql);

  /// Binds `values` to ?1, ?2 ..., carries the statement out and forgets the values.
  template <typename... Values>
  void run(const Values&... values) {
    bind_all(SQLITE_STATIC, values...);
    while (step()) {
    }
  }
  /// Binds; then step() goes from row to row.
  template <typename... Values>
  Statement& query(const Values&... values) {
    reset();
    bind_all(SQLITE_TRANSIENT, values...);
    return *this;
  }
  /// True: there is a row to read. False: the end; the statement is ready for the next query or run.
  bool step() {
    const int code = sqlite3_step(handle_.get());
    if (code == SQLITE_ROW) {
      column_ = 0;
      return true;
    }
    end(code);
    return false;
  }
  /// Ends a query whose further rows nobody wants: an open one keeps its snapshot, and with it the log.
  void reset() { sqlite3_reset(handle_.get()); }

  /// Reads the next columns of the row.
  template <typename... Values>
  void read(Values&... values) {
    (read_next(values), ...);
  }
  template <typename Value>
  Value next() {
    Value value{};
    read_next(value);
    return value;
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
  };

  void end(int code);
  template <typename... Values>
  void bind_all([[maybe_unused]] sqlite3_destructor_type lifetime, const Values&... values) {
    int position = 0;
    (bind(++position, values, lifetime), ...);
  }

  void bind_int(int position, std::int64_t value) { sqlite3_bind_int64(handle_.get(), position, value); }
  void bind(int position, std::string_view text, sqlite3_destructor_type lifetime) {
    const char* begin = text.data() != nullptr ? text.data() : "";
    sqlite3_bind_text64(handle_.get(), position, begin, text.size(), lifetime, SQLITE_UTF8);
  }
  template <typename Number>
  requires std::integral<Number> || std::is_enum_v<Number>
  void bind(int position, Number value, sqlite3_destructor_type) {
    bind_int(position, static_cast<std::int64_t>(value));
  }
  template <typename Tag, typename Int>
  void bind(int position, StrongId<Tag, Int> id, sqlite3_destructor_type) {
    bind_int(position, static_cast<std::int64_t>(id.value));
  }
  void bind(int position, InstanceKey key, sqlite3_destructor_type) { bind_int(position, key.row()); }
  void bind(int position, WallTime time, sqlite3_destructor_type) { bind_int(position, time.us); }
  void bind(int position, Duration time, sqlite3_destructor_type) { bind_int(position, time.count()); }
  void bind(int position, const RunId& id, sqlite3_destructor_type) { bind(position, id.text(), SQLITE_TRANSIENT); }
  /// Of words without commas.
  void bind(int position, const std::vector<std::string>& words, sqlite3_destructor_type) {
    bind(position, joined(words), SQLITE_TRANSIENT);
  }
  static std::string joined(const std::vector<std::string>& words);
  template <std::same_as<Value> Json>  // A template, so that nothing is converted to a Value.
  void bind(int position, const Json& value, sqlite3_destructor_type) {
    bind(position, to_json(value), SQLITE_TRANSIENT);
  }

  void bind(int position, const CacheParts& parts, sqlite3_destructor_type lifetime);

  std::int64_t int_here() { return sqlite3_column_int64(handle_.get(), column_++); }
  template <std::integral Number>
  void read_next(Number& value) {
    value = static_cast<Number>(int_here());
  }
  template <typename Tag, typename Int>
  void read_next(StrongId<Tag, Int>& id) {
    id.value = static_cast<Int>(int_here());
  }
  void read_next(InstanceKey& key) { key = InstanceKey::from_row(int_here()); }
  void read_next(WallTime& time) { time.us = int_here(); }
  void read_next(Duration& time) { time = Duration(int_here()); }
  void read_next(TaskState& state) { read_enum(state, TaskState::kCancelled); }
  void read_next(RunState& state) { read_enum(state, RunState::kCancelled); }
  void read_next(Reason& reason) { read_enum(reason, Reason::kUpstream); }
  void read_next(EventSource::Kind& kind) { read_enum(kind, EventSource::Kind::kHook); }
  void read_next(Notice& notice) { read_enum(notice, Notice::kGate); }
  void read_next(NotificationState& state) { read_enum(state, NotificationState::kGivenUp); }
  void read_next(Stop& stop) { read_enum(stop, Stop::kCutShortFailed); }
  void read_next(Reprocess& reprocess) { read_enum(reprocess, Reprocess::kCompleted); }
  void read_next(BackfillState& state) { read_enum(state, BackfillState::kCancelled); }
  void read_next(Role& role) {
    read_enum(role, Role::kAdmin);
    if (role < Role::kViewer) corrupt();
  }
  void read_next(std::string& text);
  void read_next(RunId& id);
  void read_next(Value& value);
  void read_next(std::vector<std::string>& words);
  void read_next(CacheParts& parts);
  template <typename Enum>
  void read_enum(Enum& value, Enum last) {
    const std::int64_t number = int_here();
    if (number < 0 || number > static_cast<std::int64_t>(last)) corrupt();
    value = static_cast<Enum>(number);
  }
  [[noreturn]] void corrupt() const;

  const Connection* connection_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
  int column_ = 0;
};

/// A transaction: rolled back unless it was committed.
class Transaction {
 public:
  /// `begin`: "BEGIN IMMEDIATE" to write, "BEGIN" for several reads of one snapshot.
  Transaction(Connection& connection, const char* begin) : connection_(connection) { connection_.execute(begin); }
  ~Transaction() {
    // After some errors SQLite has rolled back by itself; after the others there is nothing better to do than this.
    if (connection_.in_transaction()) sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit() { connection_.execute("COMMIT"); }

 private:
  Connection& connection_;
};

}  // namespace chappe::sqlite
