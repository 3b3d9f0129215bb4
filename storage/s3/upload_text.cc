#include "storage/s3/upload_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "proto/http/client.h"

namespace chappe::s3 {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> words;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(separator, start), text.size());
    words.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return words;
}

}  // namespace

std::string to_text(const OpenUpload& upload) {
  std::string etags;
  for (const std::string& etag : upload.part_etags) etags += (etags.empty() ? "" : ",") + http::percent_encode(etag);
  return fmt::format("s3-1 {} {} {} {} {} {} {}", http::percent_encode(upload.at.bucket),
                     http::percent_encode(upload.at.key, true), http::percent_encode(upload.id), upload.size,
                     upload.mark, upload.if_absent ? 1 : 0, etags);
}

Result<OpenUpload> parse_upload(std::string_view text) {
  const auto refuse = [&] {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("not an upload of an S3 object store: \"{}\"", text.substr(0, 80)));
  };
  const auto words = split(text, ' ');
  if (words.size() != 8 || words[0] != "s3-1" || words[7].empty()) return refuse();
  OpenUpload upload{.mark = std::string(words[5]), .if_absent = words[6] == "1"};
  for (const auto& [word, field] :
       {std::pair{words[1], &upload.at.bucket}, std::pair{words[2], &upload.at.key}, std::pair{words[3], &upload.id}}) {
    auto decoded = http::percent_decode(word);
    if (!decoded || decoded->empty()) return refuse();
    *field = std::move(*decoded);
  }
  const auto [end, error] = std::from_chars(words[4].data(), words[4].data() + words[4].size(), upload.size);
  if (error != std::errc{} || end != words[4].data() + words[4].size()) return refuse();
  for (const std::string_view word : split(words[7], ',')) {
    auto etag = http::percent_decode(word);
    if (!etag || etag->empty()) return refuse();
    upload.part_etags.push_back(std::move(*etag));
  }
  return upload;
}

}  // namespace chappe::s3
