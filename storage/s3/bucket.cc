#include "storage/s3/bucket.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "proto/http/client.h"
#include "storage/digest/digest.h"
#include "storage/s3/ranged_reader.h"

namespace chappe::s3 {
namespace {

constexpr std::string_view kMetadata = "x-amz-meta-";

bool is_header_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::string quoted(std::string_view action, const Location& at) {
  return fmt::format("{} \"s3://{}/{}\"", action, at.bucket, at.key);
}

bool bears_mark(const ObjectInfo& info, const std::string& mark) {
  return std::any_of(info.metadata.begin(), info.metadata.end(),
                     [&](const auto& pair) { return pair.first == kWriteMark && pair.second == mark; });
}

// What stands at the key, if it is the write of this mark. Errors: kUnavailable: nobody can tell now, and a guess would
// be taken for the truth: a write of our own for another's, or a finished upload for a lost one.
Result<std::optional<ObjectInfo>> own_write(S3Client& client, const Location& at, const std::string& mark,
                                            std::uint64_t size) {
  auto info = head_object(client, at);
  if (!info && info.error().code == ErrorCode::kUnavailable) return fail(std::move(info.error()));
  if (!info || info->size != size || !bears_mark(*info, mark)) return std::nullopt;
  return std::optional(std::move(*info));
}

// Told by the hash that its writer left with it, else by reading it.
Result<bool> holds_bytes(S3Client& client, const Location& at, const ObjectInfo& there, const std::string& sha256) {
  const auto kept = std::find_if(there.metadata.begin(), there.metadata.end(),
                                 [](const auto& pair) { return pair.first == kContentHash; });
  if (kept != there.metadata.end()) return kept->second == sha256;
  Sha256 digest;
  const auto read = read_object(client, at, 0, std::nullopt, [&](std::span<const std::byte> bytes) {
    digest.update(bytes);
    return true;
  });
  if (!read) return fail(read.error());
  return to_hex(digest.finish()) == sha256;
}

Failure exists(const Location& at) {
  return fail(ErrorCode::kConflict, fmt::format("\"s3://{}/{}\" exists already", at.bucket, at.key));
}

}  // namespace

Result<Pairs> object_headers(const PutOptions& options, const std::string& mark) {
  Pairs headers{{"content-type", options.content_type}};
  for (const auto& [name, value] : options.metadata) {
    if (!is_header_text(name) || !is_header_text(value) || name.find_first_of(" :") != std::string::npos) {
      return fail(ErrorCode::kInvalidInput, fmt::format("metadata \"{}\": S3 takes printable ASCII only", name));
    }
    headers.emplace_back(std::string(kMetadata) + name, value);
  }
  headers.emplace_back(std::string(kMetadata) + std::string(kWriteMark), mark);
  return headers;
}

WallTime time_of(const std::string& http_date) {
  std::tm utc{};
  if (::strptime(http_date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &utc) == nullptr) return {};
  return {std::int64_t{::timegm(&utc)} * 1'000'000};
}

ObjectInfo info_of(const http::Response& response, std::string key) {
  ObjectInfo info{.key = std::move(key),
                  .etag = without_quotes(response.header("etag")),
                  .store_version = std::string(response.header("x-amz-version-id")),
                  .modified_at = time_of(std::string(response.header("last-modified")))};
  info.size = std::strtoull(std::string(response.header("content-length")).c_str(), nullptr, 10);
  if (info.store_version == "null") info.store_version.clear();
  for (const auto& [name, value] : response.headers) {
    if (name.starts_with(kMetadata)) info.metadata.emplace_back(name.substr(kMetadata.size()), value);
  }
  std::sort(info.metadata.begin(), info.metadata.end());
  return info;
}

Result<ObjectInfo> head_object(S3Client& client, const Location& at) {
  const auto answer = client.call({.method = "HEAD", .bucket = at.bucket, .key = at.key});
  if (!answer) return fail(answer.error());
  if (!answer->is_ok()) return fail(error_of(*answer, quoted("look at", at)));
  return info_of(answer->response, at.key);
}

Result<ObjectInfo> put_object(S3Client& client, const Location& at, const PutBody& body, PutOptions options) {
  const std::string mark = random_hex(16);
  options.metadata.emplace_back(kContentHash, body.sha256);
  auto headers = object_headers(options, mark);
  if (!headers) return fail(std::move(headers.error()));
  if (options.if_absent) headers->emplace_back("if-none-match", "*");
  const auto answer = client.call({.method = "PUT",
                                   .bucket = at.bucket,
                                   .key = at.key,
                                   .headers = std::move(*headers),
                                   .body = body.bytes,
                                   .body_sha256 = body.sha256});
  if (!answer) return fail(answer.error());
  if (answer->response.status == 412) {
    // A try before this one may have landed without our hearing of it.
    auto ours = own_write(client, at, mark, body.bytes.size());
    if (!ours) return fail(std::move(ours.error()));
    if (*ours) return std::move(**ours);
    return exists(at);
  }
  if (!answer->is_ok()) return fail(error_of(*answer, quoted("write", at)));
  ObjectInfo info = info_of(answer->response, at.key);
  info.size = body.bytes.size();
  return info;
}

Result<std::string> open_upload(S3Client& client, const Location& at, const Pairs& headers) {
  const auto answer = client.call(
      {.method = "POST", .bucket = at.bucket, .key = at.key, .query = {{"uploads", ""}}, .headers = headers});
  if (!answer) return fail(answer.error());
  if (!answer->is_ok()) return fail(error_of(*answer, quoted("open an upload to", at)));
  return read_upload_id(answer->response.body);
}

Result<std::string> put_part(S3Client& client, const Location& at, const std::string& upload, std::uint32_t number,
                             std::span<const std::byte> bytes) {
  const auto answer = client.call({.method = "PUT",
                                   .bucket = at.bucket,
                                   .key = at.key,
                                   .query = {{"partNumber", std::to_string(number)}, {"uploadId", upload}},
                                   .body = bytes});
  if (!answer) return fail(answer.error());
  if (!answer->is_ok()) return fail(error_of(*answer, quoted(fmt::format("write part {} of", number), at)));
  std::string etag = without_quotes(answer->response.header("etag"));
  if (etag.empty()) return fail(ErrorCode::kUnavailable, quoted("write", at) + ": S3 answered without the part's ETag");
  return etag;
}

Result<std::string> copy_part(S3Client& client, const Location& at, const std::string& upload, std::uint32_t number,
                              const Location& source, std::optional<ByteRange> range) {
  Call call{.method = "PUT",
            .bucket = at.bucket,
            .key = at.key,
            .query = {{"partNumber", std::to_string(number)}, {"uploadId", upload}},
            .headers = {{"x-amz-copy-source", fmt::format("/{}/{}", http::percent_encode(source.bucket),
                                                          http::percent_encode(source.key, true))}},
            .works_long = true,
            .error_in_200 = true};
  if (range) {
    call.headers.emplace_back("x-amz-copy-source-range",
                              fmt::format("bytes={}-{}", range->first, range->first + range->length - 1));
  }
  const auto answer = client.call(call);
  if (!answer) return fail(answer.error());
  if (!answer->is_ok()) return fail(error_of(*answer, quoted("copy to", at)));
  auto etag = read_etag(answer->response.body, "CopyPartResult");
  if (etag && etag->empty()) return fail(ErrorCode::kUnavailable, quoted("copy to", at) + ": S3 answered without ETag");
  return etag;
}

namespace {

bool upload_is_gone(S3Client& client, const Location& at, const std::string& id) {
  const auto answer = client.call({.method = "GET", .bucket = at.bucket, .key = at.key, .query = {{"uploadId", id}}});
  return answer && answer->response.status == 404;
}

// RGW answers 500 for ever when the upload is gone: a server error is looked into before it is believed.
Result<Answer> ask_to_complete(S3Client& client, const OpenUpload& upload, Call call, bool& is_gone) {
  call.tries_max = 1;
  auto answer = client.call(call);
  const bool is_refusal = answer && (answer->response.status >= 400 && answer->response.status < 500);
  is_gone = is_refusal && (answer->error.code == "NoSuchUpload" || answer->response.status == 404);
  if (is_refusal || (answer && answer->is_ok())) return answer;
  is_gone = upload_is_gone(client, upload.at, upload.id);
  if (is_gone) return answer;
  call.tries_max = 0;
  answer = client.call(call);
  is_gone = answer && !answer->is_ok() && upload_is_gone(client, upload.at, upload.id);
  return answer;
}

// The key of an `if_absent` upload is taken: by its own completion, by equal bytes, or by others.
Result<ObjectInfo> judge_taken(S3Client& client, const OpenUpload& upload, const ObjectInfo& there) {
  if (there.size != upload.size) return exists(upload.at);
  if (!bears_mark(there, upload.mark)) {
    if (!upload.is_marked_by_content()) return exists(upload.at);
    const auto equal = holds_bytes(client, upload.at, there, upload.mark);
    if (!equal) return fail(equal.error());
    if (!*equal) return exists(upload.at);
  }
  (void)abort_upload(client, upload.at, upload.id);  // Not needed any more, or gone already.
  return there;
}

}  // namespace

Result<ObjectInfo> complete_upload(S3Client& client, const OpenUpload& upload) {
  const std::string what = quoted("complete the upload to", upload.at);
  Call call{.method = "POST",
            .bucket = upload.at.bucket,
            .key = upload.at.key,
            .query = {{"uploadId", upload.id}},
            .headers = {{"content-type", "application/xml"}},
            .works_long = true,
            .error_in_200 = true};
  if (upload.if_absent) {
    // Servers that know If-None-Match on PUT but not here would overwrite: look first, then let the server decide.
    const auto there = head_object(client, upload.at);
    if (there) return judge_taken(client, upload, *there);
    if (there.error().code == ErrorCode::kUnavailable) return there;
    call.headers.emplace_back("if-none-match", "*");
  }
  const std::string body = complete_body(upload.part_etags);
  call.body = std::as_bytes(std::span(body));
  bool is_gone = false;
  const auto answer = ask_to_complete(client, upload, call, is_gone);
  if (is_gone) {  // Completed before, or aborted.
    auto ours = own_write(client, upload.at, upload.mark, upload.size);
    if (!ours) return fail(std::move(ours.error()));
    if (*ours) return std::move(**ours);
    return fail(ErrorCode::kNotFound, what + ": it is gone");
  }
  if (!answer) return fail(answer.error());
  if (answer->response.status == 412) {
    const auto there = head_object(client, upload.at);
    return there ? judge_taken(client, upload, *there) : there;
  }
  // An ETag that was told wrongly: the upload can never be completed, and is as good as gone.
  if (answer->error.code == "InvalidPart") return fail(ErrorCode::kNotFound, what + ": S3 does not know its parts");
  if (!answer->is_ok()) return fail(error_of(*answer, what));
  if (auto etag = read_etag(answer->response.body, "CompleteMultipartUploadResult"); !etag) return fail(etag.error());
  return head_object(client, upload.at);  // RGW leaves the ETag out of its answer.
}

Result<void> abort_upload(S3Client& client, const Location& at, const std::string& id) {
  const auto answer =
      client.call({.method = "DELETE", .bucket = at.bucket, .key = at.key, .query = {{"uploadId", id}}});
  if (!answer) return fail(answer.error());
  if (!answer->is_ok() && answer->response.status != 404)
    return fail(error_of(*answer, quoted("abort the upload to", at)));
  return {};
}

}  // namespace chappe::s3
