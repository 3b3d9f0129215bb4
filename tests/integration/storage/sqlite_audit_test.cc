// The audit log as evidence: rows stay as they were written, and one that does not shows.
#include "storage/sqlite/schema.h"
#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using testing::HasSubstr;

class SqliteAudit : public SqliteStoreTest {
 protected:
  /// A store with `rows` rows, written in several transactions and over two openings.
  void write_rows(int rows) {
    for (int i = 0; i < rows; ++i) {
      if (i == 0 || i == rows / 2) open();
      commit({.audit = {row(i)}});
    }
    store.reset();
  }
  static AuditRow row(int i) {
    return {.at = {1'000 + i},
            .principal = "anna",
            .verb = "run.cancel",
            .object = "run " + std::to_string(i),
            .detail = R"({"before":"running"})",
            .source = "192.0.2.7"};
  }
  /// What somebody with the file and the sqlite3 shell can do.
  void tamper(const std::string& sql) const {
    sqlite::Connection connection(path, SQLITE_OPEN_READWRITE);
    connection.execute("DROP TRIGGER IF EXISTS audit_rows_stay; DROP TRIGGER IF EXISTS audit_rows_are_kept");
    connection.execute(sql.c_str());
  }
  AuditVerdict verdict(std::uint64_t after = 0, std::size_t limit = 1'000) {
    const auto told = reader()->verify_audit(after, limit);
    EXPECT_TRUE(told) << told.error().message;
    return told.value_or(AuditVerdict{});
  }
};

TEST_F(SqliteAudit, HoldsOverTransactionsAndRestarts) {
  write_rows(20);
  const AuditVerdict whole = verdict();
  EXPECT_EQ(whole.rows, 20U);
  EXPECT_EQ(whole.broken, 0U) << whole.why;
  EXPECT_EQ(whole.head, reader()->audit(1)->front().hash);
  EXPECT_EQ(whole.head.size(), 64U);
}

TEST_F(SqliteAudit, IsVerifiedInPiecesToTheSameEnd) {
  write_rows(20);
  const AuditVerdict first = verdict(0, 7);
  EXPECT_EQ(first.last, 7U);
  EXPECT_EQ(verdict(first.last).head, verdict().head);
  EXPECT_EQ(reader()->verify_audit(99, 1).error().code, ErrorCode::kNotFound);
}

TEST_F(SqliteAudit, NamesTheRowOfWhichAnyFieldWasChanged) {
  for (const char* change :
       {"at_us = at_us + 1", "principal = 'bert'", "verb = 'run.retry'", "object = 'run 8'", "detail = '{}'",
        "source = '192.0.2.8'", "result = 'denied'", "hash = printf('%064d', 0)", "hash = ''"}) {
    write_rows(12);
    tamper(std::string("UPDATE audit SET ") + change + " WHERE row = 7");
    const AuditVerdict told = verdict();
    EXPECT_EQ(told.broken, 7U) << change;
    EXPECT_EQ(told.rows, 6U) << change;
    EXPECT_THAT(told.why, HasSubstr("row 7")) << change;
    std::filesystem::remove(path);
  }
}

TEST_F(SqliteAudit, NamesWhereRowsWereTakenOutOrPutIn) {
  write_rows(12);
  tamper("DELETE FROM audit WHERE row = 5");
  EXPECT_THAT(verdict().why, HasSubstr("row 4 is followed by row 6"));
  tamper("UPDATE audit SET row = row - 1 WHERE row > 5");
  EXPECT_EQ(verdict().broken, 5U);
}

TEST_F(SqliteAudit, HasAnotherEndWhereRowsWereCutOff) {
  write_rows(12);
  const std::string head = verdict().head;
  tamper("DELETE FROM audit WHERE row > 10");
  EXPECT_EQ(verdict().broken, 0U) << "a shorter chain is a chain";
  EXPECT_NE(verdict().head, head) << "which is why its end is worth writing down";
}

TEST_F(SqliteAudit, TakesNoFieldsForOthersOfTheSameText) {
  open();
  commit({.audit = {{.at = {1}, .principal = "ab", .verb = "c"}}});
  const std::string one = verdict().head;
  store.reset();
  std::filesystem::remove(path);
  open();
  commit({.audit = {{.at = {1}, .principal = "a", .verb = "bc"}}});
  EXPECT_NE(verdict().head, one);
}

TEST_F(SqliteAudit, LetsNobodyChangeARowByMistake) {
  write_rows(2);
  sqlite::Connection connection(path, SQLITE_OPEN_READWRITE);
  EXPECT_THROW(connection.execute("UPDATE audit SET principal = 'bert'"), sqlite::Failed);
  EXPECT_THROW(connection.execute("DELETE FROM audit"), sqlite::Failed);
}

TEST_F(SqliteAudit, GoesOnFromRowsThatWereWrittenBeforeThereWasAChain) {
  {
    sqlite::Connection connection(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    sqlite::migrate(connection, sqlite::migrations().first(1), {7});
    connection.execute("INSERT INTO audit (at_us, principal, verb, object, detail) VALUES (1, 'a', 'v', 'o', '{}')");
  }
  open();
  commit({.audit = {row(1), row(2)}});
  EXPECT_EQ(verdict().rows, 3U);
  EXPECT_EQ(verdict().broken, 0U) << verdict().why;
  tamper("UPDATE audit SET hash = '' WHERE row = 3");
  EXPECT_EQ(verdict().broken, 3U) << "only the first rows may be without";
}

TEST_F(SqliteAudit, KeepsTokensByNameAndForgetsRevokedOnes) {
  open();
  const TokenRow one{.name = "ci",
                     .role = Role::kOperator,
                     .sha256 = std::string(64, 'a'),
                     .created_by = "admin",
                     .created_at = {5},
                     .expires_at = {6}};
  const TokenRow two{.name = "dash", .role = Role::kViewer, .sha256 = std::string(64, 'b')};
  commit({.tokens = {{one}, {two}}});
  open();
  EXPECT_EQ(load().tokens, (std::vector{one, two}));
  commit({.tokens = {{one, true}}});
  EXPECT_EQ(load().tokens, std::vector{two});
  EXPECT_FALSE(store->commit({.tokens = {{one, true}}})) << "a guard: it is gone";
}

}  // namespace
}  // namespace chappe
