/// \file
/// The pods of one namespace, through a Kubernetes API server. Source: the Kubernetes API's concepts; what was seen of
/// a real server. Thread: any; each call blocks.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/base/value.h"
#include "proto/http/client.h"
#include "scheduler/launch/api_answer.h"

namespace chappe::launch {

inline constexpr std::size_t kListPage = 500;          ///< Pods of one answer.
inline constexpr std::chrono::seconds kWatchTime{60};  ///< After which a watch is begun anew.

struct ApiConfig {
  std::string url;  ///< "https://HOST:PORT"
  std::string namespace_name;
  std::filesystem::path token_file;  ///< Read for each request: it is renewed. "": none.
  std::string ca_file;               ///< "": the system's.
};

class KubernetesApi {
 public:
  using Busy = std::function<void(Duration)>;  ///< Called on the thread of a request, before its answer is handed on.

  /// `on_busy`: told, at each 429, for how long the server wants to be left alone.
  explicit KubernetesApi(ApiConfig config, Busy on_busy = {});

  /// Any request: `path` from the server's root, such as "/apis/apps/v1/..."; null: no body. A PATCH is a merge patch.
  Result<ApiAnswer> ask(const std::string& method, const std::string& path, const Value& body = {});

  // Errors: kUnavailable: no answer; kInvalidInput: the connection can never work so (its certificate).
  Result<ApiAnswer> create(const Value& pod);
  Result<ApiAnswer> look(const std::string& pod);
  /// `uid`: only if it has it; "": whatever has the name.
  Result<ApiAnswer> remove(const std::string& pod, const std::string& uid);

  struct Listed {
    ValueList pods;
    std::string version;  ///< To watch from.
  };
  /// All with this label, as of now. Errors: also kUnavailable: the server said no, and why.
  Result<Listed> list(const std::string& selector);
  /// Hands on what happens since `version`, which moves with it, until `stopped` or kWatchTime. Errors: as list().
  Result<WatchEnd> watch(const std::string& selector, std::string& version,
                         const std::function<void(const WatchEvent&)>& on_event, const std::atomic<bool>& stopped);

 private:
  Result<http::Request> request(const std::string& method, const std::string& url) const;
  Result<ApiAnswer> send(const http::Request& request);
  ApiAnswer heed(const http::Response& response) const;

  ApiConfig config_;
  Busy on_busy_;
  std::string pods_;  ///< URL of the namespace's pods.
  http::Client client_;
};

}  // namespace chappe::launch
