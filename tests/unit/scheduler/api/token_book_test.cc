#include "scheduler/api/token_book.h"

#include <gtest/gtest.h>

namespace chappe::api {
namespace {

TokenRow row(const std::string& name, Role role, const std::string& token, WallTime expires_at = {}) {
  return {.name = name, .role = role, .sha256 = to_hex(sha256(token)), .expires_at = expires_at};
}

TEST(TokenBook, KnowsTheAdminAndEachTokenByItsText) {
  const TokenBook book("secret", {row("ci", Role::kOperator, "t")});
  EXPECT_EQ(book.identify("secret", {1}).principal, "admin");
  EXPECT_EQ(book.identify("secret", {1}).role, Role::kAdmin);
  EXPECT_EQ(book.identify("t", {1}).principal, "ci");
  EXPECT_EQ(book.identify("t", {1}).role, Role::kOperator);
}

TEST(TokenBook, LetsNobodyElseIn) {
  const TokenBook book("secret", {row("ci", Role::kOperator, "t")});
  for (const char* token : {"", "secre", "secret ", "T", "ci"}) {
    EXPECT_FALSE(book.identify(token, {1}).role) << token;
    EXPECT_EQ(book.identify(token, {1}).principal, "anonymous") << token;
  }
}

TEST(TokenBook, LetsNobodyInWithATokenFromTheMomentOnThatItExpires) {
  const TokenBook book("secret", {row("ci", Role::kOperator, "t", {100})});
  EXPECT_TRUE(book.identify("t", {99}).role);
  EXPECT_FALSE(book.identify("t", {100}).role);
  EXPECT_NE(book.identify("t", {100}).why.find("'ci' expired"), std::string::npos);
}

TEST(TokenBook, ForgetsWhatIsRevokedAndTakesAnotherOfTheName) {
  TokenBook book("secret", {row("ci", Role::kOperator, "t")});
  book.put(row("ci", Role::kViewer, "u"));
  EXPECT_FALSE(book.identify("t", {1}).role);
  EXPECT_EQ(book.identify("u", {1}).role, Role::kViewer);
  book.remove("ci");
  EXPECT_FALSE(book.identify("u", {1}).role);
  EXPECT_TRUE(book.rows().empty());
}

TEST(TokenBook, AsksForNoneWhereThereIsNoAdminToken) {
  const TokenBook book("", {});
  EXPECT_EQ(book.identify("", {1}).role, Role::kAdmin);
  EXPECT_EQ(book.identify("", {1}).principal, "anonymous");
}

TEST(Roles, MayDoWhatThoseBeforeThemMay) {
  EXPECT_TRUE(allows(std::nullopt, Permission::kNone));
  EXPECT_FALSE(allows(std::nullopt, Permission::kRead));
  EXPECT_TRUE(allows(Role::kViewer, Permission::kRead));
  EXPECT_FALSE(allows(Role::kViewer, Permission::kOperate));
  EXPECT_FALSE(allows(Role::kOperator, Permission::kAuthor));
  EXPECT_FALSE(allows(Role::kAuthor, Permission::kAdminister));
  EXPECT_TRUE(allows(Role::kAdmin, Permission::kAdminister));
}

TEST(MakeToken, GivesEachTimeAnotherOf256Bits) {
  const std::string one = make_token();
  EXPECT_TRUE(one.starts_with("chappe_"));
  EXPECT_EQ(one.size(), 7U + 64U);
  EXPECT_NE(one, make_token());
}

}  // namespace
}  // namespace chappe::api
