/// \file
/// The fake Kubernetes API server (fake_kubernetes.py), started by a test and ended with it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace chappe::support {

class FakeKubernetes {
 public:
  /// Serves when it is back.
  explicit FakeKubernetes(const std::string& kubelet, const std::vector<std::string>& more = {});
  ~FakeKubernetes();
  FakeKubernetes(const FakeKubernetes&) = delete;
  FakeKubernetes& operator=(const FakeKubernetes&) = delete;

  const std::string& url() const { return url_; }
  /// POST /fake/WHAT: what it does is said in the script.
  std::string ask(const std::string& what, const std::string& body = "{}") const;

 private:
  pid_t pid_ = -1;
  int stop_fd_ = -1;  ///< Its standard input: closing it ends it.
  std::string url_;
};

}  // namespace chappe::support
