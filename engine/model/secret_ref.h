/// \file
/// Secrets by reference: a DAG says where a value is, and only whoever runs the task looks. So the value is in no file,
/// message, row or answer of the scheduler's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace chappe {

inline constexpr std::size_t kSecretRefsMax = 64;                           ///< Of one task.
inline constexpr std::size_t kSecretBytesMax = std::size_t{64} << 10;       ///< Of one value.
inline constexpr std::string_view kPodSecretPrefix = "CHAPPE_POD_SECRET_";  ///< And SecretRef::name: how a pod has it.

struct SecretRef {
  enum class Source : std::uint8_t {
    kEnv,         ///< `place`: a variable of the worker.
    kFile,        ///< `place`: a file beneath the worker's directory of secrets.
    kKubernetes,  ///< Entry `key` of the Secret `place` in the namespace of the task's pod.
    kVault,       ///< Entry `key` at the path `place` of the KV v2 engine `mount`.
  };
  std::string name;  ///< Of the task's variable.
  Source source = Source::kEnv;
  std::string place;
  std::string key;
  std::string mount;
  bool as_file = false;  ///< The variable holds the path of a file with the value, not the value.
  bool operator==(const SecretRef&) const = default;
};

std::string_view name_of(SecretRef::Source source);  ///< "vault"
/// Where the value is, for people: "vault secret/ml, key token".
std::string where_is(const SecretRef& secret);

}  // namespace chappe
