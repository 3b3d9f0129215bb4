// What the architecture costs when nothing else is there: a ROUTER, two DEALER processes and SQLite, write-ahead.
//
//   floor EDGES-FILE noop|true DIRECTORY
//
// EDGES-FILE: one line a task: its number's upstream numbers, separated by spaces; upstream tasks stand above. No YAML,
// protobuf, CURVE, attempts, leases, lineage or logs. Every completion read and every assignment made from it are in
// one transaction, committed (synchronous=FULL) before anything is sent.
#include <sqlite3.h>
#include <sys/prctl.h>

#include <array>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <zmq.hpp>

#include "bench/measure.h"

namespace chappe::bench {
namespace {

constexpr int kWorkers = 2;

/// What a message holds many of, both ways: as large as a small assignment is.
struct Record {
  std::uint32_t task = 0;
  std::array<char, 196> rest{};
};

struct Graph {
  std::vector<std::vector<std::uint32_t>> downstream;
  std::vector<std::uint32_t> missing;  ///< Upstream tasks that are not done.
};

Graph read_graph(const char* file) {
  Graph graph;
  std::ifstream lines(file);
  std::string line;
  for (std::uint32_t task = 0; std::getline(lines, line); ++task) {
    graph.downstream.emplace_back();
    graph.missing.push_back(0);
    std::istringstream words(line);
    for (std::uint32_t upstream = 0; words >> upstream;) {
      graph.downstream[upstream].push_back(task);
      ++graph.missing[task];
    }
  }
  return graph;
}

/// Carries out what it is told, and answers each message with one.
[[noreturn]] void work(const std::string& endpoint, bool spawn) {
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.connect(endpoint);
  (void)socket.send(zmq::str_buffer(""), zmq::send_flags::none);
  zmq::message_t message;
  while (true) {
    (void)socket.recv(message);
    const std::size_t count = message.size() / sizeof(Record);
    for (std::size_t i = 0; spawn && i < count; ++i) spawn_and_wait("/bin/true");
    (void)socket.send(message, zmq::send_flags::none);
  }
}

class Store {
 public:
  Store(const std::filesystem::path& file, std::size_t tasks) {
    check(sqlite3_open(file.c_str(), &database_));
    run("PRAGMA journal_mode=WAL");
    run("PRAGMA synchronous=FULL");
    run("PRAGMA wal_autocheckpoint=0");
    run("CREATE TABLE task(id INTEGER PRIMARY KEY, state INTEGER)");
    run("BEGIN");
    prepare("INSERT INTO task VALUES(?1, ?2)");
    for (std::size_t i = 0; i < tasks; ++i) change(static_cast<std::uint32_t>(i), 0);
    run("COMMIT");
    lengthen_log(file);
    sqlite3_finalize(statement_);
    prepare("UPDATE task SET state=?2 WHERE id=?1");
  }
  ~Store() {
    sqlite3_finalize(statement_);
    sqlite3_close(database_);
  }
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  void begin() { run("BEGIN IMMEDIATE"); }
  void commit() { run("COMMIT"); }
  void change(std::uint32_t task, int state) {
    sqlite3_bind_int64(statement_, 1, task);
    sqlite3_bind_int(statement_, 2, state);
    check(sqlite3_step(statement_) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR);
    sqlite3_reset(statement_);
  }

 private:
  void check(int code) const {
    if (code == SQLITE_OK) return;
    fmt::print(stderr, "sqlite: {}\n", sqlite3_errmsg(database_));
    std::exit(1);
  }
  void run(const char* sql) { check(sqlite3_exec(database_, sql, nullptr, nullptr, nullptr)); }
  void prepare(const char* sql) { check(sqlite3_prepare_v2(database_, sql, -1, &statement_, nullptr)); }

  sqlite3* database_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
};

class Scheduler {
 public:
  Scheduler(Graph graph, Store& store, const std::string& endpoint, std::size_t depth)
      : graph_(std::move(graph)), store_(store), depth_(depth), socket_(context_, zmq::socket_type::router) {
    socket_.bind(endpoint);
    while (workers_.size() < kWorkers) {
      zmq::message_t name;
      zmq::message_t hello;
      (void)socket_.recv(name);
      (void)socket_.recv(hello);
      workers_.push_back({.name = name.to_string(), .held = 0, .told = {}});
    }
  }

  void run() {
    for (std::uint32_t task = 0; task < graph_.missing.size(); ++task) {
      if (graph_.missing[task] == 0) ready_.push_back(task);
    }
    store_.begin();
    while (true) {
      assign();
      store_.commit();
      tell();
      if (done_ == graph_.missing.size()) return;
      store_.begin();
      take_in();
    }
  }

 private:
  struct Worker {
    std::string name;
    std::size_t held;
    std::vector<Record> told;
  };

  void assign() {
    for (bool room = true; room && !ready_.empty();) {
      room = false;
      for (Worker& worker : workers_) {
        if (worker.held == depth_ || ready_.empty()) continue;
        worker.told.push_back({.task = ready_.front()});
        store_.change(ready_.front(), 1);
        ready_.pop_front();
        ++worker.held;
        room = true;
      }
    }
  }

  void tell() {
    for (Worker& worker : workers_) {
      // Processes one a message, so that each end is heard of at once; no-ops all together.
      const std::size_t together = depth_ < 100 ? 1 : worker.told.size();
      for (std::size_t i = 0; i < worker.told.size(); i += together) {
        (void)socket_.send(zmq::buffer(worker.name), zmq::send_flags::sndmore);
        (void)socket_.send(zmq::buffer(&worker.told[i], together * sizeof(Record)), zmq::send_flags::none);
      }
      worker.told.clear();
    }
  }

  /// Waits for one message, and takes what else is there.
  void take_in() {
    zmq::message_t name;
    zmq::message_t message;
    auto flags = zmq::recv_flags::none;
    while (socket_.recv(name, flags)) {
      (void)socket_.recv(message);
      const std::size_t count = message.size() / sizeof(Record);
      for (std::size_t i = 0; i < count; ++i) finish(message.data<Record>()[i].task);
      for (Worker& worker : workers_) {
        if (worker.name == name.to_string_view()) worker.held -= count;
      }
      flags = zmq::recv_flags::dontwait;
    }
  }

  void finish(std::uint32_t task) {
    store_.change(task, 2);
    ++done_;
    for (const std::uint32_t next : graph_.downstream[task]) {
      if (--graph_.missing[next] == 0) ready_.push_back(next);
    }
  }

  Graph graph_;
  Store& store_;
  std::size_t depth_;
  zmq::context_t context_;
  zmq::socket_t socket_;
  std::vector<Worker> workers_;
  std::deque<std::uint32_t> ready_;
  std::size_t done_ = 0;
};

void measure(const char* edges, bool spawn, const std::filesystem::path& directory) {
  const std::string endpoint = fmt::format("tcp://127.0.0.1:{}", 30'000 + getpid() % 10'000);
  std::array<pid_t, kWorkers> workers{};
  for (pid_t& worker : workers) {
    worker = fork();  // Before this process has a context.
    if (worker != 0) continue;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);  // Should the port be taken, nobody is left to wait.
    work(endpoint, spawn);
  }
  const std::filesystem::path file = directory / "floor.db";
  {
    Graph graph = read_graph(edges);
    const std::size_t tasks = graph.missing.size();
    const auto start = Clock::now();
    Store store(file, tasks);
    const double prepared = seconds_since(start);
    Scheduler scheduler(std::move(graph), store, endpoint, spawn ? 2 : 1024);
    const auto run_start = Clock::now();
    scheduler.run();
    fmt::print("{{\"tasks\": {}, \"prepare_s\": {:.4f}, \"run_s\": {:.4f}}}\n", tasks, prepared,
               seconds_since(run_start));
  }
  for (const pid_t worker : workers) {
    kill(worker, SIGKILL);
    waitpid(worker, nullptr, 0);
  }
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + suffix);
}

}  // namespace
}  // namespace chappe::bench

int main(int argc, char** argv) {
  const std::string_view what = argc == 4 ? argv[2] : "";
  if (what != "noop" && what != "true") {
    fmt::print(stderr, "usage: floor EDGES-FILE noop|true DIRECTORY\n");
    return 2;
  }
  chappe::bench::measure(argv[1], what == "true", argv[3]);
  return 0;
}
