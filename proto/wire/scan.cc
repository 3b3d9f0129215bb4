#include "proto/wire/scan.h"

#include <fmt/core.h>

#include "proto/wire/wire.h"

namespace chappe::wire {
namespace {

// The tables mirror proto/chappe/v1/worker.proto; tests/unit/proto/wire checks them against its descriptors.
constexpr Shape kHeld{"ff"};
constexpr Shape kResources{"vvv"};
constexpr Shape kLabel{"bb"};
constexpr Shape kGoodbye{"v"};
constexpr Shape kObject{"bbvbvbbbb"};
constexpr Shape kNamedValue{"bbv"};
constexpr Shape kObjectRead{"bbvbbb"};
constexpr Shape kWelcome{"vvvv"};
constexpr Shape::Child kRunChildren[] = {{10, nullptr, true}};
constexpr Shape kRun{"vbbbbfffvb", kRunChildren};
constexpr Shape kVariable{"bb"};
constexpr Shape kInputObject{"bbvbvvbbv"};
constexpr Shape kPart{"vvb"};
constexpr Shape kOutput{"bbvvvbbvbb"};
constexpr Shape kOutputValue{"bbbbv"};
constexpr Shape kContainer{"bvvv"};
constexpr Shape kSecret{"bvbbbv"};
constexpr Shape kHttpPiece{"bbv"};
constexpr Shape kService{"vbvv"};

constexpr Shape::Child kHelloChildren[] = {
    {4, &kResources, false}, {7, &kLabel, true}, {8, &kHeld, true}, {10, nullptr, true}, {12, nullptr, true}};
constexpr Shape kHello{"bbbbvvbbvbvb", kHelloChildren};
constexpr Shape::Child kHeartbeatChildren[] = {{2, &kHeld, true}};
constexpr Shape kHeartbeat{"vb", kHeartbeatChildren};
constexpr Shape::Child kWhatChildren[] = {{1, &kHeld, false}};
constexpr Shape kStarted{"bfbv", kWhatChildren};
constexpr Shape::Child kFinishedChildren[] = {
    {1, &kHeld, false}, {11, &kObject, true}, {12, &kNamedValue, true}, {14, &kObjectRead, true}};
constexpr Shape kFinished{"bvvffvvvvbbbbb", kFinishedChildren};
constexpr Shape::Child kReportChildren[] = {{1, &kStarted, true}, {2, &kFinished, true}, {3, &kHeld, true}};
constexpr Shape kReport{"bbb", kReportChildren};
constexpr Shape kLogChunk{"bvb", kWhatChildren};
constexpr Shape::Child kLogsChildren[] = {{1, &kLogChunk, true}};
constexpr Shape kLogs{"b", kLogsChildren};
constexpr Shape::Child kWorkerMessageChildren[] = {
    {2, &kHello, false}, {3, &kHeartbeat, false}, {4, &kReport, false}, {5, &kLogs, false}, {6, &kGoodbye, false}};

constexpr Shape kCancel{"bvv", kWhatChildren};
constexpr Shape kAssignment{"bvvvbbb", kWhatChildren};
constexpr Shape::Child kInputChildren[] = {{4, &kInputObject, true}};
constexpr Shape kInput{"bbvbvv", kInputChildren};
constexpr Shape::Child kHttpHeaderChildren[] = {{2, &kHttpPiece, true}};
constexpr Shape kHttpHeader{"bb", kHttpHeaderChildren};
constexpr Shape::Child kHttpChildren[] = {{2, &kHttpPiece, true}, {3, &kHttpHeader, true}, {4, &kHttpPiece, true}};
constexpr Shape kHttp{"bbbbbv", kHttpChildren};
constexpr Shape::Child kSidecarChildren[] = {
    {3, nullptr, true}, {4, nullptr, true}, {5, &kVariable, true}, {6, &kResources, false}, {7, &kContainer, false}};
constexpr Shape kSidecar{"bbbbbbbvbv", kSidecarChildren};
constexpr Shape::Child kWorkChildren[] = {{4, nullptr, true},       {5, &kVariable, true},    {6, &kInput, true},
                                          {7, &kOutput, true},      {8, &kOutputValue, true}, {11, &kResources, false},
                                          {13, &kContainer, false}, {14, &kSecret, true},     {16, &kHttp, false},
                                          {18, &kService, false},   {19, &kSidecar, true}};
constexpr Shape kWork{"vbbbbbbbvvbbbbvbbbb", kWorkChildren};
constexpr Shape::Child kSchedulerMessageChildren[] = {
    {3, &kWelcome, false}, {5, nullptr, true},      {6, &kCancel, true}, {7, &kRun, true},
    {8, &kWork, true},     {9, &kAssignment, true}, {10, &kPart, false}};

enum class WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

using Bytes = std::span<const std::byte>;

/// Takes a varint of at most ten bytes off the front. False: there is none.
bool take_varint(Bytes& bytes, std::uint64_t& value) {
  value = 0;
  for (std::size_t i = 0; i < bytes.size() && i < 10; ++i) {
    const auto byte = std::to_integer<std::uint64_t>(bytes[i]);
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      bytes = bytes.subspan(i + 1);
      return true;
    }
  }
  return false;
}

bool take_bytes(Bytes& bytes, std::uint64_t count, Bytes& taken) {
  if (count > bytes.size()) return false;
  taken = bytes.first(static_cast<std::size_t>(count));
  bytes = bytes.subspan(static_cast<std::size_t>(count));
  return true;
}

/// Takes a field's value off the front; `payload` is what a length announced. Groups are refused: proto3 has none.
bool take_value(Bytes& bytes, WireType type, Bytes& payload) {
  std::uint64_t number = 0;
  payload = {};
  switch (type) {
    case WireType::kVarint:
      return take_varint(bytes, number);
    case WireType::kFixed64:
      return take_bytes(bytes, 8, payload);
    case WireType::kFixed32:
      return take_bytes(bytes, 4, payload);
    case WireType::kBytes:
      return take_varint(bytes, number) && take_bytes(bytes, number, payload);
  }
  return false;
}

/// Whether the schema has `field` in this encoding; parsers keep what it has not as unknown.
bool is_known(const Shape& shape, std::uint64_t field, WireType type) {
  if (field > shape.types.size()) return false;
  switch (shape.types[static_cast<std::size_t>(field) - 1]) {
    case 'v':
      return type == WireType::kVarint;
    case 'f':
      return type == WireType::kFixed64;
    case 'b':
      return type == WireType::kBytes;
    default:  // 'p': both forms are read.
      return type == WireType::kBytes || type == WireType::kFixed64;
  }
}

const Shape::Child* find_child(const Shape& shape, std::uint64_t field) {
  for (const Shape::Child& child : shape.children) {
    if (child.field == field) return &child;
  }
  return nullptr;
}

/// `entries`: counted so far. False: malformed. The recursion is as deep as the tables nest.
bool count(Bytes bytes, const Shape& shape, std::size_t entries_max, std::size_t& entries) {
  while (!bytes.empty() && entries <= entries_max) {
    std::uint64_t tag = 0;
    if (!take_varint(bytes, tag) || tag >> 32 != 0) return false;
    const std::uint64_t field = tag >> 3;
    const auto type = static_cast<WireType>(tag & 7);
    Bytes payload;
    if (field == 0 || !take_value(bytes, type, payload)) return false;
    if (!is_known(shape, field, type)) {
      ++entries;
      continue;
    }
    const Shape::Child* child = find_child(shape, field);
    if (child == nullptr) continue;
    if (shape.types[static_cast<std::size_t>(field) - 1] == 'p') {
      entries += payload.size() / 8;
    } else if (child->list) {
      ++entries;
    }
    if (child->shape != nullptr && !count(payload, *child->shape, entries_max, entries)) return false;
  }
  return true;
}

}  // namespace

constexpr Shape kWorkerMessageShape{"vbbbbb", kWorkerMessageChildren};
constexpr Shape kSchedulerMessageShape{"vvbvpbbbbb", kSchedulerMessageChildren};

Result<void> check_size_and_entries(std::span<const std::byte> message, const Shape& shape, Bounds bounds) {
  if (message.size() > bounds.bytes) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("the message has {} bytes; at most {}", message.size(), bounds.bytes));
  }
  std::size_t entries = 0;
  if (!count(message, shape, bounds.entries, entries))
    return fail(ErrorCode::kInvalidInput, "the message is no protobuf");
  if (entries > bounds.entries) {
    return fail(ErrorCode::kInvalidInput, fmt::format("the message has more than {} entries", bounds.entries));
  }
  return {};
}

}  // namespace chappe::wire
