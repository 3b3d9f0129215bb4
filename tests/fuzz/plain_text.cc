// The small texts of configuration and the command line: durations, times, ids, sizes of paths, addresses. What is read
// is written back to a form that reads equal.
#include <algorithm>
#include <string>

#include "engine/base/ids.h"
#include "engine/base/text.h"
#include "engine/base/time.h"
#include "engine/lineage/objects.h"
#include "engine/ports/object_key.h"
#include "proto/http/client.h"
#include "storage/local/paths.h"
#include "storage/s3/address.h"
#include "storage/s3/s3_object_store.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

static void check_times(std::string_view input) {
  if (const auto duration = parse_duration(input)) {
    CHAPPE_ASSERT(duration->count() >= 0);
    CHAPPE_ASSERT(parse_duration(to_text(*duration)) == *duration);
  } else {
    check_error(duration.error());
  }
  const auto time = parse_iso8601(input);
  if (time && time->is_set()) CHAPPE_ASSERT(parse_iso8601(to_iso8601(*time)) == *time);
  if (!time) check_error(time.error());
}

static void check_ids(std::string_view input) {
  if (const auto run = RunId::parse(input)) CHAPPE_ASSERT(RunId::parse(run->text()) == run);
  if (const auto attempt = parse_attempt_id(input)) CHAPPE_ASSERT(parse_attempt_id(to_text(*attempt)) == attempt);
  CHAPPE_ASSERT(!is_identifier(input) || (!input.empty() && input.size() <= 200));
}

static bool is_segment_text(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._=-%").find(c) != std::string_view::npos;
}

static void check_paths(std::string_view input) {
  CHAPPE_ASSERT(*http::percent_decode(http::percent_encode(input)) == input);
  const std::string segment = path_segment(input);
  CHAPPE_ASSERT(std::all_of(segment.begin(), segment.end(), is_segment_text));
  CHAPPE_ASSERT(segment != "." && segment != "..");
  if (!check_object_key(input)) return;
  std::string key;
  std::string_view rest = input.empty() ? input : std::string_view();
  const std::string path = local::path_of_key(input);
  for (rest = path; !rest.empty();) {
    const std::string_view name = take_until(rest, '/');
    CHAPPE_ASSERT(!name.empty() && name.size() <= 255 && name != "." && name != "..");
    key += local::text_of_name(name);
    if (!local::goes_on(name) && !rest.empty()) key += '/';
  }
  CHAPPE_ASSERT(key == input);
}

static void check_addresses(std::string_view input) {
  if (const auto endpoint = s3::parse_endpoint(input)) {
    const auto again = s3::parse_endpoint(endpoint->scheme + "://" + endpoint->host + endpoint->path);
    CHAPPE_ASSERT(again && *again == *endpoint);
  } else {
    check_error(endpoint.error());
  }
  if (const auto location = parse_s3_uri(std::string(input))) {
    CHAPPE_ASSERT(!location->bucket.empty() && location->bucket.find('/') == std::string::npos);
    CHAPPE_ASSERT(!location->prefix.starts_with('/') && !location->prefix.ends_with('/'));
  }
}

FUZZ_TARGET(plain_text) {
  if (input.size() > 2'000) return;  // A command line's worth; longer ones are cut before they come here.
  check_times(input);
  check_ids(input);
  check_paths(input);
  check_addresses(input);
}

}  // namespace chappe::fuzz
