#include "proto/transport/keys.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

#include "engine/base/assert.h"
#include "storage/digest/digest.h"

namespace chappe::transport {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileMax = 1024 * 1024;  // Of a list of keys; a key file is much smaller.

Failure system_failure(const std::string& what) {
  const int error = errno;
  const ErrorCode code = error == ENOENT                     ? ErrorCode::kNotFound
                         : error == EACCES || error == EPERM ? ErrorCode::kPermissionDenied
                                                             : ErrorCode::kUnavailable;
  return fail(code, fmt::format("{}: {}", what, std::strerror(error)));
}

bool is_key(const std::string& text) {
  std::array<std::uint8_t, 32> bytes{};
  return text.size() == kKeyText && zmq_z85_decode(bytes.data(), text.c_str()) != nullptr;
}

/// Closes on the way out.
struct File {
  int fd;
  explicit File(int open_fd) : fd(open_fd) {}
  ~File() {
    if (fd >= 0) close(fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
};

Result<std::string> read_whole(const File& file, const fs::path& path) {
  std::string text;
  std::array<char, 4096> block{};
  while (true) {
    const ssize_t count = read(file.fd, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure(fmt::format("read {}", path.string()));
    if (count == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(count));
    if (text.size() > kFileMax) {
      return fail(ErrorCode::kInvalidInput, fmt::format("{} is larger than {} bytes", path.string(), kFileMax));
    }
  }
}

Result<std::string> read_file(const fs::path& path) {
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) return system_failure(fmt::format("open {}", path.string()));
  return read_whole(file, path);
}

Result<void> write_whole(const File& file, std::string_view text, const fs::path& path) {
  while (!text.empty()) {
    const ssize_t count = write(file.fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure(fmt::format("write {}", path.string()));
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  if (fsync(file.fd) != 0) return system_failure(fmt::format("write {}", path.string()));
  return {};
}

/// Makes `path` with the text in one go: nobody ever sees half of it. False: it was there already.
Result<bool> create_file(const fs::path& path, std::string_view text, mode_t mode) {
  std::string draft = path.string() + ".XXXXXX";
  {
    const File file(mkostemp(draft.data(), O_CLOEXEC));
    if (file.fd < 0 || fchmod(file.fd, mode) != 0) return system_failure(fmt::format("create {}", path.string()));
    if (auto written = write_whole(file, text, path); !written) {
      unlink(draft.c_str());
      return fail(std::move(written.error()));
    }
  }
  const bool made = link(draft.c_str(), path.c_str()) == 0;
  const int error = errno;
  unlink(draft.c_str());
  errno = error;
  if (!made && errno != EEXIST) return system_failure(fmt::format("create {}", path.string()));
  return made;
}

std::string first_word(const std::string& line) {
  std::istringstream words(line);
  std::string word;
  words >> word;
  return word;
}

Result<KeyPair> from_secret(const std::string& secret, const fs::path& file) {
  auto pair = pair_of(secret);
  if (pair) return pair;
  return fail(
      ErrorCode::kInvalidInput,
      fmt::format("{} holds no CURVE secret key (40 characters of Z85); remove it to have one made", file.string()));
}

Result<KeyPair> make_keys(const fs::path& secret_file) {
  std::array<char, kKeyText + 1> public_key{};
  std::array<char, kKeyText + 1> secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    return fail(ErrorCode::kUnsupported, "make a key pair: this libzmq was built without CURVE");
  }
  const auto made = create_file(secret_file, std::string(secret_key.data()) + "\n", 0600);
  if (!made) return fail(made.error());
  if (!*made) return load_keys(secret_file);  // Another process was quicker: its key counts.
  return KeyPair{.public_key = public_key.data(), .secret_key = secret_key.data()};
}

}  // namespace

Result<KeyPair> pair_of(const std::string& secret_key) {
  std::array<char, kKeyText + 1> public_key{};
  if (!is_key(secret_key) || zmq_curve_public(public_key.data(), secret_key.c_str()) != 0) {
    return fail(ErrorCode::kInvalidInput, "this is no CURVE secret key (40 characters of Z85)");
  }
  return KeyPair{.public_key = public_key.data(), .secret_key = secret_key};
}

std::string to_hex_key(const std::string& key) {
  Sha256Bytes bytes{};
  CHAPPE_ASSERT(key.size() == kKeyText && zmq_z85_decode(bytes.data(), key.c_str()) != nullptr);
  return to_hex(bytes);
}

Result<std::string> from_hex_key(std::string_view hex) {
  Sha256Bytes bytes{};
  bool is_whole = hex.size() == 2 * bytes.size();
  for (std::size_t i = 0; is_whole && i < bytes.size(); ++i) {
    const auto read = std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, bytes[i], 16);
    is_whole = read.ec == std::errc() && read.ptr == hex.data() + 2 * i + 2;
  }
  if (!is_whole) return fail(ErrorCode::kInvalidInput, "a key is 64 hex digits here");
  std::array<char, kKeyText + 1> text{};
  zmq_z85_encode(text.data(), bytes.data(), bytes.size());
  return text.data();
}

KeyPair derive_keys(const KeyPair& keys, std::string_view purpose) {
  const std::span secret(reinterpret_cast<const std::uint8_t*>(keys.secret_key.data()), keys.secret_key.size());
  const Sha256Bytes derived = hmac_sha256(secret, purpose);
  std::array<char, kKeyText + 1> text{};
  zmq_z85_encode(text.data(), derived.data(), derived.size());
  auto pair = pair_of(text.data());
  CHAPPE_ASSERT(pair.has_value());  // Any 32 bytes are a secret key of Curve25519.
  return *std::move(pair);
}

Result<KeyPair> load_keys(const fs::path& secret_file) {
  const File file(open(secret_file.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) return system_failure(fmt::format("open {}", secret_file.string()));
  struct stat status {};
  if (fstat(file.fd, &status) != 0) return system_failure(fmt::format("open {}", secret_file.string()));
  if ((status.st_mode & 077) != 0) {
    return fail(ErrorCode::kPermissionDenied,
                fmt::format("{} can be read by others; run: chmod 600 {}", secret_file.string(), secret_file.string()));
  }
  const Result<std::string> text = read_whole(file, secret_file);
  if (!text) return fail(text.error());
  return from_secret(first_word(*text), secret_file);
}

Result<KeyPair> load_or_make_keys(const fs::path& directory, const std::string& name) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return fail(ErrorCode::kUnavailable, fmt::format("make {}: {}", directory.string(), error.message()));
  const fs::path secret_file = directory / (name + ".key");
  const fs::path public_file = directory / (name + ".pub");
  Result<KeyPair> keys = load_keys(secret_file);
  const auto is_missing = [&] { return !keys && keys.error().code == ErrorCode::kNotFound; };
  if (is_missing() && !fs::exists(public_file, error)) keys = make_keys(secret_file);
  if (is_missing()) keys = load_keys(secret_file);  // Another process made both since.
  if (is_missing()) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{} is there without {}: restore the secret key, or remove both",
                                                      public_file.string(), secret_file.string()));
  }
  if (!keys) return keys;
  if (fs::exists(public_file, error)) return keys;
  if (const auto made = create_file(public_file, keys->public_key + "\n", 0644); !made) return fail(made.error());
  return keys;
}

Result<std::string> load_public_key(const fs::path& file) {
  const Result<std::string> text = read_file(file);
  if (!text) return fail(text.error());
  std::string key = first_word(*text);
  if (is_key(key)) return key;
  return fail(ErrorCode::kInvalidInput,
              fmt::format("{} holds no CURVE public key (40 characters of Z85)", file.string()));
}

Result<std::set<std::string>> load_authorized_workers(const fs::path& file) {
  const Result<std::string> text = read_file(file);
  if (!text) return fail(text.error());
  std::set<std::string> keys;
  std::istringstream lines(*text);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    // '#' is a digit of Z85 too, but the largest one: no group of digits for 32 bits begins with it.
    const std::string word = first_word(line);
    if (is_key(word)) {
      keys.insert(word);
    } else if (!word.empty() && word.front() != '#') {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("{}:{}: no CURVE public key (40 characters of Z85)", file.string(), number));
    }
  }
  return keys;
}

}  // namespace chappe::transport
