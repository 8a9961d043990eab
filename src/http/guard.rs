//! Which requests a browser may have been talked into, and are therefore not answered.
//!
//! A page of somebody else can make a browser send requests here: with a form or a script of its
//! own (cross-site request forgery), or under a name that it lets point to this machine (DNS
//! rebinding). Programs cannot be used like that, so a request without the signs of a browser is
//! taken as it is: scripts, Prometheus and XML-RPC clients notice nothing of all this.
//!
//! Pure: headers in, verdict out. Must never: be the only guard; credentials come first.

use hyper::HeaderMap;
use hyper::header::{self, HeaderName};
use rustix::rand::GetRandomFlags;
use subtle::ConstantTimeEq;

/// The header in which the page sends its token.
pub const TOKEN: &str = "x-csrf-token";

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It only looks.
    Look,
    /// A call of XML-RPC, whose clients cannot know a token.
    Call,
    /// It changes something.
    Change,
    /// It changes something by GET, as links of Supervisor's page do.
    Link,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// It comes under a name that need not be ours.
    Host,
    /// It comes from a page of somebody else.
    Origin,
    /// It does not carry the token of our page.
    Token,
    /// It is a link that changes something, followed by a browser.
    Link,
}

impl Suspicion {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Suspicion::Host => {
                "The host name of this request need not be this machine's. Use an address, \
                 localhost, a name without a dot or the host of port=, or set a password."
            }
            Suspicion::Origin => "This request comes from a page of another site.",
            Suspicion::Token => {
                "A change from a browser needs the token of the page in the header X-CSRF-Token."
            }
            Suspicion::Link => {
                "A link cannot change anything in a browser, for any site could have it followed. \
                 Use the buttons of the page, or a program such as curl."
            }
        }
    }
}

/// What a server section knows to tell its own page from others.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Names under which it may be reached; `None`: any, for a password or the mode of a unix
    /// socket protects it.
    hosts: Option<Vec<String>>,
    /// Given to its page.
    token: String,
}

impl Guard {
    /// Of a server that is reached under these names, if names say anything, with a token that
    /// cannot be guessed.
    pub fn new(hosts: Option<Vec<String>>) -> Guard {
        let mut random = [0_u8; 16];
        // The kernel gives these few bytes whole, once it has booted; without them no token fits.
        let token = match rustix::rand::getrandom(&mut random, GetRandomFlags::empty()) {
            Ok(count) if count == random.len() => {
                random.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            _ => String::new(),
        };
        Guard { hosts, token }
    }

    /// What the page sends with a change.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Judges a request by its head.
    pub fn judge(&self, deed: Deed, headers: &HeaderMap) -> Result<(), Suspicion> {
        let head = Head(headers);
        if !head.is_of_a_browser() {
            return Ok(());
        }
        let host = head.text(header::HOST);
        if let Some(hosts) = &self.hosts
            && !host.is_some_and(|host| is_ours(host, hosts))
        {
            return Err(Suspicion::Host);
        }
        let site = head.site();
        let changes = deed != Deed::Look;
        match site {
            None | Some("same-origin" | "none") => {}
            // Somebody may follow a link to our page, but not have its parts loaded.
            Some(_) if !changes && head.navigates() => {}
            Some(_) => return Err(Suspicion::Origin),
        }
        if changes
            && let Some(origin) = head.text(header::ORIGIN)
            && !head.is_own(origin)
        {
            return Err(Suspicion::Origin);
        }
        match deed {
            Deed::Link if site.is_none() => Err(Suspicion::Link),
            Deed::Change if !self.has_token(headers) => Err(Suspicion::Token),
            _ => Ok(()),
        }
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(TOKEN).map_or(&[][..], |value| value.as_bytes());
        !self.token.is_empty() && bool::from(given.ct_eq(self.token.as_bytes()))
    }
}

struct Head<'a>(&'a HeaderMap);

impl<'a> Head<'a> {
    fn text(&self, name: HeaderName) -> Option<&'a str> {
        self.0.get(name).and_then(|value| value.to_str().ok())
    }

    /// Browsers always send the last one, whatever a page wants; the others say more.
    fn is_of_a_browser(&self) -> bool {
        self.0.contains_key(header::ORIGIN)
            || self.0.contains_key("sec-fetch-site")
            || self.0.contains_key(header::ACCEPT_LANGUAGE)
    }

    fn site(&self) -> Option<&'a str> {
        let site = self.0.get("sec-fetch-site")?;
        Some(site.to_str().unwrap_or_default())
    }

    fn navigates(&self) -> bool {
        let mode = self.0.get("sec-fetch-mode");
        mode.is_some_and(|mode| mode == "navigate")
    }

    /// Whether this origin is the host that was asked, or that a proxy was asked. A foreign page
    /// cannot set either.
    fn is_own(&self, origin: &str) -> bool {
        let Some((_, origin)) = origin.split_once("://") else {
            return false;
        };
        let forwarded = HeaderName::from_static("x-forwarded-host");
        [self.text(header::HOST), self.text(forwarded)]
            .into_iter()
            .flatten()
            .any(|host| host.eq_ignore_ascii_case(origin))
    }
}

/// Whether only this machine, or one in its own network, can be meant by this `Host`.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    let name = without_port(host).trim_end_matches('.');
    let name = name.to_ascii_lowercase();
    if name.starts_with('[') {
        return true;
    }
    !name.is_empty()
        && (!name.contains('.')
            || name.ends_with(".localhost")
            || name.parse::<std::net::Ipv4Addr>().is_ok()
            || hosts.contains(&name))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines.split('\n').filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    fn judge(deed: Deed, lines: &str) -> Result<(), Suspicion> {
        let guard = Guard {
            hosts: Some(vec!["box.example".to_owned()]),
            token: "t0ken".to_owned(),
        };
        guard.judge(deed, &headers(lines))
    }

    #[test]
    fn programs_are_not_asked() {
        for deed in [Deed::Look, Deed::Call, Deed::Change, Deed::Link] {
            for lines in ["", "host: any.example\nuser-agent: curl", "accept: */*"] {
                assert_eq!(judge(deed, lines), Ok(()), "{deed:?} {lines}");
            }
        }
    }

    #[test]
    fn a_name_that_need_not_be_ours_is_refused_to_browsers() {
        for (host, ours) in [
            ("127.0.0.1:9001", true),
            ("192.168.7.9", true),
            ("[::1]:9001", true),
            ("localhost:9001", true),
            ("app.localhost", true),
            ("LOCALHOST.", true),
            ("supervisor:9001", true),
            ("box.example:9001", true),
            ("evil.example:9001", false),
            ("box.example.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("1.2.3.4.5", false),
            ("", false),
        ] {
            let lines = format!("accept-language: en\nhost: {host}");
            let expected = if ours { Ok(()) } else { Err(Suspicion::Host) };
            assert_eq!(judge(Deed::Look, &lines), expected, "{host}");
        }
        assert_eq!(
            judge(Deed::Look, "accept-language: en"),
            Err(Suspicion::Host)
        );
        let open = Guard {
            hosts: None,
            token: String::new(),
        };
        let elsewhere = headers("accept-language: en\nhost: evil.example");
        assert_eq!(open.judge(Deed::Look, &elsewhere), Ok(()));
    }

    #[test]
    fn foreign_pages_change_nothing() {
        let local = "host: localhost:9001\n";
        let cases = [
            (Deed::Call, "origin: http://localhost:9001", Ok(())),
            (
                Deed::Call,
                "origin: http://localhost:9002",
                Err(Suspicion::Origin),
            ),
            (
                Deed::Call,
                "origin: https://evil.example",
                Err(Suspicion::Origin),
            ),
            (Deed::Call, "origin: null", Err(Suspicion::Origin)),
            (
                Deed::Call,
                "sec-fetch-site: same-site",
                Err(Suspicion::Origin),
            ),
            (
                Deed::Call,
                "origin: https://proxy.example\nx-forwarded-host: proxy.example",
                Ok(()),
            ),
            (
                Deed::Change,
                "origin: http://localhost:9001",
                Err(Suspicion::Token),
            ),
            (
                Deed::Change,
                "origin: http://localhost:9001\nx-csrf-token: t0ken",
                Ok(()),
            ),
            (
                Deed::Change,
                "origin: http://localhost:9001\nx-csrf-token: t0kem",
                Err(Suspicion::Token),
            ),
            (
                Deed::Change,
                "origin: https://evil.example\nx-csrf-token: t0ken",
                Err(Suspicion::Origin),
            ),
            (Deed::Link, "accept-language: en", Err(Suspicion::Link)),
            (Deed::Link, "sec-fetch-site: none", Ok(())),
            (Deed::Link, "sec-fetch-site: same-origin", Ok(())),
            (
                Deed::Link,
                "sec-fetch-site: cross-site",
                Err(Suspicion::Origin),
            ),
            (
                Deed::Link,
                "sec-fetch-site: cross-site\nsec-fetch-mode: navigate",
                Err(Suspicion::Origin),
            ),
            (
                Deed::Look,
                "sec-fetch-site: cross-site\nsec-fetch-mode: navigate",
                Ok(()),
            ),
            (
                Deed::Look,
                "sec-fetch-site: cross-site\nsec-fetch-mode: no-cors",
                Err(Suspicion::Origin),
            ),
        ];
        for (deed, lines, verdict) in cases {
            let lines = format!("{local}{lines}");
            assert_eq!(judge(deed, &lines), verdict, "{deed:?} {lines}");
        }
    }
}
