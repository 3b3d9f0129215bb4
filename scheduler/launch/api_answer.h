/// \file
/// What a Kubernetes API server answers, read: objects, refusals, pages of a list, events of a watch. Pure.
/// Source: the Kubernetes API's concepts; what was seen of a real server.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/base/value.h"
#include "proto/http/client.h"

namespace chappe::launch {

inline constexpr std::size_t kAnswerMax = std::size_t{64} << 20;
inline constexpr std::size_t kWatchLineMax = std::size_t{4} << 20;  ///< Of one event.
inline constexpr int kGone = 410;                                   ///< The version, or the list, is too old.

/// A request that was answered, well or not.
struct ApiAnswer {
  int status = 0;
  Value body;
  std::string message;  ///< Of the server, where it is no success; at most kToldBytesMax (pod_status.h).
  std::optional<Duration> retry_after;
  bool is_success() const { return status >= 200 && status < 300; }
};

ApiAnswer answer_of(const http::Response& response);

/// One answer of a list that may be long.
struct ListPage {
  ValueList items;
  std::string version;  ///< To watch from.
  std::string next;     ///< Where the next page begins; "": this is the last.
};

ListPage read_page(const Value& body);

/// One event of a watch, as it came.
struct WatchEvent {
  std::string type;  ///< ADDED, MODIFIED, DELETED or BOOKMARK.
  Value object;
};

/// How a watch ended.
enum class WatchEnd : std::uint8_t {
  kClosed,   ///< Go on from the last version.
  kExpired,  ///< The version is too old: list again.
};

/// Events out of the pieces of a watch's body, one a line.
class WatchReader {
 public:
  /// `version`: moves with what is read.
  WatchReader(std::string& version, const std::function<void(const WatchEvent&)>& on_event)
      : version_(version), on_event_(on_event) {}

  /// False: nothing more is wanted; end() says why.
  bool add(std::string_view piece);
  /// Errors: kUnavailable: what came was no event, one that is too long, or the server's word that it cannot go on.
  Result<WatchEnd> end() const;

 private:
  bool take(std::string_view line);

  std::string& version_;
  const std::function<void(const WatchEvent&)>& on_event_;
  std::string buffer_;
  WatchEnd end_ = WatchEnd::kClosed;
  std::string problem_;
};

}  // namespace chappe::launch
