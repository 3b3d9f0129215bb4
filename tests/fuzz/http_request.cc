// The API as bytes on a connection, over stores that hold a little of everything: whatever comes, each answer is whole,
// its JSON is JSON, its head has the fields that we send and no others, and the connection ends when its peer does.
// Where the input begins with 'T', a token is asked for that nobody knows: nothing but the health bits is told.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "dags/loader/loader.h"
#include "proto/json/json.h"
#include "scheduler/api/session.h"
#include "storage/digest/digest.h"
#include "storage/local/local_object_store.h"
#include "storage/sqlite/sqlite_meta_store.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

namespace {

using namespace api;
namespace net = boost::asio;

constexpr std::size_t kInputMax = 32 * 1024;  // Fits the socket's buffer: nobody waits for anybody.
constexpr auto kStuck = std::chrono::seconds(20);
constexpr WallTime kSomeDay{1'790'000'000'000'000};
constexpr AttemptId kAttempt{7};
constexpr std::string_view kDag =
    "name: d\nparams: {p: {type: string, pattern: '^a'}, s: {type: string, secret: true}}\n"
    "tasks:\n  - {id: a, run: 'true'}\n  - {id: b, noop: true, foreach: {items: [x, é]}}\n";

/// Says yes to everything.
class Yes : public Backend {
 public:
  Yes(std::filesystem::path database, ObjectStore& objects) : database_(std::move(database)), objects_(objects) {}
  void request(Event, Done done) override { done(Value(ValueMap{{"state", "running"}})); }
  void explain(const RunId& run, std::string task, std::size_t, Done done) override {
    done(Value(ValueMap{{"run", run.text()}, {"task", task}}));
  }
  void workers(Done done) override { done(Value(ValueMap{{"workers", ValueList{}}})); }
  Result<std::unique_ptr<MetaReader>> open_reader() override { return SqliteMetaStore::open_reader(database_); }
  ObjectStore& objects() override { return objects_; }
  RunId new_run_id() override { return RunId::make(kSomeDay, {}); }

 private:
  std::filesystem::path database_;
  ObjectStore& objects_;
};

Persist some_history(const Dag& dag) {
  const RunRow run{.seq = {1},
                   .id = RunId::make(kSomeDay, {1}),
                   .dag = dag.name,
                   .dag_version = dag.version,
                   .params_json = R"({"p":"a"})",
                   .trigger = "manual",
                   .request_id = "r",
                   .state = RunState::kRunning,
                   .instances = 3,
                   .created_at = kSomeDay};
  TaskRow task{
      .key = {run.seq, 0}, .state = TaskState::kRunning, .attempt = kAttempt, .attempt_no = 1, .queued_at = kSomeDay};
  const AssetVersion version{.id = {1},
                             .uri = "u/x",
                             .name = "m",
                             .key = "k",
                             .sha256 = std::string(64, '0'),
                             .producer = task.key,
                             .attempt = kAttempt,
                             .artifact = "o",
                             .created_at = kSomeDay,
                             .published_at = kSomeDay};
  Persist changes;
  changes.dag_versions.push_back({dag.version, dag.name, std::string(kDag), kSomeDay});
  changes.runs.push_back(run);
  changes.tasks.push_back({.row = task});
  changes.asset_versions.push_back(version);
  changes.aliases.push_back({.model = "m", .alias = "best", .version = {1}, .by = "x", .at = kSomeDay});
  return changes;
}

/// Made once; left behind to the system's temporary directory only where the process is killed.
class World {
 public:
  World() {
    std::string name = (std::filesystem::temp_directory_path() / "chappe-fuzz-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    store_ = *SqliteMetaStore::open(directory_ / "db");
    objects_ = *open_local_object_store((directory_ / "objects").string());
    CHAPPE_ASSERT(store_->commit(some_history(*load_dag(kDag, "d").dag)));
    logs_.append(kAttempt, 0, "hello\n");
    logs_.finish(kAttempt);
    backend_.emplace(directory_ / "db", *objects_);
    metadata_.emplace(*backend_, 1, 64);
    objects_pool_.emplace(*backend_, 1, 64);
    shared_.reset(new Shared{.backend = *backend_,
                             .logs = logs_,
                             .views = {},
                             .watches = {},
                             .bounds = {},
                             .token_hash = {},
                             .mailbox = std::make_shared<Mailbox>(io_),
                             .metadata = &*metadata_,
                             .objects = &*objects_pool_});
  }
  ~World() {
    metadata_.reset();
    objects_pool_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  /// All that the peer of a connection hears that says `input` and no more.
  std::string answers(std::string_view input, bool with_token) {
    shared_->token_hash = with_token ? std::optional(sha256("nobody knows this")) : std::nullopt;
    std::array<int, 2> ends{};
    CHAPPE_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    CHAPPE_ASSERT(::send(ends[0], input.data(), input.size(), 0) == static_cast<ssize_t>(input.size()));
    ::shutdown(ends[0], SHUT_WR);
    std::string heard;
    serve(ends[1], ends[0], heard);
    ::close(ends[0]);
    return heard;
  }

 private:
  void serve(int ours, int peers, std::string& heard) {
    bool is_closed = false;
    net::ip::tcp::socket socket(io_);
    socket.assign(net::ip::tcp::v4(), ours);
    const auto session = std::make_shared<Session>(std::move(socket), *shared_, [&] { is_closed = true; });
    session->start();
    const auto end = std::chrono::steady_clock::now() + kStuck;
    while (!is_closed) {
      CHAPPE_ASSERT(std::chrono::steady_clock::now() < end);
      io_.restart();
      io_.run_one_for(std::chrono::milliseconds(100));
      hear(peers, heard);
    }
    io_.restart();
    io_.poll();  // What was cancelled says so, while `is_closed` still stands.
    hear(peers, heard);
  }

  void hear(int peer, std::string& heard) {
    for (ssize_t size = 0; (size = ::recv(peer, piece_.data(), piece_.size(), MSG_DONTWAIT)) > 0;) {
      heard.append(piece_.data(), static_cast<std::size_t>(size));
    }
  }

  std::filesystem::path directory_;
  std::unique_ptr<SqliteMetaStore> store_;
  std::unique_ptr<ObjectStore> objects_;
  LogHub logs_;
  std::optional<Yes> backend_;
  std::array<char, 65536> piece_{};
  net::io_context io_{1};
  std::optional<ReaderPool> metadata_;
  std::optional<ReaderPool> objects_pool_;
  std::unique_ptr<Shared> shared_;  ///< It holds mutexes: it is made where it stays.
};

struct Head {
  int status = 0;
  std::string type;
  std::size_t length = 0;
  bool chunked = false;
};

Head read_head(std::string_view text) {
  constexpr std::array<std::string_view, 14> kKnown = {"Server",
                                                       "Content-Type",
                                                       "X-Content-Type-Options",
                                                       "Content-Security-Policy",
                                                       "Cache-Control",
                                                       "Connection",
                                                       "Content-Length",
                                                       "Transfer-Encoding",
                                                       "ETag",
                                                       "Location",
                                                       "Allow",
                                                       "WWW-Authenticate",
                                                       "Retry-After",
                                                       "Link"};
  Head head;
  const std::string_view line = take_until(text, '\n');
  CHAPPE_ASSERT(line.starts_with("HTTP/1.1 ") && line.ends_with('\r'));
  CHAPPE_ASSERT(std::from_chars(line.data() + 9, line.data() + 12, head.status).ec == std::errc());
  while (!text.empty()) {
    std::string_view value = take_until(text, '\n');
    const std::string_view name = take_until(value, ':');
    CHAPPE_ASSERT(std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end());
    value = value.substr(1, value.find('\r') - 1);
    if (name == "Content-Type") head.type = value;
    if (name == "Content-Length") std::from_chars(value.data(), value.data() + value.size(), head.length);
    if (name == "Transfer-Encoding") head.chunked = true;
  }
  return head;
}

void check_answer(const Head& head, std::string_view body, bool with_token) {
  CHAPPE_ASSERT(head.status >= 200 && head.status < 600 && head.status != 500);
  if (with_token && head.status < 400) CHAPPE_ASSERT(body.starts_with("{\"status\":\""));
  if (!head.type.starts_with("application/") || head.type.find("json") == std::string::npos) return;
  const auto value = parse_json(body);
  CHAPPE_ASSERT(value);
  if (head.status >= 400) CHAPPE_ASSERT(*value->find("status") == Value(head.status));
}

void check_answers(std::string_view rest, bool with_token) {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  while (!rest.empty()) {
    while (rest.starts_with(kContinue)) rest.remove_prefix(kContinue.size());
    const std::size_t end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) return;  // The connection was closed over it: the peer had gone.
    const Head head = read_head(rest.substr(0, end + 2));
    rest.remove_prefix(end + 4);
    if (head.chunked || head.length > rest.size()) return;
    check_answer(head, rest.substr(0, head.length), with_token);
    rest.remove_prefix(head.length);
  }
}

}  // namespace

FUZZ_TARGET(http_request) {
  static World world;
  if (input.size() > kInputMax) return;
  const bool with_token = input.starts_with('T');
  if (with_token) input.remove_prefix(1);
  check_answers(world.answers(input, with_token), with_token);
}

}  // namespace chappe::fuzz
