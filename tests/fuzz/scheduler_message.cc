// What a worker reads from the wire: several messages in a row, since one may come in parts. The first byte of each
// pair is the length of the next message, a whole byte of 255 takes the rest.
#include <algorithm>
#include <string>
#include <vector>

#include "proto/wire/wire.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

using namespace wire;

static std::string_view take_message(std::string_view& rest) {
  const auto length = static_cast<unsigned char>(rest.front());
  rest.remove_prefix(1);
  const std::size_t size = length == 255 ? rest.size() : std::min<std::size_t>(length, rest.size());
  const std::string_view message = rest.substr(0, size);
  rest.remove_prefix(size);
  return message;
}

static std::vector<std::string> encoded(const WorkerSend& send) {
  SchedulerEncoder encoder;
  std::vector<std::string> messages = encoder.encode(send);
  CHAPPE_ASSERT(encoder.left_out() == 0);
  return messages;
}

static void check(const WorkerSend& send) {
  for (const Assignment& one : send.assign) CHAPPE_ASSERT(one.run != nullptr && one.work != nullptr);
  const std::vector<std::string> messages = encoded(send);
  SchedulerDecoder decoder;
  for (const std::string& message : messages) {
    CHAPPE_ASSERT(message.size() <= kMessageMax);
    const Result<WorkerSend> again = decoder.decode(bytes_of(message));
    CHAPPE_ASSERT(again);
    // Equal where it was one message; several share what is in it out among them.
    if (messages.size() == 1) CHAPPE_ASSERT(encoded(*again) == messages);
  }
}

FUZZ_TARGET(scheduler_message) {
  SchedulerDecoder decoder;
  while (!input.empty()) {
    const Result<WorkerSend> send = decoder.decode(bytes_of(take_message(input)));
    if (send) {
      check(*send);
    } else {
      check_error(send.error());
      CHAPPE_ASSERT(send.error().code == ErrorCode::kInvalidInput);
    }
  }
}

}  // namespace chappe::fuzz
