#include "services/s3/website_rules.h"

#include <gtest/gtest.h>

namespace hearth::s3 {
namespace {

TEST(WebsiteRules, FoldersMeanTheirIndex) {
    WebsiteRules rules;
    rules.index_suffix = "index.html";
    EXPECT_EQ(rules.KeyOf(""), "index.html");
    EXPECT_EQ(rules.KeyOf("a/"), "a/index.html");
    EXPECT_EQ(rules.KeyOf("a"), "a");
}

TEST(WebsiteRules, TheFirstRuleThatFitsRedirects) {
    WebsiteRules rules;
    WebsiteRoutingRule folder;
    folder.key_prefix = "docs/";
    folder.redirect.replace_prefix = "documents/";
    WebsiteRoutingRule missing;
    missing.error_code = 404;
    missing.key_prefix = "images/";
    missing.redirect.host = "other.example";
    missing.redirect.protocol = "https";
    missing.redirect.replace_key = "gone page.html";
    rules.routing = {folder, missing};

    EXPECT_EQ(
        RedirectLocation(*rules.Route("docs/a b", 0), "http", "h:1", "docs/a b"),
        "http://h:1/documents/a%20b");
    EXPECT_EQ(rules.Route("images/x", 0), nullptr);
    EXPECT_EQ(rules.Route("x", 404), nullptr);
    EXPECT_EQ(
        RedirectLocation(*rules.Route("images/x", 404), "http", "h:1", "images/x"),
        "https://other.example/gone%20page.html");
}

}  // namespace
}  // namespace hearth::s3
