// Staged uploads, as workers report them and the metadata store keeps them: what is taken for one is written back to
// text that means the same, and names nothing outside of its store.
#include "storage/s3/upload_text.h"

#include <string>

#include "engine/ports/object_key.h"
#include "storage/local/upload.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

static void check_local(std::string_view input) {
  const auto upload = local::parse_upload(input);
  if (!upload) return check_error(upload.error());
  CHAPPE_ASSERT(upload->name.find('/') == std::string::npos && check_object_key(upload->uri));
  const auto again = local::parse_upload(to_text(*upload));
  CHAPPE_ASSERT(again && *again == *upload);
}

static void check_s3(std::string_view input) {
  const auto upload = s3::parse_upload(input);
  if (!upload) return check_error(upload.error());
  CHAPPE_ASSERT(!upload->at.bucket.empty() && !upload->at.key.empty() && !upload->id.empty());
  CHAPPE_ASSERT(!upload->part_etags.empty());
  const std::string text = to_text(*upload);
  const auto again = s3::parse_upload(text);
  CHAPPE_ASSERT(again && to_text(*again) == text);
  CHAPPE_ASSERT(again->at.key == upload->at.key && again->part_etags == upload->part_etags);
}

FUZZ_TARGET(upload_text) {
  check_local(input);
  check_s3(input);
}

}  // namespace chappe::fuzz
