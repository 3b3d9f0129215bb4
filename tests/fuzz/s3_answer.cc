// What an object store answers: the first line is header text ("NAME: VALUE" between tabs), the rest a body, read as
// each of the documents that it could be.
#include <string>

#include "storage/s3/answers.h"
#include "storage/s3/bucket.h"
#include "storage/s3/sts.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

using namespace s3;

static http::Response response_of(std::string_view line) {
  http::Response response{.status = 200};
  while (!line.empty()) {
    std::string_view header = take_until(line, '\t');
    const std::string name(take_until(header, ':'));
    response.headers.emplace_back(name, header);
  }
  return response;
}

static void check_body(std::string_view body) {
  if (const auto page = read_list_page(body)) {
    CHAPPE_ASSERT(page->objects.size() <= body.size());
  } else {
    check_error(page.error());
  }
  const auto id = read_upload_id(body);
  CHAPPE_ASSERT(!id || !id->empty());
  const auto completed = read_etag(body, "CompleteMultipartUploadResult");
  // One body is one thing: never a success and a failure.
  if (completed || id) CHAPPE_ASSERT(!read_error(body));
}

static void check_credentials(std::string_view body) {
  for (const int status : {200, 403, 500}) {
    const auto credentials = read_sts(status, body);
    if (!credentials) continue;
    CHAPPE_ASSERT(status == 200 && !credentials->access_key.empty() && !credentials->secret_key.empty());
  }
}

FUZZ_TARGET(s3_answer) {
  const http::Response response = response_of(take_until(input, '\n'));
  const ObjectInfo info = info_of(response, "k");
  CHAPPE_ASSERT(info.key == "k" && info.metadata.size() <= response.headers.size());
  check_body(input);
  check_credentials(input);
  Answer answer{.response = response};
  for (const int status : {200, 301, 403, 404, 409, 412, 500, 503}) {
    answer.response.status = status;
    answer.error = read_error(input).value_or(ErrorAnswer{});
    check_error(error_of(answer, "read"));
  }
}

}  // namespace chappe::fuzz
