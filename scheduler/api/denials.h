/// \file
/// Refused requests on their way into the audit log: enough of them that a person sees what happens, few enough that
/// nobody fills the disk with them. What is left out is counted in the next row.
#pragma once

#include <cstdint>
#include <string>

#include "scheduler/api/allowances.h"
#include "scheduler/api/backend.h"

namespace chappe::api {

struct Denial {
  std::string principal;
  std::string source;  ///< A network address.
  std::string object;  ///< "GET /api/v1/tokens": the route, never what was in the request.
  int status = 401;
  std::string why;
};

/// Thread: one.
class Denials {
 public:
  static constexpr std::size_t kBurst = 100;  ///< Rows at once; then one each ten seconds: 8,640 a day.
  static constexpr std::size_t kBurstOfSource = 10;

  explicit Denials(Backend& backend) : backend_(backend) {}
  void record(const Denial& denial, MonoTime now);

 private:
  Backend& backend_;
  Allowances by_source_{{.burst = kBurstOfSource, .one_more = std::chrono::seconds(60)}};
  Allowances in_all_{{.burst = kBurst, .one_more = std::chrono::seconds(10)}};
  std::int64_t left_out_ = 0;
};

}  // namespace chappe::api
