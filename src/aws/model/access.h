#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Type-erased access to the members of generated structs: the few functions that a codec needs to
// walk a value without knowing its C++ type. One set per type, not per member.
namespace hearth::aws::model {

// A member's holder: std::optional<T> or std::shared_ptr<T>.
struct FieldOps {
    const void* (*get)(const void* field);
    void* (*emplace)(void* field);
};

struct ListOps {
    size_t (*size)(const void* list);
    const void* (*at)(const void* list, size_t index);
    // The new element, empty. Valid until the next Append.
    void* (*append)(void* list);
};

struct MapOps {
    using Visitor = void (*)(void* context, std::string_view key, const void* value);

    size_t (*size)(const void* map);
    void (*each)(const void* map, void* context, Visitor visitor);
    // The value of `key`, made when it was not there.
    void* (*emplace)(void* map, std::string key);
};

template <class T>
inline constexpr FieldOps kOptionalOps = {
    .get = [](const void* field) -> const void* {
        const auto* optional = static_cast<const std::optional<T>*>(field);
        return optional->has_value() ? &**optional : nullptr;
    },
    .emplace = [](void* field) -> void* {
        return &static_cast<std::optional<T>*>(field)->emplace();
    },
};

template <class T>
inline constexpr FieldOps kSharedOps = {
    .get = [](const void* field) -> const void* {
        return static_cast<const std::shared_ptr<T>*>(field)->get();
    },
    .emplace = [](void* field) -> void* {
        auto* shared = static_cast<std::shared_ptr<T>*>(field);
        *shared = std::make_shared<T>();
        return shared->get();
    },
};

template <class T>
inline constexpr ListOps kListOps = {
    .size = [](const void* list) { return static_cast<const std::vector<T>*>(list)->size(); },
    .at = [](const void* list, size_t index) -> const void* {
        return &(*static_cast<const std::vector<T>*>(list))[index];
    },
    .append = [](void* list) -> void* {
        return &static_cast<std::vector<T>*>(list)->emplace_back();
    },
};

template <class T>
inline constexpr MapOps kMapOps = {
    .size =
        [](const void* map) { return static_cast<const std::map<std::string, T>*>(map)->size(); },
    .each =
        [](const void* map, void* context, MapOps::Visitor visitor) {
            for (const auto& [key, value] : *static_cast<const std::map<std::string, T>*>(map)) {
                visitor(context, key, &value);
            }
        },
    .emplace = [](void* map, std::string key) -> void* {
        return &(*static_cast<std::map<std::string, T>*>(map))[std::move(key)];
    },
};

}  // namespace hearth::aws::model
