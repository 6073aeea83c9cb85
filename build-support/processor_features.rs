// The instructions of x86-64 that a build of whisper.cpp may make use of, by Rust's names of them: for build.rs, which
// asks the processor of the build, and for the program, which asks the one that it runs on.
macro_rules! processor_features {
    ($each:ident) => {
        [
            $each!("sse4.2"),
            $each!("popcnt"),
            $each!("avx"),
            $each!("avx2"),
            $each!("avxvnni"),
            $each!("fma"),
            $each!("f16c"),
            $each!("bmi1"),
            $each!("bmi2"),
            $each!("lzcnt"),
            $each!("movbe"),
            $each!("avx512f"),
            $each!("avx512bw"),
            $each!("avx512cd"),
            $each!("avx512dq"),
            $each!("avx512vl"),
            $each!("avx512vnni"),
            $each!("avx512vbmi"),
            $each!("avx512bf16"),
        ]
    };
}
