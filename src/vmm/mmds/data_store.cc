#include "vmm/mmds/data_store.h"

#include "vmm/config/faults.h"

#include <algorithm>
#include <charconv>

namespace hearth::vmm {
namespace {

using codec::Json;

void Sort(Json& value) {
    if (auto* items = value.AsArray()) {
        std::ranges::for_each(*items, Sort);
    } else if (auto* members = value.AsObject()) {
        for (auto& member : *members) {
            Sort(member.value);
        }
        std::ranges::sort(*members, {}, &Json::Member::name);
    }
}

void Merge(Json& target, const Json& patch) {
    const auto* changes = patch.AsObject();
    if (changes == nullptr) {
        target = patch;
        return;
    }
    if (!target.is_object()) {
        target = Json(Json::Object());
    }
    for (const auto& change : *changes) {
        auto& members = *target.AsObject();
        auto found = std::ranges::find(members, change.name, &Json::Member::name);
        if (change.value.is_null()) {
            if (found != members.end()) {
                members.erase(found);
            }
            continue;
        }
        if (found == members.end()) {
            found = members.insert(members.end(), Json::Member{change.name, Json()});
        }
        Merge(found->value, change.value);
    }
}

// One step of a JSON pointer (RFC 6901).
const Json* Step(const Json& value, std::string_view step) {
    if (const auto* items = value.AsArray()) {
        std::size_t index = 0;
        const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
        const bool plain = error == std::errc() && end == step.data() + step.size() &&
                           (step.size() == 1 || step[0] != '0');
        return plain && index < items->size() ? &(*items)[index] : nullptr;
    }
    if (!step.contains('~')) {
        return value.Find(step);
    }
    std::string name;
    for (std::size_t i = 0; i < step.size(); ++i) {
        if (step[i] == '~' && i + 1 < step.size() && (step[i + 1] == '0' || step[i + 1] == '1')) {
            name += step[++i] == '0' ? '~' : '/';
        } else {
            name += step[i];
        }
    }
    return value.Find(name);
}

Error TooLarge() {
    return Error(Error::Kind::kInvalid, "", "The MMDS patch request doesn't fit.", 413);
}

}  // namespace

Status MmdsDataStore::Put(Json value) {
    if (codec::WriteJson(value).size() > bytes_max_) {
        return TooLarge();
    }
    Sort(value);
    value_ = std::move(value);
    initialised_ = true;
    return {};
}

Status MmdsDataStore::Patch(const Json& patch) {
    if (!initialised_) {
        return faults::Bad("The MMDS data store is not initialized.");
    }
    Json merged = value_;
    Merge(merged, patch);
    return Put(std::move(merged));
}

std::string MmdsDataStore::Text() const {
    return value_.is_null() ? "{}" : codec::WriteJson(value_);
}

Result<std::string> MmdsDataStore::Read(std::string_view path, MmdsFormat format) const {
    const Json* value = &value_;
    if (path.ends_with('/')) {
        path.remove_suffix(1);
    }
    while (!path.empty() && value != nullptr) {
        path.remove_prefix(1);  // the slash
        const auto end = std::min(path.find('/'), path.size());
        value = Step(*value, path.substr(0, end));
        path.remove_prefix(end);
    }
    if (value == nullptr) {
        return Error(Error::Kind::kNotFound, "", "The MMDS resource does not exist.", 404);
    }
    if (format == MmdsFormat::kJson) {
        return codec::WriteJson(*value);
    }
    if (const auto* text = value->AsString()) {
        return *text;
    }
    const auto* members = value->AsObject();
    if (members == nullptr) {
        return Error(
            Error::Kind::kInvalid,
            "",
            "Cannot retrieve value. The value has an unsupported type.",
            501);
    }
    std::string names;
    for (const auto& member : *members) {
        if (!names.empty()) {
            names += '\n';
        }
        names += member.name;
        if (member.value.is_object()) {
            names += '/';
        }
    }
    return names;
}

}  // namespace hearth::vmm
