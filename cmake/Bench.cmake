# What measures: the load generator, the servers that are measured, and the command over them.
# Nothing of it is installed. libmicrohttpd is wanted by one of the servers only.
pkg_check_modules(MICROHTTPD IMPORTED_TARGET libmicrohttpd)

set(ROUTED_BENCH_FOLDER ${PROJECT_BINARY_DIR}/bench)

file(GLOB load_sources CONFIGURE_DEPENDS bench/load/*.c)
list(FILTER load_sources EXCLUDE REGEX "/main\\.c$")
add_library(bench_load OBJECT ${load_sources})
target_include_directories(bench_load PUBLIC bench src)
target_link_libraries(bench_load PUBLIC routed_flags PkgConfig::GNUTLS PkgConfig::NGHTTP2
                                        PkgConfig::NGHTTP3 PkgConfig::NGTCP2 m)

function(routed_bench_program name)
  add_executable(${name} ${ARGN})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${ROUTED_BENCH_FOLDER})
  target_link_options(${name} PRIVATE ${ROUTED_LTO_FLAGS})
endfunction()

routed_bench_program(routed-load bench/load/main.c)
target_link_libraries(routed-load PRIVATE bench_load routed_rooms)

routed_bench_program(bench-floor bench/servers/floor.c)
target_link_libraries(bench-floor PRIVATE routed_flags)

routed_bench_program(bench-server bench/servers/main.c bench/servers/application.c
                     bench/servers/heap.c)
target_include_directories(bench-server PRIVATE bench)
target_link_libraries(bench-server PRIVATE routed_rooms)
if(NOT ROUTED_SANITIZE)
  target_compile_definitions(bench-server PRIVATE SERVERS_HEAP_COUNTED)
endif()
if(MICROHTTPD_FOUND)
  target_sources(bench-server PRIVATE bench/servers/microhttpd.c)
  target_compile_definitions(bench-server PRIVATE SERVERS_MICROHTTPD)
  target_link_libraries(bench-server PRIVATE PkgConfig::MICROHTTPD)
endif()

file(GLOB pure_sources CONFIGURE_DEPENDS bench/pure/*.c)
routed_bench_program(bench-pure ${pure_sources} bench/servers/application.c)
target_include_directories(bench-pure PRIVATE bench)
target_link_libraries(bench-pure PRIVATE routed_rooms)

# The command that people call. It finds the programs beside its own name.
file(MAKE_DIRECTORY ${ROUTED_BENCH_FOLDER})
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/bench/routed_bench.py ${ROUTED_BENCH_FOLDER}/routed-bench SYMBOLIC)

if(ROUTED_TESTS)
  routed_unit_tests(load bench_load)
endif()
