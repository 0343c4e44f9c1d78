//! What a web browser may do here: its user may look at pages, and no page of somebody else may act in the user's name.
//!
//! It relies on headers that browsers set and that pages cannot take away: `Origin` and `Sec-Fetch-Site`. It never stops
//! programs, which send neither, unless `--strict-host` asks for it.

use std::net::IpAddr;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};

use crate::answer::{self, Answer};
use crate::query::Query;
use crate::refusal::Refusal;

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which web pages may use a server, and under which names it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrowserPolicy {
    /// Origins of other sites (`https://console.example.net`) whose pages may do what they like here.
    pub origins: Vec<String>,
    /// Names of this server beside its addresses and `localhost`, without ports.
    pub names: Vec<String>,
    /// Whether programs, too, must call it by one of its names.
    pub strict_host: bool,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// No browser, or one that was told by its user.
    User,
    /// A page of this server's own.
    Own,
    /// A page of a site that is allowed.
    Allowed,
    /// Any other page.
    Foreign,
}

impl BrowserPolicy {
    /// Refuses what a page of somebody else asks for, and what is addressed to another name.
    ///
    /// # Errors
    /// 403 with what to set.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let from = self.from(request);
        let is_browser =
            [&ORIGIN, &SEC_FETCH_SITE].iter().any(|it| request.headers().contains_key(*it));
        if (is_browser || self.strict_host) && !self.knows_host(request) {
            return Err(Refusal::forbidden(format!(
                "`{}` is none of this server's names; call it by its address or its advertised name",
                host(request).unwrap_or_default()
            )));
        }
        match from {
            From::Foreign if acts(request) => Err(Refusal::forbidden(
                "a web page of another site asks for this; if it may, name its origin with --allow-origin",
            )),
            _ => Ok(()),
        }
    }

    /// Answers the question of a browser whether a page of another site may ask for something.
    pub(crate) fn preflight<B>(&self, request: &Request<B>) -> Option<Answer> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.from(request) != From::Allowed {
            return None;
        }
        let mut answer = answer::empty(StatusCode::NO_CONTENT);
        let headers = answer.headers_mut();
        let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE");
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        let names = "accept, authorization, content-type, mesos-stream-id, message-accept, message-content-type";
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(names));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(answer)
    }

    /// The origin that may read the answer, if a page of an allowed site asks.
    pub(crate) fn reader<B>(&self, request: &Request<B>) -> Option<HeaderValue> {
        let origin = request.headers().get(ORIGIN)?;
        (self.from(request) == From::Allowed).then(|| origin.clone())
    }

    fn from<B>(&self, request: &Request<B>) -> From {
        let headers = request.headers();
        let mut origins = headers.get_all(ORIGIN).iter().peekable();
        if origins.peek().is_some() {
            let all: Vec<&str> = origins.map(|it| it.to_str().unwrap_or("null")).collect();
            return match all.as_slice() {
                [one] if self.origins.iter().any(|it| it.eq_ignore_ascii_case(one)) => {
                    From::Allowed
                }
                [one] if is_own(one, request) && !is_cross_site(headers) => From::Own,
                _ => From::Foreign,
            };
        }
        match is_cross_site(headers) {
            true => From::Foreign,
            false => From::User,
        }
    }

    fn knows_host<B>(&self, request: &Request<B>) -> bool {
        let said = request.headers().get_all(HOST).iter().map(|it| it.to_str().unwrap_or("?"));
        let meant = request.uri().authority().map(http::uri::Authority::as_str);
        // Who says none is no browser.
        said.chain(meant).all(|it| self.is_name(it))
    }

    fn is_name(&self, host: &str) -> bool {
        let name = without_port(host);
        let address = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name);
        address.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|it| it.eq_ignore_ascii_case(name))
    }
}

/// Lets a page of an allowed site read the answer.
pub(crate) fn open_to(answer: &mut Answer, reader: HeaderValue) {
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, reader);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("mesos-stream-id"));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(&SEC_FETCH_SITE).iter();
    sites.any(|it| !matches!(it.as_bytes(), b"none" | b"same-origin"))
}

/// Whether an origin is the server that is asked.
fn is_own<B>(origin: &str, request: &Request<B>) -> bool {
    let place = origin.split_once("://").map(|(_, place)| place);
    place.is_some()
        && place.map(str::to_ascii_lowercase) == host(request).map(str::to_ascii_lowercase)
}

/// Whether a request changes something, or its answer is one that any page can read: a script.
fn acts<B>(request: &Request<B>) -> bool {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let query = Query::parse(request.uri().query().unwrap_or_default());
    !reads || query.get("jsonp").is_some() || request.uri().path().contains("/logging/toggle")
}

fn host<B>(request: &Request<B>) -> Option<&str> {
    let header = request.headers().get(HOST).map(|it| it.to_str().unwrap_or("?"));
    header.or_else(|| request.uri().authority().map(http::uri::Authority::as_str))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|it| it.is_ascii_digit()) && !name.ends_with(':') =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    fn policy() -> BrowserPolicy {
        BrowserPolicy {
            origins: vec!["https://console.example.net".to_owned()],
            names: vec!["m1.example.net".to_owned()],
            strict_host: false,
        }
    }

    fn passes(method: &str, path: &str, headers: &[(&str, &str)]) -> bool {
        policy().check(&request(method, path, headers)).is_ok()
    }

    const EVIL: (&str, &str) = ("origin", "http://evil.example");
    const HERE: (&str, &str) = ("host", "127.0.0.1:5050");

    #[test]
    fn no_page_of_another_site_acts_in_the_users_name() {
        let cross = ("sec-fetch-site", "cross-site");
        for (method, path) in [
            ("POST", "/holdfast/v1/kill?framework=f&task=t"),
            ("POST", "/teardown"),
            ("PUT", "/weights"),
            ("DELETE", "/quota/db"),
            ("POST", "/api/v1"),
            ("GET", "/state?jsonp=f"),
            ("GET", "/logging/toggle?level=3&duration=1secs"),
        ] {
            for foreign in [EVIL, ("origin", "null"), cross, ("sec-fetch-site", "same-site")] {
                assert!(!passes(method, path, &[HERE, foreign]), "{method} {path} {foreign:?}");
            }
            for own in [
                ("origin", "http://127.0.0.1:5050"),
                ("origin", "https://console.example.net"),
                ("sec-fetch-site", "none"),
                ("sec-fetch-site", "same-origin"),
                ("accept", "*/*"),
            ] {
                assert!(passes(method, path, &[HERE, own]), "{method} {path} {own:?}");
            }
        }
        assert!(passes("GET", "/state", &[HERE, cross]), "a link may lead here");
        assert!(!passes("POST", "/teardown", &[HERE, ("origin", "http://127.0.0.1:5051")]));
        assert!(!passes("POST", "/teardown", &[HERE, ("origin", "http://127.0.0.1:5050"), cross]));
        assert!(!passes("POST", "/teardown", &[HERE, EVIL, ("origin", "http://127.0.0.1:5050")]));
    }

    #[test]
    fn a_name_that_was_bound_anew_is_not_ours() {
        let rebound = [("host", "evil.example:5050"), ("origin", "http://evil.example:5050")];
        assert!(!passes("POST", "/teardown", &rebound));
        assert!(!passes("GET", "/state", &rebound));
        assert!(passes("GET", "/state", &rebound[..1]), "programs may call it as they like");
        let strict = BrowserPolicy { strict_host: true, ..policy() };
        let of = |host| strict.check(&request("GET", "/state", &[("host", host)])).is_ok();
        assert!(!of("evil.example") && !of("evil.example:5050"));
        for ours in
            ["127.0.0.1:5050", "localhost", "[::1]:5050", "::1", "M1.example.net:5050", "10.0.0.7"]
        {
            assert!(of(ours), "{ours}");
        }
        assert!(strict.check(&request("GET", "/state", &[])).is_ok());
    }

    #[test]
    fn pages_of_allowed_sites_may_ask_and_read() {
        let asks = ("access-control-request-method", "POST");
        let allowed = ("origin", "https://console.example.net");
        let question = request("OPTIONS", "/api/v1", &[HERE, allowed, asks]);
        assert_eq!(policy().preflight(&question).map(|it| it.status().as_u16()), Some(204));
        assert!(policy().reader(&question).is_some());
        let foreign = request("OPTIONS", "/api/v1", &[HERE, EVIL, asks]);
        assert!(policy().preflight(&foreign).is_none() && policy().reader(&foreign).is_none());
        assert!(policy().reader(&request("GET", "/state", &[HERE])).is_none());
    }
}
