// What the scheduler reads from the wire: a worker's message is refused and leaves nothing behind, or says something
// that the encoder says the same way.
#include <string>
#include <variant>
#include <vector>

#include "proto/wire/wire.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

using namespace wire;

/// The messages that tell the same, as our own worker would send them.
static std::vector<std::string> encoded(const WorkerSays& says) {
  WorkerEncoder encoder;
  std::vector<std::string> messages;
  for (const Event& event : says.events) {
    if (const auto* joined = std::get_if<WorkerJoined>(&event)) messages.push_back(encoder.hello(joined->hello));
    if (const auto* beat = std::get_if<WorkerHeartbeat>(&event)) {
      messages.push_back(encoder.heartbeat(beat->batch_seen, beat->held));
    }
    if (std::holds_alternative<WorkerLeft>(event)) messages.push_back(encoder.goodbye(false));
    if (std::holds_alternative<WorkerDraining>(event)) messages.push_back(encoder.goodbye(true));
    if (const auto* started = std::get_if<AttemptStarted>(&event)) encoder.add(*started);
    if (const auto* finished = std::get_if<AttemptFinished>(&event)) encoder.add(*finished);
    if (const auto* returned = std::get_if<AttemptReturned>(&event)) encoder.add(*returned);
    if (encoder.report_bytes() >= kMessageMax / 2) messages.push_back(encoder.take_report());
  }
  if (encoder.report_bytes() > 0) messages.push_back(encoder.take_report());
  for (const LogChunk& chunk : says.logs) messages.push_back(encoder.logs(std::span(&chunk, 1)));
  return messages;
}

FUZZ_TARGET(worker_message) {
  static WorkerDecoder decoder;  // One for all, as in the daemon: no message may spoil it for the next.
  WorkerSays says;
  const Result<void> done = decoder.decode(bytes_of(input), says);
  CHAPPE_ASSERT(says.events.size() + says.logs.size() <= kEntriesMax);
  if (!done) {
    check_error(done.error());
    CHAPPE_ASSERT(done.error().code == ErrorCode::kInvalidInput);
    CHAPPE_ASSERT(says.events.empty() && says.logs.empty());
    return;
  }
  const std::vector<std::string> messages = encoded(says);
  WorkerSays again;
  for (const std::string& message : messages) {
    CHAPPE_ASSERT(message.size() <= kMessageMax);
    CHAPPE_ASSERT(decoder.decode(bytes_of(message), again));
  }
  CHAPPE_ASSERT(again.events.size() == says.events.size() && again.logs.size() == says.logs.size());
  CHAPPE_ASSERT(encoded(again) == messages);
}

}  // namespace chappe::fuzz
