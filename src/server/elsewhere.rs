//! `--worker ROLE=ADDRESS`: workers that somebody else runs.

use crate::{
    error::{Error, Kind, Result},
    speech::ModelId,
};

/// Reads `stt=http://HOST:PORT`, `tts=…`; also `unix:PATH`, and a bare `HOST:PORT`.
///
/// # Errors
/// `Config` for what is neither, `Unsupported` for an encrypted address.
pub(super) fn parse(worker: &str) -> Result<ModelId> {
    let wrong = |why: &str| {
        let example = "give `stt=http://HOST:PORT` or `tts=http://HOST:PORT`";
        Error::new(Kind::Config, format!("worker `{worker}`: {why}; {example}"))
    };
    let (role, address) = worker.split_once('=').ok_or_else(|| wrong("its role is missing"))?;
    let recognises = match role {
        "stt" => true,
        "tts" => false,
        _ => return Err(wrong("its role is neither `stt` nor `tts`")),
    };
    if address.starts_with("https://") {
        let message = format!("worker `{worker}`: encrypted connections to workers are not supported");
        return Err(Error::new(Kind::Unsupported, message));
    }
    if address.strip_prefix("unix:").is_some_and(|path| !path.is_empty()) {
        return Ok(ModelId::Called { address: address.to_owned(), recognises });
    }
    let place = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    let (host, port) = place.rsplit_once(':').ok_or_else(|| wrong("its port is missing"))?;
    if host.is_empty() || host.contains('/') || port.parse::<u16>().ok().is_none_or(|port| port == 0) {
        return Err(wrong("its address is none"));
    }
    Ok(ModelId::Called { address: format!("http://{place}"), recognises })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let called = |address: &str, recognises| ModelId::Called { address: address.to_owned(), recognises };
        assert_eq!(parse("stt=http://[::1]:5000/").expect("an address"), called("http://[::1]:5000", true));
        assert_eq!(parse("tts=localhost:1").expect("an address"), called("http://localhost:1", false));
        assert_eq!(parse("tts=unix:/run/w").expect("an address"), called("unix:/run/w", false));
        for wrong in
            ["http://a:1", "asr=http://a:1", "stt=http://a", "stt=", "stt=a:0", "stt=http://a/b:1", "tts=unix:"]
        {
            assert_eq!(parse(wrong).expect_err(wrong).kind(), Kind::Config);
        }
        assert_eq!(parse("stt=https://a:1").expect_err("encrypted").kind(), Kind::Unsupported);
    }
}
