/// \file
/// How an operation that can fail says so: a value, or an Error with a code that a caller may act on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace chappe {

/// What the caller may do about a failure. The message is for people.
enum class ErrorCode : std::uint8_t {
  kInvalidInput,      ///< The user must change something. Never retried.
  kNotFound,          ///< The named thing does not exist (any more).
  kConflict,          ///< Somebody else changed it first: reload, decide again.
  kUnavailable,       ///< Passing fault (timeout, 503, SQLITE_BUSY): retry with backoff.
  kPermissionDenied,  ///< Credentials missing, wrong, expired or not allowed to do this.
  kUnsupported,       ///< The other side lacks this feature; a fallback may exist.
  kCorrupt,           ///< Stored data breaks an invariant: stop and tell the operator.
};

/// The code's name as it stands in API answers and logs, e.g. "not_found".
std::string_view name_of(ErrorCode code);

struct Error {
  ErrorCode code;
  std::string message;  ///< "what we did: what happened"; no final full stop.

  /// The same error with "what we did: " in front, for passing it up.
  Error in(std::string_view what) && {
    message.insert(0, ": ").insert(0, what);
    return std::move(*this);
  }
};

/// A value or an Error; ignoring it does not compile (-Werror).
template <typename T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

using Failure = tl::unexpected<Error>;

/// `return fail(ErrorCode::kNotFound, "run r-7");` from any function that returns a Result.
inline Failure fail(ErrorCode code, std::string message) { return Failure(Error{code, std::move(message)}); }
inline Failure fail(Error error) { return Failure(std::move(error)); }

}  // namespace chappe
