/// \file
/// Names of things as distinct types: mixing two of them up does not compile.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/time.h"

namespace chappe {

/// An integer that is one kind of name only. 0 means "none".
template <typename Tag, typename Int>
struct StrongId {
  Int value = 0;
  auto operator<=>(const StrongId&) const = default;
  explicit operator bool() const { return value != 0; }
};

/// A run within one metadata store, counted from 1. Outside, a run is known by its RunId.
using RunSeq = StrongId<struct RunSeqTag, std::uint32_t>;
/// One incarnation of a worker process within one metadata store, counted from 1.
using WorkerSeq = StrongId<struct WorkerSeqTag, std::uint32_t>;
/// One try of a task instance. Strictly increasing per store over all epochs: the fence of design.md section 5.
using AttemptId = StrongId<struct AttemptIdTag, std::uint64_t>;
/// One network connection of a worker, numbered by the transport; never reused within a process life.
using ConnectionId = StrongId<struct ConnectionIdTag, std::uint64_t>;
/// A request of a user or a program that waits for the engine's answer; numbered by the shell that asks.
using Ticket = StrongId<struct TicketTag, std::uint64_t>;
/// A version of an asset within one metadata store, counted from 1.
using AssetVersionId = StrongId<struct AssetVersionIdTag, std::uint64_t>;
/// A backfill within one metadata store, counted from 1.
using BackfillId = StrongId<struct BackfillIdTag, std::uint32_t>;

/// An event that a trigger was told of, counted from 1 within one metadata store.
using EventId = StrongId<struct EventIdTag, std::uint64_t>;

/// A task instance: run and position. Instances of one run are numbered without gaps in file order, those of a
/// mapped task side by side in the order of its items.
struct InstanceKey {
  RunSeq run;
  std::uint32_t index = 0;
  auto operator<=>(const InstanceKey&) const = default;
  /// The row id in the metadata store.
  std::int64_t row() const { return (static_cast<std::int64_t>(run.value) << 32) | index; }
  static InstanceKey from_row(std::int64_t row) {
    return {{static_cast<std::uint32_t>(row >> 32)}, static_cast<std::uint32_t>(row)};
  }
};

/// A run's name in the world: a ULID (48 bits of milliseconds, 80 random bits), sortable by age.
struct RunId {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const RunId&) const = default;
  static RunId make(WallTime now, const std::array<std::uint8_t, 10>& random);
  /// 26 characters of Crockford's base 32, upper case.
  std::string text() const;
  static std::optional<RunId> parse(std::string_view text);  ///< Any case; nullopt unless it is a ULID.
};

/// How an attempt is named outside: 16 lower-case hex digits, so that names sort by age.
std::string to_text(AttemptId attempt);
std::optional<AttemptId> parse_attempt_id(std::string_view text);

}  // namespace chappe

template <typename Tag, typename Int>
struct std::hash<chappe::StrongId<Tag, Int>> {
  std::size_t operator()(const chappe::StrongId<Tag, Int>& id) const noexcept { return std::hash<Int>{}(id.value); }
};
template <>
struct std::hash<chappe::InstanceKey> {
  std::size_t operator()(const chappe::InstanceKey& key) const noexcept { return std::hash<std::int64_t>{}(key.row()); }
};
