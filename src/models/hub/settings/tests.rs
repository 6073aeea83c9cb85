//! Which variable goes before which, and what cannot be used.

use super::*;
use std::io::Write;

fn read(pairs: &[(&str, &str)]) -> Result<Settings> {
    Settings::read(of(pairs))
}

fn of(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
    |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
}

/// The message of what must be refused, without what may not be shown.
fn refused(pairs: &[(&str, &str)]) -> String {
    let error = read(pairs).unwrap_err();
    assert_eq!(error.kind(), Kind::Config, "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    error.to_string()
}

#[test]
fn the_cache_is_where_python_has_it() {
    let all = [
        ("HF_HUB_CACHE", "/1"),
        ("HUGGINGFACE_HUB_CACHE", "/2"),
        ("HF_HOME", "/3"),
        ("XDG_CACHE_HOME", "/4"),
        ("HOME", "/5"),
    ];
    let wanted = ["/1", "/2", "/3/hub", "/4/huggingface/hub", "/5/.cache/huggingface/hub"];
    for (first, wanted) in wanted.into_iter().enumerate() {
        let (cache, data) = Settings::places(of(&all[first..]));
        assert_eq!(cache, Path::new(wanted));
        assert_eq!(data, Path::new("/5/.local/share/speechctl"));
        assert_eq!(read(&all[first..]).unwrap().cache, cache);
    }
    assert_eq!(Settings::places(of(&[("HF_HOME", "~/x"), ("HOME", "/h")])).0, Path::new("/h/x/hub"));
    assert_eq!(Settings::places(of(&[("HF_HOME", "~"), ("HOME", "/h")])).0, Path::new("/h/hub"));
    assert_eq!(
        Settings::places(of(&[("HF_HOME", "~x"), ("HOME", "/h")])).0,
        std::env::current_dir().unwrap().join("~x/hub")
    );
    assert_eq!(Settings::places(of(&[("HF_HOME", ""), ("HOME", "/h")])).0, Path::new("/h/.cache/huggingface/hub"));
    let (cache, data) = Settings::places(of(&[("XDG_DATA_HOME", "/d"), ("HF_HOME", "/c")]));
    assert_eq!((cache.as_path(), data.as_path()), (Path::new("/c/hub"), Path::new("/d/speechctl")));
    let (cache, data) = Settings::places(of(&[("XDG_DATA_HOME", "relative")]));
    assert!(cache.is_absolute() && data.is_absolute());
}

#[test]
fn places_are_known_whatever_else_is_wrong() {
    let pairs = [("HF_ENDPOINT", "nonsense"), ("HTTPS_PROXY", "socks5://x"), ("HF_HUB_CACHE", "/c")];
    assert_eq!(Settings::places(of(&pairs)).0, Path::new("/c"));
    refused(&pairs);
}

#[test]
fn an_endpoint_is_the_address_of_a_server() {
    assert_eq!(read(&[]).unwrap().endpoint, "https://huggingface.co");
    for (given, kept) in [("http://h:8080/", "http://h:8080"), (" https://m/hf// ", "https://m/hf")] {
        assert_eq!(read(&[("HF_ENDPOINT", given)]).unwrap().endpoint, kept);
    }
    for wrong in
        ["", "huggingface.co", "ftp://h", "https://", "https://u:secret@h", "https://h/?a", "https://h/#a", "/path"]
    {
        let told = refused(&[("HF_ENDPOINT", wrong)]);
        assert!(told.starts_with("HF_ENDPOINT") && told.contains("is no hub's URL"), "{told}");
    }
}

#[test]
fn offline_is_said_as_to_python() {
    for on in ["1", "ON", "on", "Yes", "tRUE"] {
        assert_eq!(read(&[("HF_HUB_OFFLINE", on)]).unwrap().offline, Some("HF_HUB_OFFLINE"));
        assert_eq!(read(&[("TRANSFORMERS_OFFLINE", on)]).unwrap().offline, Some("TRANSFORMERS_OFFLINE"));
    }
    for off in ["", "0", "no", "false", "off", "2", " 1"] {
        assert_eq!(read(&[("HF_HUB_OFFLINE", off)]).unwrap().offline, None);
    }
}

#[test]
fn a_token_is_that_of_the_variable_then_of_the_file_named_then_of_the_home() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "hf_home\n").unwrap();
    fs::write(folder.path().join("other"), " hf_other ").unwrap();
    let (home, other) = (folder.path().display().to_string(), folder.path().join("other").display().to_string());
    let pairs = [("HF_TOKEN", "hf_variable\n"), ("HF_TOKEN_PATH", &other), ("HF_HOME", &home)];
    let token = |pairs: &[(&str, &str)]| {
        let token = read(pairs).unwrap().token?;
        assert!(!format!("{token:?} {token}").contains("hf_"));
        Some((token.text, token.from))
    };
    let home_token = folder.path().join("token").display().to_string();
    assert_eq!(token(&pairs), Some(("hf_variable".into(), "HF_TOKEN".into())));
    assert_eq!(token(&pairs[1..]), Some(("hf_other".into(), other.clone())));
    assert_eq!(token(&pairs[2..]), Some(("hf_home".into(), home_token)));
    assert_eq!(token(&[("HF_TOKEN", " "), pairs[2]]).unwrap().0, "hf_home");
    assert_eq!(token(&[("HF_TOKEN_PATH", &format!("{home}/none")), pairs[2]]), None);
    assert_eq!(token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"), pairs[0]]), None);
    assert_eq!(token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "0"), pairs[0]]).unwrap().0, "hf_variable");
}

#[test]
fn a_token_that_cannot_be_sent_is_told_and_not_shown() {
    for wrong in ["secret\nsecret", "secret secret", "secret\u{7f}", "secrét", "secret\0"] {
        let told = refused(&[("HF_TOKEN", wrong)]);
        assert!(told.starts_with("the token of HF_TOKEN holds characters"), "{told}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    assert!(refused(&[("HF_TOKEN_PATH", &path)]).contains("HF_HUB_DISABLE_IMPLICIT_TOKEN=1"));
    let long = folder.path().join("long");
    fs::write(&long, vec![b'a'; 64 * 1024 + 1]).unwrap();
    assert!(refused(&[("HF_TOKEN_PATH", &long.display().to_string())]).contains("longer than 65536 bytes"));
}

#[test]
fn certificates_are_those_of_a_pem_file() {
    assert!(read(&[]).unwrap().roots.is_none());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let pairs = [("SSL_CERT_FILE", path.as_str())];
    assert!(refused(&pairs).contains("holds no certificates"));
    // Whether they are any good is seen when they are needed: here it is the frame that counts.
    let pem = "# mine\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    write!(file, "{pem}{pem}").unwrap();
    assert_eq!(format!("{:?}", read(&pairs).unwrap().roots.unwrap()), "2 certificates");
    write!(file, "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
    assert!(refused(&pairs).contains("holds no certificates"));
    assert!(
        refused(&[("SSL_CERT_FILE", "/nowhere/ca.pem")]).contains("SSL_CERT_FILE `/nowhere/ca.pem` cannot be read")
    );
}

#[test]
fn ours_goes_before_the_time_limits_of_python() {
    let limits = |pairs: &[(&str, &str)]| {
        let limits = read(pairs).unwrap().limits;
        (limits.answer.as_secs(), limits.stall.as_secs())
    };
    let pairs = [("SPEECHCTL_HUB_TIMEOUT", "1"), ("HF_HUB_ETAG_TIMEOUT", "2"), ("HF_HUB_DOWNLOAD_TIMEOUT", "3")];
    assert_eq!((limits(&pairs), limits(&pairs[1..]), limits(&pairs[2..])), ((1, 1), (2, 3), (30, 3)));
    assert_eq!((limits(&[]), limits(&[("HF_HUB_ETAG_TIMEOUT", "0")])), ((30, 30), (30, 30)));
    for wrong in ["-1", "1.5", "soon", "86401", "99999999999999999999"] {
        let told = refused(&[("SPEECHCTL_HUB_TIMEOUT", wrong)]);
        assert!(told.starts_with("SPEECHCTL_HUB_TIMEOUT"), "{told}");
    }
    assert_eq!(limits(&[("HF_HUB_ETAG_TIMEOUT", "86400")]), (86_400, 30));
}
