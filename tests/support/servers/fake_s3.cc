#include "tests/support/servers/fake_s3.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace chappe::testing {
namespace {

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    out += static_cast<char>(std::strtoul(std::string(text.substr(at + 1, 2)).c_str(), nullptr, 16));
    at += 2;
  }
  return out;
}

std::string_view take_until(std::string_view& rest, std::string_view separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view head = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + separator.size());
  return head;
}

S3Request read_request(const Received& received) {
  S3Request request{.body = received.body};
  std::string_view head = received.head;
  std::string_view line = take_until(head, "\r\n");
  request.method = take_until(line, " ");
  std::string_view target = take_until(line, " ");
  std::string_view path = take_until(target, "?").substr(1);
  (void)take_until(path, "/");  // The bucket.
  request.key = decoded(path);
  while (!target.empty()) {
    std::string_view value = take_until(target, "&");
    const std::string name = decoded(take_until(value, "="));
    request.query[name] = decoded(value);
  }
  while (!head.empty()) {
    std::string_view value = take_until(head, "\r\n");
    std::string name(take_until(value, ":"));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    request.headers[name] = value;
  }
  return request;
}

std::string header(const S3Request& request, const std::string& name) {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? "" : found->second;
}

std::string metadata_of(const S3Request& request) {
  std::string lines;
  for (const auto& [name, value] : request.headers) {
    if (name.starts_with("x-amz-meta-")) lines += name + ": " + value + "\r\n";
  }
  return lines;
}

Reply refusal(const std::string& status, const std::string& code) { return reply(status, s3_error(code)); }

}  // namespace

std::string s3_error(const std::string& code) { return "<Error><Code>" + code + "</Code><Message/></Error>"; }

std::string S3Request::what() const {
  if (has("uploads")) return method + " uploads";
  if (!has("uploadId")) return method;
  if (method == "PUT") return headers.contains("x-amz-copy-source") ? "COPY part" : "PUT part";
  if (method == "POST") return "POST complete";
  return method == "GET" ? "GET parts" : method + " upload";
}

FakeS3::FakeS3(BadDay bad_day)
    : bad_day_(std::move(bad_day)), http_([this](const Received& received) { return answer(received); }) {}

void FakeS3::set_bad_day(BadDay bad_day) {
  const std::lock_guard lock(mutex_);
  bad_day_ = std::move(bad_day);
}

std::vector<std::string> FakeS3::versions(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = versions_.find(key);
  return found == versions_.end() ? std::vector<std::string>() : found->second;
}

std::size_t FakeS3::open_uploads() const {
  const std::lock_guard lock(mutex_);
  return uploads_.size();
}

std::vector<std::string> FakeS3::asked() const {
  const std::lock_guard lock(mutex_);
  return asked_;
}

Reply FakeS3::answer(const Received& received) {
  const S3Request request = read_request(received);
  const std::lock_guard lock(mutex_);
  asked_.push_back(request.what());
  Reply answer = bad_day_ ? bad_day_(request, [&] { return serve(request); }) : serve(request);
  if (request.method == "HEAD") answer.bytes.resize(std::min(answer.bytes.size(), answer.bytes.find("\r\n\r\n") + 4));
  return answer;
}

Reply FakeS3::serve(const S3Request& request) {
  if (request.has("uploadId") && !uploads_.contains(request.query.at("uploadId"))) {
    return refusal("404 Not Found", "NoSuchUpload");
  }
  if (request.method == "PUT") return request.has("uploadId") ? put_part(request) : put(request);
  if (request.method == "POST") return post(request);
  if (request.method == "DELETE") return remove(request);
  if (request.has("uploadId")) return reply("200 OK", "<ListPartsResult/>");
  return get(request);
}

Reply FakeS3::get(const S3Request& request) const {
  const auto found = objects_.find(request.key);
  if (found == objects_.end()) return refusal("404 Not Found", "NoSuchKey");
  const auto& [bytes, etag, metadata] = found->second;
  const std::string wanted = header(request, "if-match");
  if (!wanted.empty() && wanted != "\"" + etag + "\"") return refusal("412 Precondition Failed", "PreconditionFailed");
  const std::string lines = "ETag: \"" + etag + "\"\r\n" + metadata;
  std::size_t first = 0;
  std::size_t last = 0;
  if (std::sscanf(header(request, "range").c_str(), "bytes=%zu-%zu", &first, &last) != 2) {
    return reply("200 OK", bytes, lines);
  }
  if (first >= bytes.size()) return refusal("416 Range Not Satisfiable", "InvalidRange");
  last = std::min(last, bytes.size() - 1);
  const std::string range = std::to_string(first) + "-" + std::to_string(last) + "/" + std::to_string(bytes.size());
  return reply("206 Partial Content", bytes.substr(first, last - first + 1),
               lines + "Content-Range: bytes " + range + "\r\n");
}

Reply FakeS3::show(const std::string& key, Object object) {
  const std::string etag = object.etag;
  versions_[key].push_back(object.bytes);
  objects_[key] = std::move(object);
  return reply("200 OK", "", "ETag: \"" + etag + "\"\r\n");
}

Reply FakeS3::put(const S3Request& request) {
  if (header(request, "if-none-match") == "*" && objects_.contains(request.key)) {
    return refusal("412 Precondition Failed", "PreconditionFailed");
  }
  return show(request.key, {request.body, next_etag(), metadata_of(request)});
}

Reply FakeS3::put_part(const S3Request& request) {
  Object part{request.body, next_etag(), ""};
  const std::string source = decoded(header(request, "x-amz-copy-source"));
  if (!source.empty()) {
    const auto found = objects_.find(source.substr(source.find('/', 1) + 1));
    if (found == objects_.end()) return refusal("404 Not Found", "NoSuchKey");
    part.bytes = found->second.bytes;
  }
  const std::string etag = part.etag;
  uploads_[request.query.at("uploadId")].parts[std::atoi(request.query.at("partNumber").c_str())] = std::move(part);
  if (source.empty()) return reply("200 OK", "", "ETag: \"" + etag + "\"\r\n");
  return reply("200 OK", "<CopyPartResult><ETag>\"" + etag + "\"</ETag></CopyPartResult>");
}

Reply FakeS3::post(const S3Request& request) {
  if (request.has("uploadId")) return complete(request);
  const std::string id = "u" + std::to_string(++last_upload_);
  uploads_[id] = {request.key, metadata_of(request), {}};
  return reply("200 OK",
               "<InitiateMultipartUploadResult><UploadId>" + id + "</UploadId></InitiateMultipartUploadResult>");
}

Reply FakeS3::complete(const S3Request& request) {
  const Upload upload = uploads_.at(request.query.at("uploadId"));
  if (header(request, "if-none-match") == "*" && objects_.contains(upload.key)) {
    return refusal("412 Precondition Failed", "PreconditionFailed");
  }
  std::string bytes;
  for (const auto& [number, part] : upload.parts) {
    const std::string named =
        "<PartNumber>" + std::to_string(number) + "</PartNumber><ETag>&quot;" + part.etag + "&quot;";
    if (request.body.find(named) == std::string::npos) return refusal("400 Bad Request", "InvalidPart");
    bytes += part.bytes;
  }
  uploads_.erase(request.query.at("uploadId"));
  const std::string etag = next_etag() + "-1";
  (void)show(upload.key, {std::move(bytes), etag, upload.metadata});
  return reply("200 OK",
               "<CompleteMultipartUploadResult><ETag>\"" + etag + "\"</ETag></CompleteMultipartUploadResult>");
}

Reply FakeS3::remove(const S3Request& request) {
  if (request.has("uploadId")) {
    uploads_.erase(request.query.at("uploadId"));
  } else {
    objects_.erase(request.key);
  }
  return reply("204 No Content");
}

}  // namespace chappe::testing
