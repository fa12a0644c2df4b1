# The two libraries, and everything that cmake --install puts down.
include(CMakePackageConfigHelpers)

set(ROUTED_SYMBOL_MAP ${PROJECT_SOURCE_DIR}/src/routed_ffi.map)

add_library(routed_ffi SHARED $<TARGET_OBJECTS:routed_rooms>)
set_target_properties(
  routed_ffi
  PROPERTIES LINKER_LANGUAGE C
             VERSION ${PROJECT_VERSION}
             SOVERSION ${PROJECT_VERSION_MAJOR}
             LINK_DEPENDS ${ROUTED_SYMBOL_MAP})
target_link_options(routed_ffi PRIVATE LINKER:--version-script=${ROUTED_SYMBOL_MAP}
                    ${ROUTED_LTO_FLAGS})
if(NOT ROUTED_SANITIZE AND NOT ROUTED_FUZZ)
  target_link_options(routed_ffi PRIVATE LINKER:-z,defs)
endif()
target_link_libraries(routed_ffi PRIVATE routed_flags PkgConfig::NETTLE PkgConfig::GNUTLS PkgConfig::NGHTTP2
                                         PkgConfig::NGHTTP3 PkgConfig::NGTCP2 Threads::Threads)

# An archive has no symbol map: so all rooms become one object whose hidden symbols are local, and
# nothing but routed_* can collide with a name of the program that links it.
set(ROUTED_WHOLE ${PROJECT_BINARY_DIR}/routed_ffi_whole.o)
if(ROUTED_LTO_FLAGS)
  set(ROUTED_WHOLE_FLAGS ${CMAKE_C_FLAGS_RELEASE} -fPIC ${ROUTED_LTO_FLAGS}
                         -flinker-output=nolto-rel)
  separate_arguments(ROUTED_WHOLE_FLAGS UNIX_COMMAND "${ROUTED_WHOLE_FLAGS}")
endif()
add_custom_command(
  OUTPUT ${ROUTED_WHOLE}
  COMMAND ${CMAKE_C_COMPILER} ${ROUTED_WHOLE_FLAGS} -nostdlib -r -o ${ROUTED_WHOLE}
          $<TARGET_OBJECTS:routed_rooms>
  COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${ROUTED_WHOLE}
  DEPENDS routed_rooms $<TARGET_OBJECTS:routed_rooms>
  COMMAND_EXPAND_LISTS VERBATIM
  COMMENT "Linking all rooms into one object")

add_library(routed_ffi_static STATIC ${ROUTED_WHOLE})
set_source_files_properties(${ROUTED_WHOLE} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
set_target_properties(routed_ffi_static PROPERTIES LINKER_LANGUAGE C OUTPUT_NAME routed_ffi)
target_link_libraries(routed_ffi_static INTERFACE nettle gnutls nghttp2 nghttp3
                                                 ngtcp2_crypto_gnutls ngtcp2 Threads::Threads)

foreach(library routed_ffi routed_ffi_static)
  target_include_directories(
    ${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                         $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

install(TARGETS routed_ffi routed_ffi_static EXPORT routed_ffi)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/routed DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")

set(ROUTED_CMAKE_FOLDER ${CMAKE_INSTALL_LIBDIR}/cmake/routed_ffi)
install(EXPORT routed_ffi NAMESPACE routed_ffi:: FILE routed_ffiTargets.cmake
        DESTINATION ${ROUTED_CMAKE_FOLDER})
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/routed_ffiConfig.cmake.in
  ${PROJECT_BINARY_DIR}/routed_ffiConfig.cmake INSTALL_DESTINATION ${ROUTED_CMAKE_FOLDER})
# Until 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/routed_ffiConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/routed_ffiConfig.cmake
              ${PROJECT_BINARY_DIR}/routed_ffiConfigVersion.cmake
        DESTINATION ${ROUTED_CMAKE_FOLDER})

# The prefix is known only when it is installed: cmake --install --prefix may name another.
configure_file(${PROJECT_SOURCE_DIR}/cmake/routed_ffi.pc.in ${PROJECT_BINARY_DIR}/routed_ffi.pc.in
               @ONLY)
install(CODE "set(pkgconfig_in \"${PROJECT_BINARY_DIR}/routed_ffi.pc.in\")
configure_file(\"\${pkgconfig_in}\" \"${PROJECT_BINARY_DIR}/routed_ffi.pc\")")
install(FILES ${PROJECT_BINARY_DIR}/routed_ffi.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
