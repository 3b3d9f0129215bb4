/// \file
/// Addresses that a request on behalf of others must not reach: whoever asks there gets a machine's credentials.
#pragma once

#include <string_view>

struct sockaddr;

namespace chappe::http {

/// Link-local ones, and those where clouds serve a machine's metadata; also behind IPv6's ways to write an IPv4
/// address.
bool is_for_the_machine_alone(const sockaddr& address);
/// The same of a URL whose host is written as an address; false for names.
bool names_the_machine_alone(std::string_view url);

}  // namespace chappe::http
