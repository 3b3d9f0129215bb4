/// \file
/// A server of the API on a free port, over a real metadata store and a real object store in a directory of its own,
/// with a backend that records what is asked of the engine; and a client that can misbehave.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/value.h"
#include "scheduler/api/server.h"
#include "storage/sqlite/sqlite_meta_store.h"

namespace chappe::api {

/// Records requests, and answers them as the test says.
class RecordingBackend : public Backend {
 public:
  RecordingBackend(std::filesystem::path database, ObjectStore& objects)
      : database_(std::move(database)), objects_(objects) {}

  void request(Event event, Done done) override;
  void explain(const RunId& run, std::string task, std::size_t limit, Done done) override;
  void workers(Done done) override;
  void questions(std::size_t limit, Done done) override;
  Result<std::unique_ptr<MetaReader>> open_reader() override;
  ObjectStore& objects() override { return objects_; }
  metrics::Registry& metrics() override { return metrics_; }
  RunId new_run_id() override;

  std::vector<Event> requests() const;
  /// What request() answers; null: nothing, ever.
  std::function<Result<Value>(const Event&)> answer;

 private:
  std::filesystem::path database_;
  ObjectStore& objects_;
  metrics::Registry metrics_;
  mutable std::mutex mutex_;
  std::vector<Event> requests_;
};

/// One raw connection to a server.
class Peer {
 public:
  /// `from`: a loopback address to connect from; the server counts connections by it.
  explicit Peer(const std::string& url, const std::string& from = "127.0.0.1");
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  bool send(std::string_view bytes);  ///< False: the server has closed.
  /// Reads until the server closes or `wait` has passed without a byte.
  std::string read_all(std::chrono::milliseconds wait = std::chrono::seconds(10));
  /// One whole answer with a Content-Length; the connection stays.
  std::string read_answer();
  /// True when the server closes within `wait`.
  bool is_closed_within(std::chrono::milliseconds wait);

 private:
  int socket_ = -1;
  std::string rest_;
};

struct Reply {
  int status = 0;
  std::string head;
  std::string body;
  Value json() const;
};
Reply parse_reply(const std::string& text);

class ApiWorld : public testing::Test {
 protected:
  static constexpr const char* kToken = "0123456789abcdef0123456789abcdef";
  static constexpr const char* kWebhookKey = "fedcba9876543210fedcba9876543210";

  void SetUp() override;
  void TearDown() override;
  /// Starts the server anew, with other bounds.
  void restart(const ServerBounds& bounds);

  /// A token of `tokens_`: the one whose text is `token`.
  static TokenRow token_row(const std::string& name, Role role, const std::string& token, WallTime expires_at = {});
  /// One request on a connection of its own, with the admin's token.
  Reply call(const std::string& method, const std::string& path, const std::string& body = "",
             const std::string& more_head = "");
  Reply get(const std::string& path) { return call("GET", path); }
  std::string head_of(const std::string& method, const std::string& path, const std::string& more = "") const;

  /// A DAG version and a run of it in the store. Returns the run.
  RunRow add_run(const std::string& dag_yaml, RunState state = RunState::kRunning);
  void commit(const Persist& changes);
  void put_object(const std::string& key, const std::string& text);

  std::filesystem::path directory_;
  std::unique_ptr<SqliteMetaStore> store_;
  std::unique_ptr<ObjectStore> objects_;
  std::unique_ptr<RecordingBackend> backend_;
  std::unique_ptr<LogHub> logs_;
  std::vector<TokenRow> tokens_;  ///< Of the next start, besides the admin's.
  std::unique_ptr<Server> server_;
  std::uint32_t last_run_ = 0;
};

}  // namespace chappe::api
