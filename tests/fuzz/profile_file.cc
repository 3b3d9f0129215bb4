// AWS's shared files: a setting is found as it stands there, on one line, or not at all.
#include <string>

#include "storage/s3/profile_files.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

FUZZ_TARGET(profile_file) {
  for (const char* profile : {"default", "dev", ""}) {
    for (const char* name : {"aws_access_key_id", "region", ""}) {
      const auto value = s3::setting_of(input, profile, name);
      if (!value) continue;
      CHAPPE_ASSERT(value->find('\n') == std::string::npos && input.find(*value) != std::string_view::npos);
      CHAPPE_ASSERT(s3::setting_of("[" + std::string(profile) + "]\n" + name + "=" + *value, profile, name) == value);
    }
  }
}

}  // namespace chappe::fuzz
