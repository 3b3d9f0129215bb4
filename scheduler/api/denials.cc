#include "scheduler/api/denials.h"

namespace chappe::api {

void Denials::record(const Denial& denial, MonoTime now) {
  if (!by_source_.take(denial.source, now) || !in_all_.take("", now)) {
    ++left_out_;
    return;
  }
  ValueMap detail{{"status", denial.status}, {"why", denial.why}};
  if (left_out_ > 0) detail.emplace_back("left_out", std::exchange(left_out_, 0));
  // Where the scheduler has no room for it now, the refusal stands all the same.
  backend_.request(AccessDenied{.principal = denial.principal,
                                .source = denial.source,
                                .object = denial.object,
                                .detail = to_json(Value(std::move(detail)))},
                   [](const Result<Value>&) {});
}

}  // namespace chappe::api
