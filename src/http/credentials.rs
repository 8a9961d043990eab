//! User name and password of a server section, checked in constant time.
//!
//! Must never: tell a wrong name from a wrong password, compare byte by byte.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// Marks a password that is stored as the SHA-1 of itself, in 40 hex digits.
const HASHED: &str = "{SHA}";

/// What a client has to know.
#[derive(Clone)]
pub struct Credentials {
    user: String,
    password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What an `Authorization` header is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is right.
    Welcome,
    /// It is missing, of another scheme, or wrong.
    Unknown,
    /// It cannot be read.
    Garbled,
}

impl Credentials {
    /// As configured: the password in clear, or `{SHA}` and its digest in lower-case hex.
    pub fn new(user: String, password: String) -> Credentials {
        Credentials { user, password }
    }

    /// Judges the value of an `Authorization` header (RFC 7617).
    pub fn judge(&self, header: Option<&[u8]>) -> Verdict {
        let Some((scheme, encoded)) = header
            .and_then(|value| std::str::from_utf8(value).ok())
            .and_then(|value| value.trim().split_once(' '))
        else {
            return Verdict::Unknown;
        };
        if !scheme.eq_ignore_ascii_case("basic") {
            return Verdict::Unknown;
        }
        let Some(decoded) = STANDARD
            .decode(encoded.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
        else {
            return Verdict::Garbled;
        };
        let Some((user, password)) = decoded.split_once(':') else {
            return Verdict::Garbled;
        };
        let user_is_right = self.user.as_bytes().ct_eq(user.as_bytes());
        let password_is_right = match self.password.strip_prefix(HASHED) {
            Some(digest) => digest.as_bytes().ct_eq(hex_of(password).as_bytes()),
            None => self.password.as_bytes().ct_eq(password.as_bytes()),
        };
        match bool::from(user_is_right & password_is_right) {
            true => Verdict::Welcome,
            false => Verdict::Unknown,
        }
    }
}

fn hex_of(password: &str) -> String {
    let digest = Sha1::digest(password.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_name_and_password_are_welcome() {
        let clear = Credentials::new("user".into(), "a:b".into());
        // printf a:b | sha1sum
        let hashed = Credentials::new(
            "user".into(),
            format!("{HASHED}{}", "dcea6d9ccd3d20ba1549f6d9b5dde60742158882"),
        );
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let table = [
            (Some(header("user:a:b")), Verdict::Welcome),
            (Some(header("user:a")), Verdict::Unknown),
            (Some(header("other:a:b")), Verdict::Unknown),
            (Some(header("user:")), Verdict::Unknown),
            (Some(header("no colon")), Verdict::Garbled),
            (Some("Basic !!!".to_owned()), Verdict::Garbled),
            (Some("Bearer abc".to_owned()), Verdict::Unknown),
            (Some("Basic".to_owned()), Verdict::Unknown),
            (None, Verdict::Unknown),
        ];
        for (value, verdict) in table {
            let bytes = value.as_deref().map(str::as_bytes);
            assert_eq!(clear.judge(bytes), verdict, "{value:?}");
            assert_eq!(hashed.judge(bytes), verdict, "hashed: {value:?}");
        }
    }
}
