//! What is fetched into a sandbox before its command starts (I1).
//!
//! Plain values and their rules, read by [`crate::convert::uris`]. Never fetches anything.

use crate::validate::Invalid;

/// The longest address, in bytes.
const VALUE_BYTES_MAX: usize = 8192;

/// The schemes that the Hadoop client fetches.
const BY_HADOOP: [&str; 6] = ["hdfs", "hftp", "webhdfs", "s3", "s3a", "s3n"];

/// The names in a sandbox that the output of tasks has.
const TAKEN: [&str; 4] = ["stdout", "stderr", "stdout.1", "stderr.1"];

/// By what something is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`, `https`, `ftp`, `ftps`.
    Net,
    /// A path of the machine.
    File,
    /// What the Hadoop client reads.
    Hadoop,
}

/// One thing to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchUri {
    /// The address, as given.
    pub value: String,
    /// Whether it becomes executable; then it is not unpacked.
    pub executable: bool,
    /// Whether it is unpacked when its name is that of an archive.
    pub extract: bool,
    /// Whether it goes by way of the agent's cache.
    pub cache: bool,
    /// Its path in the sandbox; `None` = the last part of the address.
    pub output_file: Option<String>,
}

impl FetchUri {
    /// The address without what is for us, and the checksum that it must have: the end `#sha256=` with 64 hexadecimal digits.
    pub fn address(&self) -> (&str, Option<&str>) {
        match self.value.rsplit_once("#sha256=") {
            Some((address, sum)) if is_sha256(sum) => (address, Some(sum)),
            _ => (&self.value, None),
        }
    }

    /// By what it is fetched; `None` when nothing here can.
    pub fn scheme(&self) -> Option<Scheme> {
        let (address, _) = self.address();
        if address.starts_with('/') {
            return Some(Scheme::File);
        }
        let (scheme, rest) = address.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "http" | "https" | "ftp" | "ftps" => Some(Scheme::Net),
            "file" if rest.starts_with('/') => Some(Scheme::File),
            other if BY_HADOOP.contains(&other) => Some(Scheme::Hadoop),
            _ => None,
        }
    }

    /// Its path in the sandbox.
    pub fn name(&self) -> &str {
        match &self.output_file {
            Some(name) => name,
            None => self.address().0.rsplit('/').next().unwrap_or_default(),
        }
    }

    /// Whether it can be fetched as it is said.
    ///
    /// # Errors
    /// [`Invalid`] naming the field.
    pub fn check(&self) -> Result<(), Invalid> {
        let value = |why: &str| Err(Invalid::new("value", why));
        if self.value.is_empty() {
            return value("is missing; give an address or an absolute path");
        }
        if VALUE_BYTES_MAX < self.value.len() || self.value.chars().any(char::is_control) {
            return value("is too long, or has control characters");
        }
        if self.value.rsplit_once("#sha256=").is_some() && self.address().1.is_none() {
            return value(
                "ends with #sha256= and something that is no checksum; give 64 hexadecimal digits",
            );
        }
        if self.scheme().is_none() {
            return value(
                "give an address with http, https, ftp, ftps, file or hdfs, or an absolute path",
            );
        }
        let field = if self.output_file.is_some() { "output_file" } else { "value" };
        let name = self.name();
        let parts = || name.split('/');
        let is_plain = parts().all(|it| !it.is_empty() && it != "." && it != "..")
            && !name.contains(['\0', '\\'])
            && !name.chars().any(char::is_control)
            && parts().all(|it| it.len() <= 255);
        if !is_plain || TAKEN.contains(&name) {
            let why = "does not name a file within the sandbox; give an `output_file` such as data/archive.tar.gz, and none of the names of a task's output";
            return Err(Invalid::new(field, why));
        }
        Ok(())
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(value: &str) -> FetchUri {
        FetchUri {
            value: value.to_owned(),
            executable: false,
            extract: true,
            cache: false,
            output_file: None,
        }
    }

    #[test]
    fn i1_addresses_are_told_apart() {
        for (value, scheme, name) in [
            ("http://host/a/b.tar.gz", Some(Scheme::Net), "b.tar.gz"),
            ("HTTPS://host/x?y=z", Some(Scheme::Net), "x?y=z"),
            ("ftp://host/x", Some(Scheme::Net), "x"),
            ("/opt/x.zip", Some(Scheme::File), "x.zip"),
            ("file:///opt/x.zip", Some(Scheme::File), "x.zip"),
            ("hdfs://name/x", Some(Scheme::Hadoop), "x"),
            ("file://host/x", None, "x"),
            ("gopher://host/x", None, "x"),
            ("x", None, "x"),
        ] {
            assert_eq!((uri(value).scheme(), uri(value).name()), (scheme, name), "{value}");
            assert_eq!(uri(value).check().is_ok(), scheme.is_some(), "{value}");
        }
    }

    #[test]
    fn what_leads_out_of_the_sandbox_or_into_a_tasks_output_is_refused() {
        for value in
            ["http://host/", "http://host/a/..", "/", "http://host/stdout", "", "http://h/a\nb"]
        {
            assert_eq!(uri(value).check().unwrap_err().path, "value", "{value}");
        }
        for name in ["/etc/passwd", "../x", "a/../../x", "a//b", "", ".", "stderr", "a\0b"] {
            let bad = FetchUri { output_file: Some(name.to_owned()), ..uri("http://host/x") };
            assert_eq!(bad.check().unwrap_err().path, "output_file", "{name:?}");
        }
        let good = FetchUri { output_file: Some("lib/x.jar".to_owned()), ..uri("http://host/") };
        assert_eq!((good.check(), good.name()), (Ok(()), "lib/x.jar"));
    }

    #[test]
    fn a_checksum_is_no_part_of_the_address() {
        let sum = "ab".repeat(32);
        let with = uri(&format!("http://host/x.zip#sha256={sum}"));
        assert_eq!(with.address(), ("http://host/x.zip", Some(sum.as_str())));
        assert_eq!((with.name(), with.check()), ("x.zip", Ok(())));
        assert_eq!(uri("http://host/x#sha256=1").check().unwrap_err().path, "value");
        assert_eq!(uri("http://host/x#part").address().1, None);
    }
}
