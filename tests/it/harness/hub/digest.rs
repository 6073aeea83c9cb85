//! What the hub calls a file: the digest of its bytes, in hexadecimal.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// Of what is large.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Of what is small: as git names a file.
pub(crate) fn git_sha1(bytes: &[u8]) -> String {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(format!("blob {}\0", bytes.len()).as_bytes());
    context.update(bytes);
    hex(context.finish().as_ref())
}

/// Whether a file of this name is kept at the store.
pub(crate) fn is_large(file: &str) -> bool {
    file.ends_with(".bin") || file.ends_with(".onnx")
}

/// Of a file of this name.
pub(crate) fn etag(file: &str, bytes: &[u8]) -> String {
    if is_large(file) { sha256(bytes) } else { git_sha1(bytes) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
