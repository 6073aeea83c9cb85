# Settings for the C and C++ libraries that are built by cmake. Every cmake of the build reads this file
# (`CMAKE_TOOLCHAIN_FILE` in .cargo/config.toml). Without it espeak-ng fetches `sonic` from the network and links
# whatever audio library the machine happens to have.
set(SONIC_LIB "unused" CACHE STRING "" FORCE)
set(SONIC_INC "/unused" CACHE STRING "" FORCE)
set(USE_LIBSONIC OFF CACHE BOOL "" FORCE)
set(USE_LIBPCAUDIO OFF CACHE BOOL "" FORCE)
set(USE_MBROLA OFF CACHE BOOL "" FORCE)
set(CMAKE_SKIP_RPATH ON CACHE BOOL "" FORCE)
