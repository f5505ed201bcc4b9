# Generated code of AWS interfaces: models/<service>.json -> <build>/gen/<service>/*.gen.{h,cc}, by tools/modelgen.

# hearth_model(SERVICE OPERATIONS name ... [MODELS folder])
#   Makes the library hearth_model_SERVICE: types, operations and descriptor tables of the listed operations.
#   Headers are included as "gen/SERVICE/types.gen.h".
function(hearth_model service)
    cmake_parse_arguments(ARG "" "MODELS" "OPERATIONS" ${ARGN})
    if(NOT ARG_MODELS)
        set(ARG_MODELS ${PROJECT_SOURCE_DIR}/models)
    endif()
    set(generator ${PROJECT_SOURCE_DIR}/tools/modelgen/modelgen.py)
    set(out ${PROJECT_BINARY_DIR}/gen/${service})
    set(files ${out}/types_fwd.gen.h ${out}/types.gen.h ${out}/operations.gen.h ${out}/model.gen.cc)
    set(inputs ${ARG_MODELS}/${service}.json)
    foreach(kind patches authorization)
        if(EXISTS ${ARG_MODELS}/${kind}/${service}.json)
            list(APPEND inputs ${ARG_MODELS}/${kind}/${service}.json)
        endif()
    endforeach()
    # The files keep their times where nothing changed, so a stamp says when the generator ran last.
    add_custom_command(
        OUTPUT ${out}/stamp
        BYPRODUCTS ${files}
        COMMAND
            ${Python3_EXECUTABLE} ${generator} --model ${ARG_MODELS}/${service}.json --patch
            ${ARG_MODELS}/patches/${service}.json --authorization ${ARG_MODELS}/authorization/${service}.json --out ${out}
            ${ARG_OPERATIONS}
        COMMAND ${CMAKE_COMMAND} -E touch ${out}/stamp
        DEPENDS ${inputs} ${generator}
        COMMENT "Generating the model of ${service}"
        VERBATIM)
    add_library(hearth_model_${service} STATIC ${out}/model.gen.cc ${out}/stamp)
    target_include_directories(hearth_model_${service} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_BINARY_DIR})
    target_link_libraries(hearth_model_${service} PUBLIC hearth_aws_model)
    hearth_use_pch(hearth_model_${service})
endfunction()

# hearth_service(NAME OPERATIONS name ... [DEPS target ...] [TEST_DEPS target ...] [EXCLUDE file ...])
#   hearth_model(NAME) and the library hearth_services_NAME of the current folder, linked to it.
function(hearth_service name)
    cmake_parse_arguments(ARG "" "TEST_TIMEOUT" "OPERATIONS;DEPS;TEST_DEPS;EXCLUDE" ${ARGN})
    hearth_model(${name} OPERATIONS ${ARG_OPERATIONS})
    set(timeout)
    if(ARG_TEST_TIMEOUT)
        set(timeout TEST_TIMEOUT ${ARG_TEST_TIMEOUT})
    endif()
    hearth_library(
        services_${name}
        DEPS hearth_model_${name} hearth_aws_model hearth_base ${ARG_DEPS}
        TEST_DEPS ${ARG_TEST_DEPS}
        EXCLUDE ${ARG_EXCLUDE} ${timeout})
endfunction()
