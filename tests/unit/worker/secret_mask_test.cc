// Secrets in what a task writes: every form, wherever the pieces are cut.
#include "worker/app/secret_mask.h"

#include <gtest/gtest.h>

#include "storage/digest/digest.h"

namespace chappe::worker {
namespace {

std::string masked(const std::vector<std::string>& secrets, std::string_view text, std::size_t piece = 1'000'000) {
  SecretMask mask(secrets);
  std::string shown;
  for (std::size_t at = 0; at < text.size(); at += piece) shown += mask.mask(text.substr(at, piece));
  return shown + mask.rest();
}

std::string encoded(const std::string& text) {
  return base64({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

TEST(SecretMask, HidesAValueAndLeavesTheRest) {
  EXPECT_EQ(masked({"hunter22"}, "login hunter22 ok hunter2 hunter22"), "login *** ok hunter2 ***");
  EXPECT_EQ(masked({}, "nothing to hide"), "nothing to hide");
  EXPECT_EQ(masked({"abc"}, "abc is too short"), "abc is too short");
}

TEST(SecretMask, HidesAValueThatIsCutAnywhere) {
  const std::string text = "a hunter22hunter22 b hunte c hunter22";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    EXPECT_EQ(masked({"hunter22"}, text, piece), "a ****** b hunte c ***") << piece;
  }
}

TEST(SecretMask, ShowsAtOnceWhatCannotBeTheBeginningOfASecret) {
  SecretMask mask({"hunter22"});
  EXPECT_EQ(mask.mask("ready> "), "ready> ");
  EXPECT_EQ(mask.mask("hunt"), "");
  EXPECT_EQ(mask.mask("ing"), "hunting");
  EXPECT_EQ(mask.rest(), "");
}

TEST(SecretMask, HidesWhatProgramsMakeOfAValue) {
  const std::string secret = "p\"ss w/rd+ü\\";
  for (const std::string& form : {std::string(R"(p\"ss w/rd+ü\\)"), std::string(R"(p\"ss w/rd+\u00fc\\)"),
                                  std::string("p%22ss%20w%2Frd%2B%C3%BC%5C"), std::string("p%22ss+w%2frd%2b%c3%bc%5c"),
                                  std::string("p%22ss%20w/rd%2B%C3%BC%5C"), encoded(secret)}) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, form.size() + 2}) {
      EXPECT_EQ(masked({secret}, "<" + form + ">", piece), "<***>") << form;
    }
  }
}

TEST(SecretMask, HidesAValueInTheMiddleOfABase64Text) {
  const std::string secret = "correct horse battery";
  for (const char* before : {"", "u", "us", "use", "user:"}) {
    for (const char* after : {"", "!", "!!", "!!!"}) {
      const std::string text = masked({secret}, encoded(before + secret + after));
      const std::size_t stars = text.find("***");
      ASSERT_NE(stars, std::string::npos) << before << after << ": " << text;
      // What is left at either side is the neighbours', and at most the bits of a character of the secret.
      EXPECT_LE(text.size() - 3, std::string(before).size() * 4 / 3 + std::string(after).size() * 4 / 3 + 6) << text;
    }
  }
}

TEST(SecretMask, HidesEachLineOfAKey) {
  const std::string key = "-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END KEY-----\n";
  EXPECT_EQ(masked({key}, "> MIIEvQIBADAN\n> BgkqhkiG9w0B\n"), "> ***\n> ***\n");
}

TEST(SecretMask, HidesSecretsThatOverlapOrHoldEachOther) {
  EXPECT_EQ(masked({"hunter2", "2secret"}, "x hunter2secret y"), "x *** y");
  EXPECT_EQ(masked({"abcd", "abcdefgh"}, "abcdefgh abcde", 3), "*** ***e");
  EXPECT_EQ(masked({"aaaa"}, "aaaaaaa b", 1), "*** b");
}

TEST(SecretMask, KeepsBackNoMoreThanTheLongestForm) {
  SecretMask mask({std::string(100, 'a')});
  std::size_t shown = 0;
  for (int i = 0; i < 1'000; ++i) shown += mask.mask("aaaaaaaaa ").size();
  EXPECT_EQ(shown, 10'000U);
}

TEST(SecretsOf, AreTheTextsInSecretParameters) {
  RunContext run;
  run.params_json = R"({"token":"hush","open":"seen","keys":{"a":["one","two"],"n":12345}})";
  run.secret_params = {"token", "keys", "not given"};
  EXPECT_EQ(secrets_of(run), (std::vector<std::string>{"hush", "one", "two", "12345"}));
}

}  // namespace
}  // namespace chappe::worker
