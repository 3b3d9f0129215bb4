/// \file
/// What all encoders and decoders of this folder share: one reused message, and the conversion of small parts.
#pragma once

#include <google/protobuf/arena.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/model/policies.h"
#include "engine/run/events.h"
#include "proto/chappe/v1/worker.pb.h"

namespace chappe::wire {

/// The largest numbers of the enumerations that travel as numbers.
inline constexpr std::uint32_t kReasonMax = static_cast<std::uint32_t>(Reason::kUpstream);
inline constexpr std::uint32_t kPackMax = static_cast<std::uint32_t>(Pack::kTarZst);
inline constexpr std::uint32_t kUnpackMax = static_cast<std::uint32_t>(Unpack::kAlways);

/// One message at a time in an arena whose first block is kept: no allocation in the steady state, and nothing that a
/// large message needed stays behind.
template <typename Message>
class MessageArena {
 public:
  MessageArena() : arena_(options()) { silence_protobuf(); }
  /// Ends the life of the message made before.
  Message& fresh() {
    arena_.Reset();
    return *google::protobuf::Arena::CreateMessage<Message>(&arena_);
  }

 private:
  static constexpr std::size_t kFirstBlock = 1 << 20;
  static constexpr std::size_t kBlockMax = 1 << 18;
  google::protobuf::ArenaOptions options() {
    google::protobuf::ArenaOptions options;
    options.initial_block = first_block_.get();
    options.initial_block_size = kFirstBlock;
    options.start_block_size = kBlockMax;
    options.max_block_size = kBlockMax;
    return options;
  }
  static void silence_protobuf();

  std::unique_ptr<char[]> first_block_{new char[kFirstBlock]};
  google::protobuf::Arena arena_;
};

/// Protobuf prints a line on stderr for each string that is not UTF-8: whoever may send could fill the log. The error
/// that parsing returns says enough.
void silence_protobuf_log();
template <typename Message>
void MessageArena<Message>::silence_protobuf() {
  silence_protobuf_log();
}

/// `text` with every byte that is not part of UTF-8 replaced by '?': protobuf's strings must be UTF-8.
std::string valid_utf8(std::string_view text);
/// The longest beginning of `text` that is at most `bytes_max` long and does not cut a character.
std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max);

void set_held(v1::Held& out, const HeldAttempt& held);
HeldAttempt to_held(const v1::Held& held);
/// False: it names no run or no attempt.
bool is_held(const v1::Held& held);

void set_resources(v1::Resources& out, const Resources& resources);
Resources to_resources(const v1::Resources& resources);

/// 64 hex digits to 32 bytes; anything else becomes "", which no decoder accepts.
std::string sha256_bytes(std::string_view hex);
std::string sha256_hex(std::string_view bytes);  ///< Requires: 32 bytes.

}  // namespace chappe::wire
