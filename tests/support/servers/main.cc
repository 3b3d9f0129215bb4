// An S3 server for tests of whole processes. Says "endpoint=URL", and then does what each line of its input says:
// "away" resets all connections and every new one, "back" ends that; it answers with the number of connections so far.
// Ends with its input.
#include <cstdio>
#include <iostream>
#include <string>

#include "tests/support/servers/chaos_proxy.h"
#include "tests/support/servers/fake_s3.h"

int main() {
  const chappe::testing::FakeS3 server;
  chappe::testing::ChaosProxy proxy(server.port());
  std::printf("endpoint=%s\n", proxy.url().c_str());
  (void)std::fflush(stdout);  // Nobody to tell: the test that reads it is gone then.
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "away") proxy.cut_off();
    if (line == "back") proxy.heal();
    std::printf("%d\n", proxy.connections());
    (void)std::fflush(stdout);
  }
}
