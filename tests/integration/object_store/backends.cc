#include "tests/integration/object_store/backends.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <vector>

#include "engine/base/assert.h"
#include "storage/digest/digest.h"
#include "storage/local/local_object_store.h"

namespace chappe::testing {
namespace {

struct Servers {
  S3Server ceph{"ceph_rgw"};
  S3Server swift{"swift_s3"};
};

// Directories made for tests, removed at the end of the program.
struct Folders {
  std::vector<std::filesystem::path> paths;
  std::string make() {
    std::string path = (std::filesystem::temp_directory_path() / "chappe-objects-XXXXXX").string();
    CHAPPE_ASSERT(::mkdtemp(path.data()) != nullptr);
    paths.emplace_back(path);
    return path;
  }
  ~Folders() {
    for (const auto& path : paths) std::filesystem::remove_all(path);
  }
};

}  // namespace

std::string name_of(Backend backend) {
  switch (backend) {
    case Backend::kLocal:
      return "Local";
    case Backend::kCeph:
      return "Ceph";
    case Backend::kSwift:
      return "Swift";
  }
  return {};
}

S3Server* server_of(Backend backend) {
  CHAPPE_ASSERT(backend != Backend::kLocal);
  static Servers servers;
  S3Server& server = backend == Backend::kCeph ? servers.ceph : servers.swift;
  static Result<void> started[2] = {servers.ceph.wait(), servers.swift.wait()};
  const auto& done = started[backend == Backend::kCeph ? 0 : 1];
  if (!done) std::fprintf(stderr, "SKIPPED: no %s here: %s\n", name_of(backend).c_str(), done.error().message.c_str());
  return done ? &server : nullptr;
}

std::shared_ptr<s3::CredentialSource> keys(const std::string& access_key, const std::string& secret_key) {
  return std::make_shared<s3::CredentialSource>([=](const std::string& name) -> std::optional<std::string> {
    if (name == "AWS_ACCESS_KEY_ID") return access_key;
    if (name == "AWS_SECRET_ACCESS_KEY") return secret_key;
    return std::nullopt;
  });
}

s3::ClientConfig config_for(const S3Server& server) {
  auto endpoint = s3::parse_endpoint(server.endpoint());
  CHAPPE_ASSERT(endpoint.has_value());
  return {.endpoint = *endpoint, .style = s3::AddressStyle::kPath};
}

std::string make_bucket(const S3Server& server) {
  s3::S3Client client(config_for(server), keys(server.access_key(), server.secret_key()));
  const std::string bucket = "chappe-" + random_hex(6);
  const auto answer = client.call({.method = "PUT", .bucket = bucket, .key = ""});
  CHAPPE_ASSERT(answer.has_value() && answer->is_ok());
  return bucket;
}

std::unique_ptr<ObjectStore> make_store(Backend backend) {
  if (backend == Backend::kLocal) {
    static Folders folders;
    auto store = open_local_object_store(folders.make());
    CHAPPE_ASSERT(store.has_value());
    return std::move(*store);
  }
  const S3Server* server = server_of(backend);
  if (server == nullptr) return nullptr;
  return make_s3_object_store({.bucket = make_bucket(*server), .prefix = "a prefix/x", .page_keys = 3},
                              config_for(*server), keys(server->access_key(), server->secret_key()));
}

}  // namespace chappe::testing
