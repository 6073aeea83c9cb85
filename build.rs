//! What cargo alone cannot do: the wire's code, the libraries of C++ as static ones, and espeak-ng's data.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

const PROTOS: &[&str] = &[
    "proto/example/speech_recognition.proto",
    "proto/macaw/stt_worker.proto",
    "proto/macaw/tts_worker.proto",
    "proto/speechctl/v1/models.proto",
    "proto/speechctl/v1/registry.proto",
    "proto/speechctl/v1/speech.proto",
    "proto/tts/tts_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    tell_processor_features();
    compile_protos(&out)?;
    link_cpp_statically(&out)?;
    pack_espeak_data(&out)
}

#[cfg(target_arch = "x86_64")]
include!("build-support/processor_features.rs");

/// Hands over for which processor whisper.cpp is compiled, so that the program can tell when it runs on another.
///
/// ggml compiles for the processor of the build, unless `GGML_NATIVE` is off; then for AVX2 and what comes with it, or
/// what else its switches say. whisper-rs-sys hands all of them to cmake.
fn tell_processor_features() {
    let is_x86 = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|target| target == "x86_64");
    let is_native = is_on("GGML_NATIVE", true) && env::var("HOST") == env::var("TARGET");
    let features = match (is_x86, is_native) {
        (true, true) => native_features(),
        (true, false) => switched_features(),
        (false, _) => Vec::new(),
    };
    println!("cargo:rerun-if-changed=build-support/processor_features.rs");
    println!("cargo:rustc-env=SPEECHCTL_PROCESSOR_FEATURES={}", features.join(","));
}

/// Whether a switch of cmake is on, as cmake reads it.
fn is_on(name: &str, default: bool) -> bool {
    println!("cargo:rerun-if-env-changed={name}");
    match env::var(name).map(|value| value.to_ascii_uppercase()) {
        Ok(value) => !["", "0", "OFF", "NO", "FALSE", "N", "IGNORE", "NOTFOUND"].contains(&value.as_str()),
        Err(_) => default,
    }
}

/// What ggml is compiled for by its switches, with their defaults.
fn switched_features() -> Vec<&'static str> {
    const AVX512: &[&str] = &["avx512f", "avx512cd", "avx512dq", "avx512vl", "avx512bw"];
    let switches: [(&str, bool, &[&str]); 10] = [
        ("GGML_SSE42", true, &["sse4.2"]),
        ("GGML_AVX", true, &["avx"]),
        ("GGML_AVX2", true, &["avx2"]),
        ("GGML_FMA", true, &["fma"]),
        ("GGML_F16C", true, &["f16c"]),
        ("GGML_BMI2", true, &["bmi2"]),
        ("GGML_AVX_VNNI", false, &["avxvnni"]),
        ("GGML_AVX512", false, AVX512),
        ("GGML_AVX512_VNNI", false, &["avx512vnni"]),
        ("GGML_AVX512_VBMI", false, &["avx512vbmi"]),
    ];
    switches
        .into_iter()
        .filter(|(name, default, _)| is_on(name, *default))
        .flat_map(|(.., features)| features.to_vec())
        .collect()
}

/// What the processor of this build has, of what compilers and ggml make use of.
#[cfg(target_arch = "x86_64")]
fn native_features() -> Vec<&'static str> {
    macro_rules! detected {
        ($name:tt) => {
            ($name, is_x86_feature_detected!($name))
        };
    }
    let features = processor_features!(detected);
    features.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn native_features() -> Vec<&'static str> {
    Vec::new()
}

/// Compiles the contracts with protox, so that no `protoc` is needed, and keeps their descriptors for reflection.
fn compile_protos(out: &Path) -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}

/// Puts static twins of the C++ libraries before the shared ones, by a folder of links that is searched first.
/// The binary then needs nothing but libc and libm.
fn link_cpp_statically(out: &Path) -> Result<(), Box<dyn Error>> {
    if env::var("CARGO_CFG_TARGET_OS")? != "linux" {
        return Ok(());
    }
    let folder = out.join("static-libraries");
    fs::create_dir_all(&folder)?;
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    for (wanted, real) in [("libstdc++.a", "libstdc++.a"), ("libgcc_s.a", "libgcc_eh.a")] {
        let answer = Command::new(&compiler).arg(format!("-print-file-name={real}")).output()?.stdout;
        let path = String::from_utf8(answer)?;
        let path = Path::new(path.trim());
        if !path.is_absolute() {
            return Err(format!("{compiler} does not know where {real} is; install g++").into());
        }
        let link = folder.join(wanted);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link)?;
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(path, link)?;
    }
    println!("cargo:rustc-link-search=native={}", folder.display());
    Ok(())
}

/// Packs the data that espeak-ng's own build has made into one archive, which goes into the binary.
fn pack_espeak_data(out: &Path) -> Result<(), Box<dyn Error>> {
    let data = espeak_data(out).ok_or("espeak-ng's data is not where espeak-rs-sys used to put it")?;
    let packed = fs::File::create(out.join("espeak-ng-data.tar.zst"))?;
    // The highest levels gain nothing on files of this size and take a minute.
    let mut archive = tar::Builder::new(zstd::Encoder::new(packed, 19)?);
    archive.mode(tar::HeaderMode::Deterministic);
    for path in sorted_files(&data)? {
        archive.append_path_with_name(&path, path.strip_prefix(&data)?)?;
    }
    archive.into_inner()?.finish()?;
    name_espeak_voices(&data, out)
}

/// Lists what espeak-ng's voices are called, in lower case, one a line: other voices may not have these names. Each file
/// says `language NAME`, some of them more than once.
fn name_espeak_voices(data: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut names = std::collections::BTreeSet::new();
    for path in sorted_files(&data.join("lang"))? {
        for line in fs::read_to_string(&path)?.lines() {
            if let Some(name) = line.strip_prefix("language").and_then(|rest| rest.split_whitespace().next()) {
                names.insert(name.to_ascii_lowercase());
            }
        }
    }
    let lines: Vec<String> = names.into_iter().collect();
    if !lines.iter().any(|name| name == "en-us") {
        return Err("espeak-ng's voices do not say their names as they used to".into());
    }
    fs::write(out.join("espeak-voices.txt"), lines.join("\n"))?;
    Ok(())
}

/// `share/espeak-ng-data` in the output folder of espeak-rs-sys. The crate announces it nowhere, so we look among our
/// neighbours: `target/<profile>/build`, and the same of the host when `--target` is given.
fn espeak_data(out: &Path) -> Option<PathBuf> {
    let profile = env::var("PROFILE").ok()?;
    let ours = out.ancestors().nth(2).map(Path::to_owned);
    let of_host = out.ancestors().nth(5).map(|target| target.join(profile).join("build"));
    [ours, of_host]
        .into_iter()
        .flatten()
        .filter_map(|builds| fs::read_dir(builds).ok())
        .flat_map(|builds| builds.flatten())
        .filter(|build| build.file_name().to_string_lossy().starts_with("espeak-rs-sys-"))
        .map(|build| build.path().join("out/share/espeak-ng-data"))
        .filter(|data| data.join("phontab").exists() && data.join("en_dict").exists())
        .max_by_key(|data| fs::metadata(data.join("phontab")).and_then(|file| file.modified()).ok())
}

/// Every file under `folder`, in an order that does not depend on the disk, so that two builds are the same.
fn sorted_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files.extend(sorted_files(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}
