// Paths into the JSON that a task leaves behind: the first line is the path, the rest the document.
#include "worker/artifacts/json_path.h"

#include "proto/json/json.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

FUZZ_TARGET(json_path) {
  const std::string_view path = take_until(input, '\n');
  const Result<Value> document = parse_json(input);
  const Value nothing;
  const auto found = artifacts::value_at(document ? *document : nothing, path);
  if (found) {
    CHAPPE_ASSERT(path.starts_with('$'));
    CHAPPE_ASSERT(path != "$" || *found == (document ? *document : nothing));
    return;
  }
  const ErrorCode code = found.error().code;
  CHAPPE_ASSERT(code == ErrorCode::kInvalidInput || code == ErrorCode::kNotFound);
  // Whether it is a path does not depend on the document, but for what lies beyond the first missing part.
  if (code == ErrorCode::kInvalidInput && !document) CHAPPE_ASSERT(!artifacts::value_at(nothing, path));
}

}  // namespace chappe::fuzz
