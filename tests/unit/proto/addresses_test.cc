#include "proto/http/addresses.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

namespace chappe::http {
namespace {

bool is_refused(const char* text) {
  sockaddr_storage storage{};
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    std::memcpy(&storage, &v4, sizeof v4);
  } else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    std::memcpy(&storage, &v6, sizeof v6);
  } else {
    ADD_FAILURE() << text;
  }
  return is_for_the_machine_alone(reinterpret_cast<const sockaddr&>(storage));
}

TEST(Addresses, ThatServeAMachinesMetadataAreRefusedHoweverTheyAreWritten) {
  for (const char* bad : {"169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "fe80::1", "febf::1",
                          "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254"}) {
    EXPECT_TRUE(is_refused(bad)) << bad;
  }
  for (const char* good :
       {"127.0.0.1", "10.0.0.1", "169.253.1.1", "93.184.216.34", "::1", "2001:db8::1", "fec0::1", "::ffff:10.0.0.1"}) {
    EXPECT_FALSE(is_refused(good)) << good;
  }
}

TEST(Addresses, AreReadOutOfUrls) {
  for (const char* bad : {"http://169.254.169.254/latest", "https://user@169.254.169.254:80/", "http://2852039166/",
                          "http://0xA9FEA9FE/", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]:8080/x",
                          "http://169.254.169.254?x", "http://0251.0376.0251.0376/"}) {
    EXPECT_TRUE(names_the_machine_alone(bad)) << bad;
  }
  for (const char* good : {"http://example.org/169.254.169.254", "http://10.1.2.3/", "http://[::1]/", "in/data", ""}) {
    EXPECT_FALSE(names_the_machine_alone(good)) << good;
  }
}

}  // namespace
}  // namespace chappe::http
