#include "storage/s3/s3_object_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/ports/object_key.h"
#include "storage/digest/digest.h"
#include "storage/s3/bucket.h"
#include "storage/s3/multipart_writer.h"
#include "storage/s3/ranged_reader.h"
#include "storage/s3/upload_text.h"

namespace chappe {
namespace {

using s3::Location;
using s3::OpenUpload;
using s3::S3Client;

class S3ObjectStore final : public ObjectStore {
 public:
  S3ObjectStore(S3Location location, std::shared_ptr<S3Client> client)
      : location_(std::move(location)),
        root_(location_.prefix.empty() ? "" : location_.prefix + "/"),
        client_(std::move(client)) {}

  Result<std::unique_ptr<ObjectWriter>> create(const std::string& key, const PutOptions& options,
                                               std::uint64_t size_hint) override {
    auto at = object_at(key);
    if (!at) return fail(std::move(at.error()));
    return s3::make_multipart_writer(client_, std::move(*at), options, size_hint);
  }

  Result<ObjectInfo> read(const std::string& key, std::uint64_t offset, std::optional<std::uint64_t> length,
                          const std::function<bool(std::span<const std::byte>)>& sink) override {
    const auto at = object_at(key);
    if (!at) return fail(at.error());
    return named(s3::read_object(*client_, *at, offset, length, sink), key);
  }

  Result<ObjectInfo> head(const std::string& key) override {
    const auto at = object_at(key);
    if (!at) return fail(at.error());
    return named(s3::head_object(*client_, *at), key);
  }

  Result<void> remove(const std::string& key) override {
    const auto at = object_at(key);
    if (!at) return fail(at.error());
    const auto answer = client_->call({.method = "DELETE", .bucket = at->bucket, .key = at->key});
    if (!answer) return fail(answer.error());
    const bool is_gone = answer->is_ok() || answer->error.code == "NoSuchKey";
    if (!is_gone) return fail(s3::error_of(*answer, "remove \"" + key + "\""));
    return {};
  }

  Result<void> list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& visit) override {
    std::string token;
    do {
      auto page = list_page(prefix, token);
      if (!page) return fail(std::move(page.error()));
      for (ObjectInfo& object : page->objects) {
        object.key.erase(0, objects().size());
        if (!visit(object)) return {};
      }
      token = page->next;
    } while (!token.empty());
    return {};
  }

  Result<std::string> stage(const std::string& key, std::uint64_t size, const std::string& uri,
                            const PutOptions& options) override;

  Result<std::string> restage(const std::string& text, const std::string& key, PutOptions options) override {
    const auto upload = s3::parse_upload(text);
    if (!upload) return fail(upload.error());
    options.if_absent = upload->if_absent;
    return stage(key, upload->size, fmt::format("s3://{}/{}", upload->at.bucket, upload->at.key), options);
  }

  Result<ObjectInfo> complete(const std::string& text) override {
    auto upload = s3::parse_upload(text);
    if (!upload) return fail(upload.error());
    auto shown = s3::complete_upload(*client_, *upload);
    const bool lacks_condition = !shown && shown.error().code == ErrorCode::kUnsupported && upload->if_absent;
    if (!lacks_condition) return shown;
    upload->if_absent = false;  // It was looked for already: what is left is a race of moments.
    return s3::complete_upload(*client_, *upload);
  }

  Result<void> abort(const std::string& text) override {
    const auto upload = s3::parse_upload(text);
    if (!upload) return fail(upload.error());
    return s3::abort_upload(*client_, upload->at, upload->id);
  }

  std::string locate(const std::string& uri) const override {
    if (uri.starts_with("s3://")) return uri;
    return fmt::format("s3://{}/{}assets/{}", location_.bucket, root_, uri);
  }

  std::string locate_object(const std::string& key) const override {
    return fmt::format("s3://{}/{}{}", location_.bucket, objects(), key);
  }

 private:
  std::string objects() const { return location_.plain ? root_ : root_ + "objects/"; }

  Result<Location> object_at(const std::string& key) const {
    if (auto valid = check_object_key(key); !valid) return fail(std::move(valid.error()));
    return Location{location_.bucket, objects() + key};
  }

  Result<Location> asset_at(const std::string& uri) const {
    const std::string full = locate(uri).substr(5);
    const std::size_t slash = std::min(full.find('/'), full.size());
    Location at{full.substr(0, slash), full.substr(std::min(slash + 1, full.size()))};
    auto valid = check_object_key(at.key);
    if (!valid) return fail(std::move(valid.error()).in(fmt::format("asset \"{}\"", uri)));
    return at;
  }

  // Callers know keys without our prefix.
  static Result<ObjectInfo> named(Result<ObjectInfo> info, const std::string& key) {
    if (info) info->key = key;
    return info;
  }

  Result<s3::ListPage> list_page(const std::string& prefix, const std::string& token) {
    s3::Pairs query{{"list-type", "2"},
                    {"encoding-type", "url"},
                    {"max-keys", std::to_string(location_.page_keys)},
                    {"prefix", objects() + prefix}};
    if (!token.empty()) query.emplace_back("continuation-token", token);
    const auto answer = client_->call({.method = "GET", .bucket = location_.bucket, .key = "", .query = query});
    if (!answer) return fail(answer.error());
    if (!answer->is_ok())
      return fail(s3::error_of(*answer, fmt::format("list \"s3://{}/{}\"", location_.bucket, prefix)));
    return s3::read_list_page(answer->response.body);
  }

  Result<void> fill(OpenUpload& upload, const Location& source);

  S3Location location_;
  std::string root_;
  std::shared_ptr<S3Client> client_;
};

// Copied by the server: an empty object has no range to copy, and one part holds at most 5 GiB.
Result<void> S3ObjectStore::fill(OpenUpload& upload, const Location& source) {
  constexpr std::uint64_t kSliceBytes = std::uint64_t{1} << 30;
  const auto keep = [&](Result<std::string> etag) -> Result<void> {
    if (!etag) return fail(std::move(etag.error()));
    upload.part_etags.push_back(std::move(*etag));
    return {};
  };
  if (upload.size == 0) return keep(s3::put_part(*client_, upload.at, upload.id, 1, {}));
  if (upload.size <= s3::kCopyPartBytesMax) {
    return keep(s3::copy_part(*client_, upload.at, upload.id, 1, source, std::nullopt));
  }
  std::uint32_t number = 1;
  for (std::uint64_t first = 0; first < upload.size; first += kSliceBytes) {
    const s3::ByteRange range{first, std::min(kSliceBytes, upload.size - first)};
    if (auto done = keep(s3::copy_part(*client_, upload.at, upload.id, number++, source, range)); !done) return done;
  }
  return {};
}

Result<std::string> S3ObjectStore::stage(const std::string& key, std::uint64_t size, const std::string& uri,
                                         const PutOptions& options) {
  const auto source = object_at(key);
  if (!source) return fail(source.error());
  auto at = asset_at(uri);
  if (!at) return fail(std::move(at.error()));
  const auto object = s3::head_object(*client_, *source);
  if (!object) return fail(object.error());
  if (object->size != size) {
    return fail(ErrorCode::kCorrupt, fmt::format("\"{}\" has {} bytes, {} were announced", key, object->size, size));
  }
  // Marked by its content, an upload takes an earlier one of the same bytes for its own work; marked by the key of what
  // it is made of, one that was staged before from the same object, whose completion nobody heard of.
  const bool by_content = options.if_absent && !options.sha256.empty();
  const std::string other_mark =
      options.if_absent ? random_hex(s3::kMarkDigits / 2) : to_hex(sha256(source->key)).substr(0, s3::kMarkDigits);
  OpenUpload upload{.at = std::move(*at),
                    .size = size,
                    .mark = by_content ? options.sha256 : other_mark,
                    .if_absent = options.if_absent};
  PutOptions marked = options;
  if (!options.sha256.empty()) marked.metadata.emplace_back(s3::kContentHash, options.sha256);
  const auto headers = s3::object_headers(marked, upload.mark);
  if (!headers) return fail(headers.error());
  auto id = s3::open_upload(*client_, upload.at, *headers);
  if (!id) return id;
  upload.id = std::move(*id);
  if (auto done = fill(upload, *source); !done) {
    (void)s3::abort_upload(*client_, upload.at, upload.id);  // The error below is the one to report.
    return fail(std::move(done.error()));
  }
  return s3::to_text(upload);
}

}  // namespace

Result<S3Location> parse_s3_uri(const std::string& uri) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("object store \"{}\": {}; expected s3://BUCKET[/PREFIX]", uri, why));
  };
  if (!uri.starts_with("s3://")) return refuse("not an S3 URI");
  const std::string rest = uri.substr(5);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  S3Location location{.bucket = rest.substr(0, slash), .prefix = rest.substr(slash)};
  location.prefix.erase(0, location.prefix.starts_with('/') ? 1 : 0);
  if (location.prefix.ends_with('/')) location.prefix.pop_back();
  const std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
  if (location.bucket.empty() || location.bucket.find_first_not_of(allowed) != std::string::npos) {
    return refuse("no bucket has this name");
  }
  if (!location.prefix.empty() && !check_object_key(location.prefix)) return refuse("the prefix is no valid key");
  return location;
}

Result<s3::ClientConfig> s3_config_of(const s3::Environment& environment) {
  const auto first_of = [&](std::initializer_list<const char*> variables, const char* setting) {
    for (const char* variable : variables) {
      if (auto value = environment(variable)) return value;
    }
    return s3::profile_setting(environment, setting);
  };
  s3::ClientConfig config;
  config.region = first_of({"AWS_REGION", "AWS_DEFAULT_REGION"}, "region").value_or("us-east-1");
  config.ca_file = first_of({"AWS_CA_BUNDLE"}, "ca_bundle").value_or("");
  if (const auto url = first_of({"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}, "endpoint_url")) {
    auto endpoint = s3::parse_endpoint(*url);
    if (!endpoint) return fail(std::move(endpoint.error()));
    config.endpoint = std::move(*endpoint);
    config.style = s3::AddressStyle::kPath;
  }
  const std::string style = environment("CHAPPE_S3_ADDRESSING").value_or("");
  if (style == "path") config.style = s3::AddressStyle::kPath;
  if (style == "virtual") config.style = s3::AddressStyle::kVirtualHost;
  if (!style.empty() && style != "path" && style != "virtual") {
    return fail(ErrorCode::kInvalidInput, fmt::format("CHAPPE_S3_ADDRESSING=\"{}\": expected path or virtual", style));
  }
  return config;
}

std::unique_ptr<ObjectStore> make_s3_object_store(S3Location location, s3::ClientConfig config,
                                                  std::shared_ptr<s3::CredentialSource> credentials) {
  auto client = std::make_shared<S3Client>(std::move(config), std::move(credentials));
  return std::make_unique<S3ObjectStore>(std::move(location), std::move(client));
}

}  // namespace chappe
