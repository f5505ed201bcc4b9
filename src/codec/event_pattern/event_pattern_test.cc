#include "codec/event_pattern/event_pattern.h"

#include "codec/event_pattern/leaf_matcher.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace hearth::codec {
namespace {

bool Matches(std::string_view pattern, std::string_view event) {
    const auto compiled = EventPattern::Compile(pattern);
    EXPECT_TRUE(compiled.ok()) << pattern << ": " << compiled.error().message();
    const auto json = ParseJson(event);
    EXPECT_TRUE(json.ok()) << event;
    return compiled.ok() && json.ok() && compiled->Matches(*json);
}

std::string ErrorOf(std::string_view pattern) {
    const auto compiled = EventPattern::Compile(pattern);
    return compiled.ok() ? "no error" : compiled.error().message();
}

struct Fact {
    const char* pattern;
    const char* event;
    bool matches;
};

// Examples of "Comparison operators" in the EventBridge User Guide and of "Filter rule syntax" in
// the Lambda Developer Guide.
TEST(EventPattern, DocumentedOperators) {
    const std::vector<Fact> facts{
        {R"({"source": ["aws.ec2"]})", R"({"source": "aws.ec2", "more": 1})", true},
        {R"({"source": ["aws.ec2"]})", R"({"source": "aws.s3"})", false},
        {R"({"source": ["aws.ec2"]})", R"({})", false},
        {R"({"a": [null]})", R"({"a": null})", true},
        {R"({"a": [null]})", R"({})", false},
        {R"({"a": [""]})", R"({"a": ""})", true},
        {R"({"a": [true]})", R"({"a": true})", true},
        {R"({"a": [true]})", R"({"a": "true"})", false},
        {R"({"time": [{"prefix": "2017-10-02"}]})", R"({"time": "2017-10-02T18:43:48Z"})", true},
        {R"({"time": [{"prefix": "2017-10-02"}]})", R"({"time": "2018"})", false},
        {R"({"a": [{"prefix": ""}]})", R"({"a": "x"})", true},
        {R"({"s": [{"prefix": {"equals-ignore-case": "EventB"}}]})",
         R"({"s": "EVENTBridge"})",
         true},
        {R"({"f": [{"suffix": ".png"}]})", R"({"f": "a.png"})", true},
        {R"({"f": [{"suffix": ".png"}]})", R"({"f": "a.PNG"})", false},
        {R"({"f": [{"suffix": {"equals-ignore-case": ".png"}}]})", R"({"f": "a.PNG"})", true},
        {R"({"d": [{"equals-ignore-case": "alice"}]})", R"({"d": "AliCE"})", true},
        {R"({"d": [{"equals-ignore-case": "ÄRGER"}]})", R"({"d": "ärger"})", true},
        {R"({"d": [{"equals-ignore-case": "alice"}]})", R"({"d": "alicf"})", false},
        {R"({"s": [{"anything-but": "initializing"}]})", R"({"s": "running"})", true},
        {R"({"s": [{"anything-but": "initializing"}]})", R"({"s": "initializing"})", false},
        {R"({"s": [{"anything-but": "initializing"}]})", R"({"s": 7})", true},
        {R"({"s": [{"anything-but": "initializing"}]})", R"({"s": null})", true},
        {R"({"s": [{"anything-but": "initializing"}]})", R"({})", false},
        {R"({"x": [{"anything-but": 123}]})", R"({"x": 456})", true},
        {R"({"x": [{"anything-but": 123}]})", R"({"x": 123.0})", false},
        {R"({"x": [{"anything-but": [100, 200, 300]}]})", R"({"x": 200})", false},
        {R"({"x": [{"anything-but": ["a", "b"]}]})", R"({"x": "c"})", true},
        {R"({"s": [{"anything-but": {"prefix": "init"}}]})", R"({"s": "initial"})", false},
        {R"({"s": [{"anything-but": {"prefix": ["init", "error"]}}]})", R"({"s": "run"})", true},
        {R"({"s": [{"anything-but": {"prefix": ["init", "error"]}}]})",
         R"({"s": "errors"})",
         false},
        {R"({"s": [{"anything-but": {"suffix": ".txt"}}]})", R"({"s": "a.txt"})", false},
        {R"({"s": [{"anything-but": {"equals-ignore-case": ["A", "b"]}}]})",
         R"({"s": "B"})",
         false},
        {R"({"s": [{"anything-but": {"wildcard": "*/lib/*"}}]})", R"({"s": "/a/lib/b"})", false},
        {R"({"s": [{"anything-but": {"wildcard": "*/lib/*"}}]})", R"({"s": "/a/bin/b"})", true},
        {R"({"n": [{"numeric": [">", 0, "<=", 5]}]})", R"({"n": 5})", true},
        {R"({"n": [{"numeric": [">", 0, "<=", 5]}]})", R"({"n": 0})", false},
        {R"({"n": [{"numeric": ["<", 10]}]})", R"({"n": -4999999999.5})", true},
        {R"({"n": [{"numeric": ["=", 301.8]}]})", R"({"n": 3.018e2})", true},
        {R"({"n": [{"numeric": [">=", 100]}]})", R"({"n": "100"})", false},
        {R"({"n": [300]})", R"({"n": 300.0})", true},
        {R"({"n": [300]})", R"({"n": 3.0e2})", true},
        {R"({"n": [300]})", R"({"n": "300"})", false},
        {R"({"n": [123456789012]})", R"({"n": 123456789012})", true},
        {R"({"n": [123456789012]})", R"({"n": 123456789013})", false},
        // Six digits behind the point are told apart.
        {R"({"n": [0.000001]})", R"({"n": 0.000002})", false},
        {R"({"ip": [{"cidr": "10.0.0.0/24"}]})", R"({"ip": "10.0.0.255"})", true},
        {R"({"ip": [{"cidr": "10.0.0.0/24"}]})", R"({"ip": "10.0.1.0"})", false},
        {R"({"ip": [{"cidr": "2001:db8::/32"}]})", R"({"ip": "2001:db8:1::7"})", true},
        {R"({"ip": [{"cidr": "10.0.0.0/24"}]})", R"({"ip": "not one"})", false},
        {R"({"ip": ["2001:db8::1"]})", R"({"ip": "2001:0db8:0:0:0:0:0:1"})", true},
        {R"({"a": [{"exists": true}]})", R"({"a": null})", true},
        {R"({"a": [{"exists": true}]})", R"({"b": 1})", false},
        {R"({"a": [{"exists": false}]})", R"({"b": 1})", true},
        {R"({"a": [{"exists": false}]})", R"({"a": 1})", false},
        // Only leaves exist.
        {R"({"a": [{"exists": true}]})", R"({"a": {"b": 1}})", false},
        {R"({"a": [{"exists": false}, "x"]})", R"({"a": "x"})", true},
        {R"({"a": [{"exists": false}, "x"]})", R"({"a": "y"})", false},
        {R"({"p": [{"wildcard": "dir/*.png"}]})", R"({"p": "dir/a/b.png"})", true},
        {R"({"p": [{"wildcard": "dir/*.png"}]})", R"({"p": "dir/b.pngx"})", false},
        {R"({"p": [{"wildcard": "a*b*a"}]})", R"({"p": "aba"})", true},
        {R"({"p": [{"wildcard": "a*a"}]})", R"({"p": "a"})", false},
        {R"({"p": [{"wildcard": "a\\*b"}]})", R"({"p": "a*b"})", true},
        {R"({"p": [{"wildcard": "a\\*b"}]})", R"({"p": "axb"})", false},
        {R"({"p": [{"wildcard": "a\\\\b"}]})", R"({"p": "a\\b"})", true},
        {R"({"$or": [{"l": ["NY"]}, {"d": ["Mon"]}]})", R"({"d": "Mon", "l": "X"})", true},
        {R"({"$or": [{"l": ["NY"]}, {"d": ["Mon"]}]})", R"({"d": "Tue", "l": "X"})", false},
        {R"({"s": ["e"], "$or": [{"l": ["NY"]}, {"d": ["Mon"]}]})", R"({"d": "Mon"})", false},
        // Several values of one field, several fields.
        {R"({"Location": ["New York"], "Day": ["Monday"]})",
         R"({"Location": "New York", "Day": "Monday"})",
         true},
        {R"({"Location": ["New York"], "Day": ["Monday"]})",
         R"({"Location": "New York", "Day": "Tue"})",
         false},
    };
    for (const Fact& fact : facts) {
        EXPECT_EQ(Matches(fact.pattern, fact.event), fact.matches)
            << fact.pattern << " " << fact.event;
    }
}

// Facts of aws/event-ruler's ACMachineTest and EventTest.
TEST(EventPattern, ArraysAreConsistent) {
    const std::vector<Fact> facts{
        {R"({"a": ["x", "y"]})", R"({"a": ["z", "y"]})", true},
        {R"({"a": ["x"]})", R"({"a": [["z"], ["x"]]})", true},
        {R"({"a": ["x"]})", R"({"a": []})", false},
        {R"({"a": [{"exists": false}]})", R"({"a": []})", true},
        {R"({"employees": {"firstName": ["Anna"]}})",
         R"({"employees": [{"firstName": "John"}, {"firstName": "Anna"}]})",
         true},
        // Both have to be of one element.
        {R"({"employees": {"firstName": ["Anna"], "lastName": ["Smith"]}})",
         R"({"employees": [{"firstName": "John", "lastName": "Doe"},
                           {"firstName": "Anna", "lastName": "Jones"},
                           {"firstName": "Peter", "lastName": "Smith"}]})",
         false},
        {R"({"employees": {"firstName": ["Anna"], "lastName": ["Jones"]}})",
         R"({"employees": [{"firstName": "John", "lastName": "Doe"},
                           {"firstName": "Anna", "lastName": "Jones"}]})",
         true},
        {R"({"e": {"f": ["A"], "d": {"l": ["1"], "k": ["2"]}}})",
         R"({"e": [{"f": "A", "d": [{"l": "1", "k": "9"}, {"l": "8", "k": "2"}]}]})",
         false},
        {R"({"e": {"f": ["A"], "d": {"l": ["1"], "k": ["2"]}}})",
         R"({"e": [{"f": "B"}, {"f": "A", "d": [{"l": "8"}, {"l": "1", "k": "2"}]}]})",
         true},
        {R"({"e": {"b": ["1"], "c": [{"exists": false}]}})",
         R"({"e": [{"b": "1", "c": 1}, {"b": "1"}]})",
         true},
        {R"({"e": {"c": [{"exists": false}]}})", R"({"e": [{"c": 1}, {"b": 1}]})", false},
        {R"({"e": {"c": [{"exists": false}]}})", R"({"e": [{"b": 1}]})", true},
        {R"({"e": {"c": [{"exists": false}]}})", R"({})", true},
        {R"({"e": {"c": ["x"]}})", R"({"e": "x"})", false},
        // Alternatives that speak of the same array as what stands beside them.
        {R"({"x": {"b": [1]}, "$or": [{"x": {"c": [2]}}, {"y": [3]}]})",
         R"({"x": [{"b": 1}, {"c": 2}]})",
         false},
        {R"({"x": {"b": [1]}, "$or": [{"x": {"c": [2]}}, {"y": [3]}]})",
         R"({"x": [{"b": 1, "c": 2}]})",
         true},
        {R"({"x": {"b": [1]}, "$or": [{"x": {"c": [2]}}, {"y": [3]}]})",
         R"({"x": [{"b": 1}, {"c": 2}], "y": 3})",
         true},
        {R"({"d": {"$or": [{"c": [{"numeric": ["<", 5]}]}, {"e": [3]}], "k": ["v"]}})",
         R"({"d": {"k": "v", "c": 4}})",
         true},
        {R"({"$or": [{"a": [1]}, {"b": [1]}], "c": [1]})", R"({"a": 1, "c": 1})", true},
        {R"({"$or": [{"a": [1], "$or": [{"z": [1]}, {"y": [1]}]}, {"b": [1]}]})",
         R"({"a": 1, "y": 1})",
         true},
        {R"({"$or": [{"a": [1], "$or": [{"z": [1]}, {"y": [1]}]}, {"b": [1]}]})",
         R"({"a": 1})",
         false},
    };
    for (const Fact& fact : facts) {
        EXPECT_EQ(Matches(fact.pattern, fact.event), fact.matches)
            << fact.pattern << " " << fact.event;
    }
}

// Facts of aws/event-ruler's RuleCompilerTest.
TEST(EventPattern, RefusesAsAws) {
    const std::vector<std::pair<const char*, const char*>> facts{
        {R"([])", "Filter is not an object"},
        {R"({})", "Empty objects are not allowed"},
        {R"({"a": {}})", "Empty objects are not allowed"},
        {R"({"a": []})", "Empty arrays are not allowed"},
        {R"({"a": "x"})", R"("a" must be an object or an array)"},
        {R"({"a": null})", R"("a" must be an object or an array)"},
        {R"({"a": [["x"]]})", "Match value must be String, number, true, false, or null"},
        {R"({"a": [{}]})", "Match expression name not found"},
        {R"({"a": [{"foo": 1}]})", "Unrecognized match type foo"},
        {R"({"a": [{"prefix": 1}]})", "prefix match pattern must be a string"},
        {R"({"a": [{"suffix": 1}]})", "suffix match pattern must be a string"},
        {R"({"a": [{"prefix": "x", "suffix": "y"}]})", "Only one key allowed in match expression"},
        {R"({"a": [{"prefix": {"x": "y"}}]})", "Unsupported prefix pattern: x"},
        {R"({"a": [{"exists": 1}]})", "exists match pattern must be either true or false."},
        {R"({"a": [{"numeric": 1}]})", "Value of numeric must be an array."},
        {R"({"a": [{"numeric": [1]}]})", "Invalid member in numeric match: 1"},
        {R"({"a": [{"numeric": ["x", 1]}]})", "Unrecognized numeric range operator: x"},
        {R"({"a": [{"numeric": ["=", "1"]}]})", "Value of equals must be numeric"},
        {R"({"a": [{"numeric": ["<", 1, 2]}]})", "Too many elements in numeric expression"},
        {R"({"a": [{"numeric": [">", 1, 2]}]})", "Bad value in numeric range: 2"},
        {R"({"a": [{"numeric": [">", 1, ">", 2]}]})", "Bad numeric range operator: >"},
        {R"({"a": [{"numeric": [">", 1, "<", 2, 3]}]})",
         "Too many terms in numeric range expression"},
        {R"({"a": [{"numeric": [">", 6000000000]}]})",
         "Value must be between -5.0E9 and 5.0E9, inclusive"},
        {R"({"a": [{"anything-but": [1, "x"]}]})",
         "Inside anything but list, either all values are number or string, mixed type is not "
         "supported"},
        {R"({"a": [{"anything-but": {"foo": "x"}}]})", "Unsupported anything-but pattern: foo"},
        {R"({"a": [{"anything-but": {"prefix": ""}}]})", "Null prefix/suffix not allowed"},
        {R"({"a": [{"anything-but": null}]})",
         "Value of anything-but must be an array or single string/number value."},
        {R"({"a": [{"cidr": "10.0.0.0"}]})", "Malformed CIDR, one '/' required"},
        {R"({"a": [{"cidr": "10.0.0.0/x"}]})", "Malformed CIDR, mask bits must be an integer"},
        {R"({"a": [{"cidr": "10.0.0.0/32"}]})", "IPv4 mask bits must be < 32"},
        {R"({"a": [{"cidr": "host/8"}]})", "Nonstandard IP address: host"},
        {R"({"a": [{"wildcard": "a**b"}]})", "Consecutive wildcard characters at pos 2"},
        {R"({"a": [{"wildcard": "a\\b"}]})", "Invalid escape character at pos 2"},
        {R"({"$or": {"a": [1]}})", "It must be an Array followed with $or."},
        {R"({"$or": [1, 2]})", "Only JSON object is allowed in array of $or relationship."},
        {R"({"$or": [{"a": [1]}]})", "There must have at least 2 Objects in $or relationship."},
        {R"({"$or": [{"prefix": [1]}, {"b": [1]}]})",
         "prefix is Ruler reserved fieldName which cannot be used inside $or."},
        {R"({"a": [1], "a": [2]})", "Path `a` cannot be allowed multiple times"},
        {R"({"x": {"a": [1]}, "x": {"a": [2]}})", "Path `x.a` cannot be allowed multiple times"},
    };
    for (const auto& [pattern, error] : facts) {
        EXPECT_EQ(ErrorOf(pattern), error) << pattern;
    }
    EXPECT_FALSE(EventPattern::Compile("{\"a\": [1}").ok());
}

TEST(EventPattern, NamesMembers) {
    const auto pattern =
        EventPattern::Compile(R"({"body": {"x": [1]}, "$or": [{"a": [1]}, {"b": [1]}]})");
    ASSERT_TRUE(pattern.ok());
    EXPECT_TRUE(pattern->Names("body"));
    EXPECT_TRUE(pattern->Names("b"));
    EXPECT_FALSE(pattern->Names("x"));
}

// Patterns and events made to take exponential time elsewhere. Nothing is timed: with a matcher
// that backtracks this test would not end.
TEST(EventPattern, NothingBlowsUp) {
    std::string stars = "a";
    for (int i = 0; i < 1'000; ++i) {
        stars += "*a";
    }
    const std::string text(1'000'000, 'a');
    EXPECT_TRUE(
        Matches("{\"a\": [{\"wildcard\": \"" + stars + "\"}]}", "{\"a\": \"" + text + "\"}"));
    EXPECT_FALSE(
        Matches("{\"a\": [{\"wildcard\": \"" + stars + "b\"}]}", "{\"a\": \"" + text + "\"}"));

    // 2^n combinations.
    std::string choices = "{\"k0\": [1]";
    for (int i = 0; i < 20; ++i) {
        choices += ", \"$or\": [{\"a" + std::to_string(i) + "\": [1]}, {\"b\": [1]}]";
    }
    choices += "}";
    EXPECT_EQ(ErrorOf(choices), "There are too many combinations of $or");

    // Arrays within arrays, of which the last element matches.
    std::string pattern = "{\"v\": [1], \"w\": [1]}";
    std::string event = "{\"v\": 1}";
    for (int depth = 0; depth < 10; ++depth) {
        pattern = "{\"n\": " + pattern + ", \"k\": [1]}";
        event = "{\"n\": [" + event + "," + event + "], \"k\": [0, 1]}";
    }
    EXPECT_FALSE(Matches(pattern, event));

    std::string deep = "[1]";
    std::string deep_event = "1";
    for (int depth = 0; depth < 90; ++depth) {
        deep = "{\"a\": " + deep + "}";
        deep_event = "{\"a\": " + deep_event + "}";
    }
    EXPECT_TRUE(Matches(deep, deep_event));
}

TEST(LeafMatcher, Addresses) {
    EXPECT_TRUE(internal::ParseAddress("1.2.3.4"));
    EXPECT_TRUE(internal::ParseAddress("::"));
    EXPECT_FALSE(internal::ParseAddress("1.2.3"));
    EXPECT_FALSE(internal::ParseAddress("12"));
    EXPECT_FALSE(internal::ParseAddress(std::string_view("1.2.3.4\0", 8)));
    EXPECT_EQ(internal::FoldCase("ÀÉÎŁŹΩЖЀ z"), "àéîłźωжѐ z");
}

}  // namespace
}  // namespace hearth::codec
