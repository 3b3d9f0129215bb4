// What this machine can do at best, one line of JSON a measurement:
//
//   limits disk DIRECTORY        a 4 KiB write over allocated blocks, made durable
//   limits store DIRECTORY       SQLite commits, synchronous=FULL: one change each, and a thousand
//   limits messages              ZeroMQ ROUTER to DEALER and back, 200 bytes, two processes
//   limits spawn COUNT THREADS   /bin/true by vfork and exec, with nothing around it
#include <sqlite3.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string_view>
#include <thread>
#include <zmq.hpp>

#include "bench/measure.h"

namespace chappe::bench {
namespace {

void measure_disk(const std::filesystem::path& directory) {
  constexpr int kCount = 2'000;
  constexpr std::size_t kBlock = 4096;
  const std::filesystem::path file = directory / "limits.disk";
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::string zeros(kBlock * kCount, '\0');
  require(fd >= 0 && write(fd, zeros.data(), zeros.size()) > 0 && fsync(fd) == 0, "prepare a file");
  const std::string block(kBlock, 'x');
  const auto times = time_each(kCount, [&](int i) {
    require(pwrite(fd, block.data(), kBlock, i * off_t{kBlock}) > 0 && fdatasync(fd) == 0, "write durably");
  });
  close(fd);
  std::filesystem::remove(file);
  fmt::print("{{\"fdatasync_us_p50\": {:.0f}, \"fdatasync_us_p99\": {:.0f}}}\n", percentile(times, 0.5) * 1e6,
             percentile(times, 0.99) * 1e6);
}

/// A database with a table of tasks and one of events, as plain as can be.
class Database {
 public:
  explicit Database(const std::filesystem::path& file) {
    check(sqlite3_open(file.c_str(), &database_));
    run("PRAGMA journal_mode=WAL");
    run("PRAGMA synchronous=FULL");
    run("PRAGMA wal_autocheckpoint=0");
    run("CREATE TABLE task(id INTEGER PRIMARY KEY, state INTEGER, attempt INTEGER)");
    run("CREATE TABLE event(id INTEGER PRIMARY KEY, task INTEGER, state INTEGER, at INTEGER)");
    run("BEGIN");
    for (int i = 0; i < kTasks; ++i) run("INSERT INTO task(state, attempt) VALUES(0, 0)");
    run("COMMIT");
    check(
        sqlite3_prepare_v2(database_, "UPDATE task SET state=state+1, attempt=?1 WHERE id=?1", -1, &update_, nullptr));
    check(sqlite3_prepare_v2(database_, "INSERT INTO event(task, state, at) VALUES(?1, 1, 2)", -1, &insert_, nullptr));
  }
  ~Database() {
    sqlite3_finalize(update_);
    sqlite3_finalize(insert_);
    sqlite3_close(database_);
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void commit(int first, int changes) {
    run("BEGIN IMMEDIATE");
    for (int i = 0; i < changes; ++i) {
      for (sqlite3_stmt* statement : {update_, insert_}) {
        sqlite3_bind_int(statement, 1, (first + i) % kTasks + 1);
        check(sqlite3_step(statement) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR);
        sqlite3_reset(statement);
      }
    }
    run("COMMIT");
  }

 private:
  static constexpr int kTasks = 10'000;
  void check(int code) const {
    if (code == SQLITE_OK) return;
    fmt::print(stderr, "sqlite: {}\n", sqlite3_errmsg(database_));
    std::exit(1);
  }
  void run(const char* sql) const { check(sqlite3_exec(database_, sql, nullptr, nullptr, nullptr)); }

  sqlite3* database_ = nullptr;
  sqlite3_stmt* update_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

void measure_store(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / "limits.db";
  {
    Database database(file);
    const auto single = time_each(2'000, [&](int i) { database.commit(i, 1); });
    constexpr int kBatch = 1'000;
    const auto batched = time_each(100, [&](int i) { database.commit(i * kBatch, kBatch); });
    fmt::print("{{\"commit_us_p50\": {:.0f}, \"commit_us_p99\": {:.0f}, \"changes_per_s\": {:.0f}}}\n",
               percentile(single, 0.5) * 1e6, percentile(single, 0.99) * 1e6, kBatch / percentile(batched, 0.5));
  }
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + suffix);
}

constexpr std::size_t kMessage = 200;

/// Sends back whatever comes; ends with the other process.
[[noreturn]] void echo(const std::string& endpoint) {
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.connect(endpoint);
  (void)socket.send(zmq::str_buffer("hello"), zmq::send_flags::none);
  zmq::message_t message;
  while (true) {
    (void)socket.recv(message);
    (void)socket.send(message, zmq::send_flags::none);
  }
}

class Router {
 public:
  explicit Router(int port) : socket_(context_, zmq::socket_type::router) {
    socket_.set(zmq::sockopt::sndhwm, 100'000);
    socket_.bind(fmt::format("tcp://127.0.0.1:{}", port));
    receive();  // Hello: now the peer's name is known.
  }
  void send() {
    (void)socket_.send(zmq::buffer(peer_), zmq::send_flags::sndmore);
    (void)socket_.send(zmq::message_t(kMessage), zmq::send_flags::none);
  }
  void receive() {
    zmq::message_t message;
    (void)socket_.recv(message);
    peer_ = message.to_string();
    (void)socket_.recv(message);
  }

 private:
  zmq::context_t context_;
  zmq::socket_t socket_;
  std::string peer_;
};

void measure_messages() {
  const int port = 20'000 + getpid() % 10'000;
  const pid_t child = fork();  // Before this process has a context.
  if (child == 0) echo(fmt::format("tcp://127.0.0.1:{}", port));
  {
    Router router(port);
    const auto trips = time_each(3'000, [&](int) {
      router.send();
      router.receive();
    });
    constexpr int kInFlight = 1'000;
    constexpr int kPairs = 300'000;
    const auto start = Clock::now();
    for (int i = 0; i < kInFlight; ++i) router.send();
    for (int i = 0; i < kPairs; ++i) {
      router.receive();
      router.send();
    }
    fmt::print("{{\"round_trip_us_p50\": {:.0f}, \"round_trip_us_p99\": {:.0f}, \"pairs_per_s\": {:.0f}}}\n",
               percentile(trips, 0.5) * 1e6, percentile(trips, 0.99) * 1e6, kPairs / seconds_since(start));
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

void measure_spawn(int count, int threads_count) {
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < threads_count; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < count / threads_count; ++n) spawn_and_wait("/bin/true");
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = seconds_since(start);
  fmt::print("{{\"spawn_s\": {:.4f}, \"spawns_per_s\": {:.0f}}}\n", seconds, count / seconds);
}

int measure(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[0] == "disk") return measure_disk(words[1]), 0;
  if (words.size() == 2 && words[0] == "store") return measure_store(words[1]), 0;
  if (words.size() == 1 && words[0] == "messages") return measure_messages(), 0;
  if (words.size() == 3 && words[0] == "spawn") return measure_spawn(std::stoi(words[1]), std::stoi(words[2])), 0;
  fmt::print(stderr, "usage: limits disk DIRECTORY | store DIRECTORY | messages | spawn COUNT THREADS\n");
  return 2;
}

}  // namespace
}  // namespace chappe::bench

int main(int argc, char** argv) { return chappe::bench::measure({argv + 1, argv + argc}); }
