/// \file
/// One request and its answer as the handlers see them: plain values, without a socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/base/value.h"
#include "engine/ports/meta_reader.h"

namespace chappe::api {

enum class Method : std::uint8_t { kGet, kPost, kPut, kDelete };
std::string_view name_of(Method method);  ///< "GET"
std::optional<Method> parse_method(std::string_view name);

using TextPairs = std::vector<std::pair<std::string, std::string>>;

struct Request {
  Method method = Method::kGet;
  TextPairs variables;  ///< What stood in the path for `{name}`, decoded.
  TextPairs query;      ///< Decoded, in order.
  std::string body;
  std::string idempotency_key;          ///< "" where not given.
  std::string if_none_match;            ///< "" where not given.
  std::string delivery;                 ///< A webhook's caller's id of what it delivers; "" where not given.
  std::string delivery_type;            ///< What it says that this is: "push".
  std::string principal = "anonymous";  ///< Who asks: "admin", the name of a token, "anonymous" for nobody.
  bool administers = false;             ///< The role is admin.
  std::string source;                   ///< The network address that asks.
  WallTime at;                          ///< When its head was read.

  /// Requires: the route's pattern has it.
  const std::string& variable(std::string_view name) const;
  /// The value of a query parameter; nullopt where it is not given.
  std::optional<std::string> parameter(std::string_view name) const;
  /// A whole number between the bounds, or `fallback` where it is not given. Errors: kInvalidInput.
  Result<std::uint64_t> number(std::string_view name, std::uint64_t fallback, std::uint64_t least,
                               std::uint64_t most) const;
  /// What `since` and `until` say. Errors: kInvalidInput.
  Result<TimeRange> time_range() const;
  /// "1", "true" and "" (as in `?follow`) are true; "0" and "false" are not. Errors: kInvalidInput.
  Result<bool> flag(std::string_view name) const;
};

struct Context;

/// A body that comes in pieces, for as long as there is something to follow.
class Stream {
 public:
  virtual ~Stream() = default;
  struct Piece {
    std::string data;   ///< Empty: nothing new; ask again after `rest_ms`.
    bool last = false;  ///< Nothing follows.
    std::uint32_t rest_ms = 50;
  };
  /// Thread: a reader thread, one call at a time.
  virtual Piece next(Context& context) = 0;
};

struct Answer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  TextPairs headers;
  std::shared_ptr<Stream> stream;  ///< Where set, the body is this.
};

/// Hands the answer to the connection. Call once, from any thread; it never blocks.
using Respond = std::function<void(Answer)>;

Answer json_answer(const Value& value, int status = 200);
/// RFC 9457. `more`: further members.
Answer problem(int status, std::string_view detail, ValueMap more = {});
/// The problem that an error of the store or the engine is for the client.
Answer problem(const Error& error);
/// 400, 404 ...: "Bad Request", "Not Found" ...
std::string_view status_phrase(int status);

/// Reads a JSON object with no other members than `members` (name and JSON type; "any" for all). An empty body is an
/// empty object. Errors: kInvalidInput with the nearest right name.
using MemberTypes = std::vector<std::pair<std::string, std::string>>;
Result<Value> read_body(const std::string& body, const MemberTypes& members);
/// A text member; "" where it is not there. Requires: read_body() checked its type.
std::string text_member(const Value& body, std::string_view name);
/// The texts of an array member; none where it is not there.
std::vector<std::string> text_list(const Value& body, std::string_view name);

}  // namespace chappe::api
