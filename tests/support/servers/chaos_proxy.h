/// \file
/// A TCP proxy on loopback, in the test's own process, that does to connections what networks do to them: delay,
/// trickle, cut after so many bytes, reset, fall silent in one direction or in both, refuse.
///
///   client --- kToServer --->  proxy  --- kToServer ---> server
///          <-- kToClient ---          <-- kToClient ---
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace chappe::testing {

/// What happens to the bytes of one direction of a connection.
struct Chaos {
  std::chrono::milliseconds delay{0};  ///< Each piece is passed on so much later.
  std::size_t rate = 0;                ///< Bytes a second at most; 0: as they come.
  std::optional<std::size_t> pass{};   ///< So many bytes are passed on; then `then`. Not set: all of them.
  enum class Then : std::uint8_t {
    kClose,    ///< Both ends see an orderly end.
    kReset,    ///< Both ends see a reset (RST).
    kSilence,  ///< Both stay connected; nothing more arrives. With `pass` 0: a one-way connection.
  } then = Then::kClose;
};

class ChaosProxy {
 public:
  enum class Way : std::uint8_t { kToServer, kToClient };

  /// To a server on loopback.
  explicit ChaosProxy(int server_port);
  ~ChaosProxy();
  ChaosProxy(const ChaosProxy&) = delete;
  ChaosProxy& operator=(const ChaosProxy&) = delete;

  int port() const { return port_; }
  std::string url() const;  ///< "http://127.0.0.1:PORT"

  /// For connections that are made from now on.
  void set(Way way, const Chaos& chaos);
  /// Good days again, for connections that are made from now on.
  void heal();
  /// Resets all connections, and every new one until heal(): the server is gone.
  void cut_off();
  int connections() const;  ///< Since the beginning, those that were refused included.

 private:
  struct Connection {
    int client = -1;
    int server = -1;
    std::array<Chaos, 2> chaos;
    std::array<std::thread, 2> pumps;
  };
  void accept_all();
  void welcome(int client);
  void pump(Connection& connection, Way way);
  bool pass_on(Connection& connection, Way way, const char* bytes, std::size_t size);
  void end(Connection& connection, Chaos::Then how);
  bool rest(std::chrono::microseconds time);

  int listener_ = -1;
  int port_ = 0;
  const int server_port_;
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  bool stops_ = false;
  bool is_cut_off_ = false;
  int count_ = 0;
  std::array<Chaos, 2> chaos_;
  std::list<Connection> connections_;  ///< All of them, until the proxy goes: a list, whose elements stay in place.
  std::thread acceptor_;
};

}  // namespace chappe::testing
