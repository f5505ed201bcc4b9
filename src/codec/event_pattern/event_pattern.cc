#include "codec/event_pattern/event_pattern.h"

#include "codec/event_pattern/leaf_matcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace hearth::codec {

using internal::LeafMatcher;

// What one object of the event has to fulfil: all children, and of each choice one alternative.
// Alternatives say nothing about members that children or other choices speak of (Distribute), so
// each part can be judged alone, also where one element of an array has to fulfil all.
struct EventPattern::Node {
    struct Child {
        std::string key;
        // One of them.
        std::shared_ptr<const LeafMatcher> leaf;
        std::shared_ptr<const Node> node;
    };

    using Choice = std::vector<std::shared_ptr<const Node>>;

    std::vector<Child> children;
    std::vector<Choice> choices;
};

namespace {

using Node = EventPattern::Node;

constexpr std::string_view kOr = "$or";

// Names that AWS keeps from being fields inside of "$or".
constexpr std::array<std::string_view, 24> kReserved{
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range"};

Error RepeatedPath(std::string_view path) {
    return errors::Malformed(fmt::format("Path `{}` cannot be allowed multiple times", path));
}

std::string Extend(std::string_view path, std::string_view key) {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

// --- alternatives

// In how many ways the alternatives can be taken; stops counting above the limit.
size_t Combinations(const Node& node) {
    constexpr size_t kEnough = EventPattern::kCombinationsMax + 1;
    size_t product = 1;
    for (const Node::Child& child : node.children) {
        if (child.node) {
            product = std::min(kEnough, product * Combinations(*child.node));
        }
    }
    for (const Node::Choice& choice : node.choices) {
        size_t sum = 0;
        for (const auto& alternative : choice) {
            sum = std::min(kEnough, sum + Combinations(*alternative));
        }
        product = std::min(kEnough, product * sum);
    }
    return product;
}

void CollectKeys(const Node& node, std::set<std::string_view>& keys) {
    for (const Node::Child& child : node.children) {
        keys.insert(child.key);
    }
    for (const Node::Choice& choice : node.choices) {
        for (const auto& alternative : choice) {
            CollectKeys(*alternative, keys);
        }
    }
}

// Whether two parts of the node speak of the same member.
bool Overlaps(const Node& node) {
    std::set<std::string_view> all;
    for (const Node::Child& child : node.children) {
        all.insert(child.key);
    }
    for (const Node::Choice& choice : node.choices) {
        std::set<std::string_view> keys;
        for (const auto& alternative : choice) {
            CollectKeys(*alternative, keys);
        }
        for (const std::string_view key : keys) {
            if (!all.insert(key).second) {
                return true;
            }
        }
    }
    return false;
}

Result<Node> Distribute(Node node, std::string_view path);

// Both have to be fulfilled.
Result<Node> Merge(Node first, const Node& second, std::string_view path) {
    for (const Node::Child& child : second.children) {
        const auto same = std::ranges::find_if(first.children, [&](const Node::Child& other) {
            return other.key == child.key && (other.leaf == nullptr) == (child.leaf == nullptr);
        });
        if (same == first.children.end()) {
            first.children.push_back(child);
        } else if (child.leaf) {
            return RepeatedPath(Extend(path, child.key));
        } else {
            const std::string below = Extend(path, child.key);
            HEARTH_TRY(Node merged, Merge(*same->node, *child.node, below));
            HEARTH_TRY(merged, Distribute(std::move(merged), below));
            same->node = std::make_shared<const Node>(std::move(merged));
        }
    }
    first.choices.insert(first.choices.end(), second.choices.begin(), second.choices.end());
    return first;
}

// Where choices speak of members that others speak of, too, one choice between all combinations
// takes their place.
Result<Node> Distribute(Node node, std::string_view path) {
    if (!Overlaps(node)) {
        return node;
    }
    Node rest;
    rest.children = std::move(node.children);
    std::vector<Node> combined{std::move(rest)};
    for (const Node::Choice& choice : node.choices) {
        std::vector<Node> next;
        for (const Node& one : combined) {
            for (const auto& alternative : choice) {
                HEARTH_TRY(Node merged, Merge(one, *alternative, path));
                // Choices inside of the alternative are now this node's.
                HEARTH_TRY(merged, Distribute(std::move(merged), path));
                next.push_back(std::move(merged));
                if (next.size() > EventPattern::kCombinationsMax) {
                    return errors::Malformed("There are too many combinations of $or");
                }
            }
        }
        combined = std::move(next);
    }
    Node result;
    Node::Choice choice;
    for (Node& one : combined) {
        choice.push_back(std::make_shared<const Node>(std::move(one)));
    }
    result.choices.push_back(std::move(choice));
    return result;
}

// --- compiling

Result<Node> CompileObject(const Json::Object& object, const std::string& path, bool inside_or);

Result<Node::Choice> CompileChoice(const Json& value, const std::string& path) {
    const Json::Array* const list = value.AsArray();
    if (list == nullptr) {
        return errors::Malformed("It must be an Array followed with $or.");
    }
    Node::Choice choice;
    for (const Json& entry : *list) {
        const Json::Object* const object = entry.AsObject();
        if (object == nullptr) {
            return errors::Malformed("Only JSON object is allowed in array of $or relationship.");
        }
        HEARTH_TRY(Node alternative, CompileObject(*object, path, true));
        choice.push_back(std::make_shared<const Node>(std::move(alternative)));
    }
    if (choice.size() < 2) {
        return errors::Malformed("There must have at least 2 Objects in $or relationship.");
    }
    return choice;
}

Result<Node> CompileObject(const Json::Object& object, const std::string& path, bool inside_or) {
    Node node;
    for (const Json::Member& member : object) {
        if (member.name == kOr) {
            HEARTH_TRY(Node::Choice choice, CompileChoice(member.value, path));
            node.choices.push_back(std::move(choice));
            continue;
        }
        if (inside_or && std::ranges::find(kReserved, member.name) != kReserved.end()) {
            return errors::Malformed(fmt::format(
                "{} is Ruler reserved fieldName which cannot be used inside $or.", member.name));
        }
        Node one;
        Node::Child child;
        child.key = member.name;
        if (const Json::Object* const inner = member.value.AsObject()) {
            HEARTH_TRY(Node below, CompileObject(*inner, Extend(path, member.name), inside_or));
            child.node = std::make_shared<const Node>(std::move(below));
        } else if (const Json::Array* const list = member.value.AsArray()) {
            HEARTH_TRY(LeafMatcher leaf, LeafMatcher::Compile(*list));
            child.leaf = std::make_shared<const LeafMatcher>(std::move(leaf));
        } else {
            return errors::Malformed(
                fmt::format("\"{}\" must be an object or an array", member.name));
        }
        one.children.push_back(std::move(child));
        // A name may come twice.
        HEARTH_TRY(node, Merge(std::move(node), one, path));
    }
    if (object.empty()) {
        return errors::Malformed("Empty objects are not allowed");
    }
    if (Combinations(node) > EventPattern::kCombinationsMax) {
        return errors::Malformed("There are too many combinations of $or");
    }
    return Distribute(std::move(node), path);
}

// --- matching

// How the event looks where a leaf was expected.
struct Scalars {
    bool any = false;
    bool matched = false;
};

void LookAtScalars(const LeafMatcher& leaf, const Json& value, Scalars& scalars) {
    if (const Json::Array* const array = value.AsArray()) {
        for (const Json& element : *array) {
            LookAtScalars(leaf, element, scalars);
            if (scalars.matched) {
                return;
            }
        }
    } else if (!value.is_object()) {
        scalars.any = true;
        scalars.matched = leaf.MatchesScalar(value);
    }
}

bool MatchesLeaf(const LeafMatcher& leaf, const Json& value) {
    Scalars scalars;
    LookAtScalars(leaf, value, scalars);
    return scalars.matched || (!scalars.any && leaf.matches_absence());
}

bool MatchesNothing(const Node& node) {
    return std::ranges::all_of(
               node.children,
               [](const Node::Child& child) {
                   return child.leaf ? child.leaf->matches_absence() : MatchesNothing(*child.node);
               }) &&
           std::ranges::all_of(node.choices, [](const Node::Choice& choice) {
               return std::ranges::any_of(
                   choice, [](const auto& alternative) { return MatchesNothing(*alternative); });
           });
}

bool MatchesNode(const Node& node, const Json& value);

bool MatchesObject(const Node& node, const Json& object) {
    for (const Node::Child& child : node.children) {
        const Json* const value = object.Find(child.key);
        const bool matches = value == nullptr ? (child.leaf ? child.leaf->matches_absence()
                                                            : MatchesNothing(*child.node))
                                              : (child.leaf ? MatchesLeaf(*child.leaf, *value)
                                                            : MatchesNode(*child.node, *value));
        if (!matches) {
            return false;
        }
    }
    return std::ranges::all_of(node.choices, [&](const Node::Choice& choice) {
        return std::ranges::any_of(
            choice, [&](const auto& alternative) { return MatchesObject(*alternative, object); });
    });
}

struct Elements {
    bool any = false;
    bool some_match = false;
    bool all_match = true;
};

void LookAtElements(const Node& node, const Json::Array& array, Elements& elements) {
    for (const Json& element : array) {
        if (const Json::Array* const inner = element.AsArray()) {
            LookAtElements(node, *inner, elements);
        } else if (element.is_object()) {
            elements.any = true;
            const bool matches = MatchesObject(node, element);
            elements.some_match |= matches;
            elements.all_match &= matches;
        }
    }
}

// What is fulfilled by nothing at all has to be so in every element; else one element fulfils all.
bool MatchesNode(const Node& node, const Json& value) {
    if (value.is_object()) {
        return MatchesObject(node, value);
    }
    const bool nothing_will_do = MatchesNothing(node);
    const Json::Array* const array = value.AsArray();
    if (array == nullptr) {
        return nothing_will_do;
    }
    Elements elements;
    LookAtElements(node, *array, elements);
    if (!elements.any || nothing_will_do) {
        return nothing_will_do && elements.all_match;
    }
    return elements.some_match;
}

bool NamesMember(const Node& node, std::string_view name) {
    return std::ranges::any_of(
               node.children, [&](const Node::Child& child) { return child.key == name; }) ||
           std::ranges::any_of(node.choices, [&](const Node::Choice& choice) {
               return std::ranges::any_of(choice, [&](const auto& alternative) {
                   return NamesMember(*alternative, name);
               });
           });
}

}  // namespace

Result<EventPattern> EventPattern::Compile(std::string_view pattern) {
    HEARTH_TRY(const Json json, ParseJson(pattern));
    return CompileJson(json);
}

Result<EventPattern> EventPattern::CompileJson(const Json& pattern) {
    const Json::Object* const object = pattern.AsObject();
    if (object == nullptr) {
        return errors::Malformed("Filter is not an object");
    }
    HEARTH_TRY(Node root, CompileObject(*object, std::string(), false));
    return EventPattern(std::make_shared<const Node>(std::move(root)));
}

bool EventPattern::Matches(const Json& event) const {
    return event.is_object() && MatchesObject(*root_, event);
}

bool EventPattern::Names(std::string_view name) const {
    return NamesMember(*root_, name);
}

}  // namespace hearth::codec
