/// \file
/// A real S3 server, started by a script of this folder and stopped with this process.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "engine/base/result.h"

namespace chappe::testing {

class S3Server {
 public:
  /// `script`: "ceph_rgw" or "swift_s3". Returns at once; the server comes up meanwhile.
  explicit S3Server(const std::string& script);
  ~S3Server();
  S3Server(const S3Server&) = delete;
  S3Server& operator=(const S3Server&) = delete;

  /// Waits until it serves, at most four minutes (it may have to be installed). Errors: kUnsupported: it cannot run
  /// here.
  Result<void> wait();
  const std::string& endpoint() const { return endpoint_; }
  /// The same server over TLS, and the file of who signs for it; "" where the script tells of none.
  const std::string& tls_endpoint() const { return tls_endpoint_; }
  const std::string& ca_file() const { return ca_file_; }
  const std::string& access_key() const { return access_key_; }
  const std::string& secret_key() const { return secret_key_; }

 private:
  std::string script_;
  pid_t pid_ = -1;
  int stop_fd_ = -1;  ///< The script's standard input: closing it stops the server.
  int output_fd_ = -1;
  std::string output_;
  std::string endpoint_;
  std::string tls_endpoint_;
  std::string ca_file_;
  std::string access_key_;
  std::string secret_key_;
};

}  // namespace chappe::testing
