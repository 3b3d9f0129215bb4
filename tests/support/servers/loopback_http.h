/// \file
/// An HTTP server in the test's own process that answers exactly what the test says: for faults that no real server
/// shows on demand. One thread a connection; connections are kept unless the answer ends them.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace chappe::testing {

struct Received {
  std::string line;  ///< "GET /path HTTP/1.1"
  std::string head;  ///< The header lines.
  std::string body;
};

/// Bytes as they go over the wire; the connection is closed after them where `close`.
struct Reply {
  std::string bytes;
  bool close = false;
};

/// A whole answer: "200 OK", header lines each ending in CRLF, a body whose length is announced.
Reply reply(const std::string& status, const std::string& body = "", const std::string& headers = "");

class LoopbackHttp {
 public:
  /// `answer` is called on many threads, one call at a time.
  explicit LoopbackHttp(std::function<Reply(const Received&)> answer);
  ~LoopbackHttp();
  std::string url() const;  ///< "http://127.0.0.1:PORT"
  int port() const { return port_; }
  std::vector<Received> received() const;
  int connections() const { return connections_; }

 private:
  void accept_all();
  void serve(int connection);
  bool serve_one(int connection, std::string& buffer);

  std::function<Reply(const Received&)> answer_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stops_ = false;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<Received> received_;
  std::list<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace chappe::testing
