/// \file
/// The object stores that the same tests run against: a directory, Ceph's gateway, Swift.
#pragma once

#include <memory>
#include <string>

#include "engine/ports/object_store.h"
#include "storage/s3/s3_object_store.h"
#include "tests/support/servers/s3_server.h"

namespace chappe::testing {

enum class Backend { kLocal, kCeph, kSwift };
std::string name_of(Backend backend);

/// The server of a backend, one for the whole program, all started together at the first call; nullptr with the reason
/// on stderr where it cannot run.
S3Server* server_of(Backend backend);

std::shared_ptr<s3::CredentialSource> keys(const std::string& access_key, const std::string& secret_key);
s3::ClientConfig config_for(const S3Server& server);
/// A bucket nobody has used.
std::string make_bucket(const S3Server& server);
/// An empty store: a directory of its own, or a bucket of its own with the prefix "a prefix/x". Lists come in pages of
/// three. nullptr where the backend cannot run.
std::unique_ptr<ObjectStore> make_store(Backend backend);

}  // namespace chappe::testing
