/// \file
/// An S3 server in the test's own process, small and exact: objects with metadata and ETags, ranges, conditions,
/// multipart uploads, server-side copies. It knows one bucket of any name, checks no signature, and can be told to have
/// a bad day.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/servers/loopback_http.h"

namespace chappe::testing {

struct S3Request {
  std::string method;
  std::string key;                             ///< Decoded; "" for the bucket.
  std::map<std::string, std::string> query;    ///< Decoded.
  std::map<std::string, std::string> headers;  ///< Names in lower case.
  std::string body;

  bool has(const std::string& parameter) const { return query.contains(parameter); }
  /// "PUT", "PUT part", "COPY part", "POST uploads", "POST complete", "GET parts", "DELETE upload" ...
  std::string what() const;
};

class FakeS3 {
 public:
  /// One request on a bad day: `serve` does what was asked and gives the right answer, if it is called at all. Calls
  /// come one at a time.
  using BadDay = std::function<Reply(const S3Request& request, const std::function<Reply()>& serve)>;

  explicit FakeS3(BadDay bad_day = nullptr);
  std::string url() const { return http_.url(); }
  int port() const { return http_.port(); }

  /// From the next request on; null: a good day.
  void set_bad_day(BadDay bad_day);

  /// Every content that ever was visible at the key, oldest first.
  std::vector<std::string> versions(const std::string& key) const;
  std::size_t open_uploads() const;
  std::size_t requests() const { return http_.received().size(); }
  /// What was asked of it so far, as S3Request::what() says.
  std::vector<std::string> asked() const;

 private:
  struct Object {
    std::string bytes;
    std::string etag;
    std::string metadata;  ///< Header lines.
  };
  struct Upload {
    std::string key;
    std::string metadata;
    std::map<int, Object> parts;
  };
  Reply answer(const Received& received);
  Reply serve(const S3Request& request);
  Reply get(const S3Request& request) const;
  Reply put(const S3Request& request);
  Reply put_part(const S3Request& request);
  Reply post(const S3Request& request);
  Reply complete(const S3Request& request);
  Reply remove(const S3Request& request);
  Reply show(const std::string& key, Object object);
  std::string next_etag() { return "e" + std::to_string(++last_etag_); }

  mutable std::mutex mutex_;
  BadDay bad_day_;
  std::map<std::string, Object> objects_;
  std::map<std::string, std::vector<std::string>> versions_;
  std::map<std::string, Upload> uploads_;
  std::vector<std::string> asked_;
  int last_etag_ = 0;
  int last_upload_ = 0;
  LoopbackHttp http_;  ///< Last: it serves until it is gone.
};

/// `<Error>` with that code.
std::string s3_error(const std::string& code);

}  // namespace chappe::testing
