/// \file
/// The scheduler's end of the wire: a ROUTER socket that workers connect to. CURVE always.
///
/// Thread: one owner for all calls, the scheduler's loop. Malformed, oversized and unknown messages are counted and
/// dropped; a peer whose key is not authorised cannot say a word (ZAP). Authority over an attempt is the engine's
/// business; here each connection gets a number, bound to the CURVE key that its first message came with.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/run/events.h"
#include "proto/transport/keys.h"
#include "proto/wire/wire.h"

namespace chappe::transport {

struct WorkerPortConfig {
  std::string endpoint = "tcp://127.0.0.1:*";  ///< ZeroMQ address; `*`: a free port.
  KeyPair keys;
  std::set<std::string> authorized;  ///< Public keys of workers.
};

struct PortCounters {
  std::uint64_t received = 0;    ///< Messages, dropped ones included.
  std::uint64_t sent = 0;        ///< Messages.
  std::uint64_t malformed = 0;   ///< Messages that were dropped.
  std::uint64_t unroutable = 0;  ///< Sends to a peer that is gone or does not drain its queue.
  std::uint64_t refused = 0;     ///< Handshakes with a key that is not authorised.
};

class WorkerPort {
 public:
  static Result<std::unique_ptr<WorkerPort>> bind(const WorkerPortConfig& config);
  virtual ~WorkerPort() = default;

  /// Becomes readable when there may be messages. Edge-triggered as ZMQ_FD is: after it fires, and after every send,
  /// call receive() until it returns 0 before polling again.
  virtual int fd() const = 0;
  /// Takes in up to `messages_max` messages (and 4 MiB) without waiting and appends what they say, in order, each event
  /// with its connection's number. Returns the number of messages taken, dropped ones included.
  virtual std::size_t receive(wire::WorkerSays& out, std::size_t messages_max) = 0;
  /// Queues to the peer; never waits. A peer that is gone or does not drain its queue is counted as unroutable: leases
  /// take care of the rest.
  virtual void send(const WorkerSend& send) = 0;

  /// Lets a key in that was made for the worker of one attempt: WorkerJoined says which. Until dismiss().
  virtual void admit(const std::string& key, AttemptId attempt) = 0;
  virtual void dismiss(AttemptId attempt) = 0;
  /// The workers that may connect from now on; connections that stand, stay.
  virtual void set_authorized(std::set<std::string> keys) = 0;

  virtual std::string endpoint() const = 0;  ///< With the real port.
  virtual PortCounters counters() const = 0;
  /// What to log: which worker sent what is no message, and why; at most one a minute and connection, 16 in all.
  virtual std::vector<std::string> take_complaints() = 0;
};

}  // namespace chappe::transport
