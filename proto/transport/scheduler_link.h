/// \file
/// A worker's end of the wire: a DEALER socket that reconnects by itself, for ever, with jitter. CURVE always.
///
/// Thread: one owner for all calls.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/run/events.h"
#include "proto/transport/keys.h"
#include "proto/wire/wire.h"

namespace chappe::transport {

struct SchedulerLinkConfig {
  std::string endpoint;    ///< "tcp://scheduler:9431"
  std::string server_key;  ///< The scheduler's public key: pinned.
  KeyPair keys;
};

class SchedulerLink {
 public:
  static Result<std::unique_ptr<SchedulerLink>> connect(const SchedulerLinkConfig& config);
  virtual ~SchedulerLink() = default;

  /// Becomes readable when a message, a change of the connection or an attempt to connect is due. Edge-triggered as
  /// WorkerPort::fd(): call receive() until it returns nothing, and after every send too, before polling again.
  virtual int fd() const = 0;
  /// The next message, if one is there. Messages that do not decode are counted, logged by the caller through
  /// `malformed()`, and skipped.
  virtual std::optional<WorkerSend> receive() = 0;
  /// Queues one encoded message (wire::WorkerEncoder). False: the queue is full or no connection stands; keep it and
  /// try again when the link reports `connected` or after a moment.
  virtual bool send(const std::string& message) = 0;
  /// Counts connections that came up (handshake done). When it has grown, the peer may be a new scheduler life: say
  /// hello again, then send every unacknowledged result again.
  virtual std::uint64_t connections() = 0;
  virtual std::uint64_t malformed() const = 0;
  /// Why no connection stands, for people, e.g. that the scheduler does not know this worker's key; "" while one does.
  virtual std::string trouble() const = 0;
};

}  // namespace chappe::transport
