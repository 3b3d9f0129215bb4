/// \file
/// The one ZeroMQ context of this process, with the gate that decides whose CURVE key may connect.
///
/// One, because closing a context that uses CURVE can break another one. It lives as long as a socket needs it.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <zmq.hpp>

namespace chappe::transport {

/// Answers libzmq's authentication requests (ZAP, ZeroMQ RFC 27) on a thread of its own: a key passes only where the
/// domain that its server socket named lists it. Thread: all calls from any thread.
class Gate {
 public:
  explicit Gate(zmq::context_t& context);  ///< Throws zmq::error_t.
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// Opens a domain for the keys (Z85). Returns its name.
  std::string open(std::set<std::string> keys);
  void set_keys(const std::string& domain, std::set<std::string> keys);  ///< For who connects from now on.
  void close(const std::string& domain);
  /// Lets one more key in, or no more. A connection that stands stays.
  void admit(const std::string& domain, const std::string& key);
  void dismiss(const std::string& domain, const std::string& key);
  std::uint64_t refused(const std::string& domain) const;

 private:
  struct Domain {
    std::set<std::string> keys;
    std::set<std::string> admitted;  ///< One by one; set_keys() leaves them.
    std::uint64_t refused = 0;
  };
  bool admits(const std::string& domain, const std::string& key);
  void answer(zmq::socket_t& requests);

  zmq::context_t& context_;
  zmq::socket_t stop_;  // The owner's end of a pair; the thread waits on the other.
  mutable std::mutex mutex_;
  std::map<std::string, Domain> domains_;
  std::uint64_t opened_ = 0;
  std::thread thread_;
};

class Context {
 public:
  /// The process's context; made at the first call, gone with the last holder.
  static std::shared_ptr<Context> shared();

  zmq::context_t& zmq() { return zmq_; }
  Gate& gate();  ///< Started at the first call. Throws zmq::error_t.

 private:
  zmq::context_t zmq_;
  std::mutex mutex_;
  std::unique_ptr<Gate> gate_;  // Before zmq_ in destruction: its thread uses the context.
};

/// Takes the next frame, if one is there; it never waits, and a signal is no reason to come back without one.
bool receive_now(zmq::socket_t& socket, zmq::message_t& frame);
/// Queues a frame. `flags`: ZMQ_SNDMORE or 0. False: the queue is full, or there is nobody to send to.
bool send_now(zmq::socket_t& socket, std::string_view frame, int flags = 0);

/// What both ends of the wire have in common: bounds on sizes, queues and silence. Throws zmq::error_t.
void set_wire_options(zmq::socket_t& socket, const std::string& endpoint);

}  // namespace chappe::transport
