// The list of the workers that may connect: each key that it lets in stands in it, and the same twice.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "proto/transport/keys.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

FUZZ_TARGET(worker_keys) {
  const int file = ::memfd_create("keys", MFD_CLOEXEC);
  CHAPPE_ASSERT(::write(file, input.data(), input.size()) == static_cast<ssize_t>(input.size()));
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  const auto keys = transport::load_authorized_workers(path);
  if (keys) {
    for (const std::string& key : *keys) CHAPPE_ASSERT(key.size() == 40 && input.find(key) != std::string_view::npos);
    CHAPPE_ASSERT(*transport::load_authorized_workers(path) == *keys);
  } else {
    check_error(keys.error());
  }
  const auto key = transport::load_public_key(path);
  CHAPPE_ASSERT(!key || key->size() == 40);
  ::close(file);
}

}  // namespace chappe::fuzz
