/// \file
/// The least S3 server that a transfer can be measured against: it throws away what it is sent and serves one object of
/// zeros. One process of its own, one thread a connection.
#pragma once

#include <cstddef>
#include <string>

namespace chappe::bench {

class LoopbackS3 {
 public:
  /// Serves an object of this many bytes under every key.
  explicit LoopbackS3(std::size_t object_bytes);
  ~LoopbackS3();  ///< Stops it.
  LoopbackS3(const LoopbackS3&) = delete;
  LoopbackS3& operator=(const LoopbackS3&) = delete;
  const std::string& endpoint() const { return endpoint_; }

 private:
  int process_ = -1;
  std::string endpoint_;
};

}  // namespace chappe::bench
