#pragma once

#include <span>
#include <string>
#include <string_view>

namespace hearth::iam {

// A policy that AWS keeps for everybody, arn:aws:iam::aws:policy<path><name>.
struct AwsManagedPolicy {
    std::string_view name;
    std::string_view path;
    std::string_view description;
    // The statement list; the document around it is the usual one.
    std::string_view statements;

    std::string Arn() const;
    std::string Document() const;
};

// Those that functions use, by name. Source: AWS Managed Policy Reference, read 2026-11; what is
// not in this list is NoSuchEntity.
std::span<const AwsManagedPolicy> AwsManagedPolicies();

// nullptr when Hearth has none of that ARN.
const AwsManagedPolicy* FindAwsManagedPolicy(std::string_view arn);

}  // namespace hearth::iam
