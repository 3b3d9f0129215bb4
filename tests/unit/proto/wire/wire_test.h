/// \file
/// Short ways to encode, decode and name things in tests of the wire.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "proto/wire/wire.h"

namespace chappe::wire {

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

inline HeldAttempt held(std::uint32_t run, std::uint32_t index, std::uint64_t attempt) {
  return {.key = {.run = {run}, .index = index}, .attempt = {attempt}};
}

inline WorkerSays decoded(const std::string& message) {
  WorkerDecoder decoder;
  WorkerSays says;
  const Result<void> done = decoder.decode(bytes_of(message), says);
  EXPECT_TRUE(done.has_value()) << done.error().message;
  return says;
}

/// The one event that `message` tells of.
template <typename Kind>
Kind decoded_event(const std::string& message) {
  const WorkerSays says = decoded(message);
  EXPECT_EQ(says.events.size(), 1u);
  EXPECT_TRUE(says.logs.empty());
  if (says.events.size() != 1 || !std::holds_alternative<Kind>(says.events[0])) {
    ADD_FAILURE() << "the message tells of something else";
    return {};
  }
  return std::get<Kind>(says.events[0]);
}

inline WorkerSend decoded_send(const std::string& message) {
  SchedulerDecoder decoder;
  Result<WorkerSend> send = decoder.decode(bytes_of(message));
  EXPECT_TRUE(send.has_value()) << send.error().message;
  return send ? *std::move(send) : WorkerSend{};
}

/// Why the scheduler drops `message`; "" when it does not.
inline std::string worker_complaint(const std::string& message) {
  WorkerDecoder decoder;
  WorkerSays says;
  const Result<void> done = decoder.decode(bytes_of(message), says);
  EXPECT_TRUE(done.has_value() || (says.events.empty() && says.logs.empty())) << "an error leaves nothing behind";
  return done ? "" : done.error().message;
}

inline std::string scheduler_complaint(const std::string& message) {
  SchedulerDecoder decoder;
  const Result<WorkerSend> send = decoder.decode(bytes_of(message));
  return send ? "" : send.error().message;
}

}  // namespace chappe::wire
