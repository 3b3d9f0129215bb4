/// \file
/// CURVE key pairs and who may connect. Files are made with mode 0600 and refused when others can read them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace chappe::transport {

inline constexpr std::size_t kKeyText = 40;  ///< Characters of a key: Z85 of 32 bytes.

struct KeyPair {
  std::string public_key;
  std::string secret_key;
};

/// The pair of a secret key in Z85. Errors: kInvalidInput; they do not name the key.
Result<KeyPair> pair_of(const std::string& secret_key);
/// A key as 64 hex digits, and back: for places where the characters of Z85 mean something. Errors: kInvalidInput.
std::string to_hex_key(const std::string& key);
Result<std::string> from_hex_key(std::string_view hex);
/// A pair that only who has `keys` can make, and makes again: another one for each `purpose`. 256 bits of it are
/// secret.
KeyPair derive_keys(const KeyPair& keys, std::string_view purpose);

/// Reads DIR/NAME.key (secret) and DIR/NAME.pub, or makes them when neither is there.
Result<KeyPair> load_or_make_keys(const std::filesystem::path& directory, const std::string& name);
/// Reads the pair of DIR/NAME.key. Errors: kNotFound, kPermissionDenied (mode too open), kInvalidInput.
Result<KeyPair> load_keys(const std::filesystem::path& secret_file);
/// Reads a file that holds one public key.
Result<std::string> load_public_key(const std::filesystem::path& file);

/// Public keys of the workers that may connect: one a line, `#` starts a comment, a name may follow the key.
Result<std::set<std::string>> load_authorized_workers(const std::filesystem::path& file);

}  // namespace chappe::transport
