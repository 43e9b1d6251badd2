//! OpenSSH's `known_hosts`: whether a host is who it says it is. See sshd(8), "SSH_KNOWN_HOSTS FILE
//! FORMAT".
//!
//! Hashed names, patterns, ports and revoked keys are understood; certificates are not, so a host
//! that shows one is unknown. libssh2 looks at names without patterns only, and at no system-wide
//! file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use ring::hmac;

/// The files of known hosts.
#[derive(Debug, Clone)]
pub(super) struct KnownHosts(Vec<Utf8PathBuf>);

/// What is known of a host's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostKey {
    /// It is the host's.
    Known,
    /// Nothing is known of the host, or none of its keys of this kind.
    Unknown,
    /// The host's key is another one.
    Changed,
    /// The key is not to be trusted any more.
    Revoked,
}

impl KnownHosts {
    /// Returns the files of the person whose SSH folder is `ssh`, and those of the machine.
    pub(super) fn of(ssh: Option<&Utf8Path>) -> Self {
        let own =
            ssh.into_iter().flat_map(|ssh| ["known_hosts", "known_hosts2"].map(|f| ssh.join(f)));
        let machine = ["ssh_known_hosts", "ssh_known_hosts2"];
        Self(own.chain(machine.map(|name| Utf8PathBuf::from("/etc/ssh").join(name))).collect())
    }

    /// Returns what is known of `key`, which `host` has shown.
    pub(super) fn check(&self, host: &str, port: u16, key: &[u8]) -> HostKey {
        let texts = self.0.iter().filter_map(|path| std::fs::read(path).ok());
        let texts: Vec<String> =
            texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
        check(texts.iter().flat_map(|text| text.lines()), host, port, key)
    }
}

fn check<'a>(lines: impl Iterator<Item = &'a str>, host: &str, port: u16, key: &[u8]) -> HostKey {
    let name = match port {
        22 => host.to_lowercase(),
        port => format!("[{}]:{port}", host.to_lowercase()),
    };
    let mut verdict = HostKey::Unknown;
    for line in lines.filter_map(Line::parse).filter(|line| line.names(&name)) {
        match line.marker {
            Some("@revoked") if line.key == key => return HostKey::Revoked,
            Some(_) => {}
            None if line.key == key => verdict = HostKey::Known,
            None if verdict == HostKey::Unknown && kind(&line.key) == kind(key) => {
                verdict = HostKey::Changed;
            }
            None => {}
        }
    }
    verdict
}

/// Returns the name of a key's kind, which it begins with (RFC 4253, section 6.6).
fn kind(key: &[u8]) -> Option<&[u8]> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// `[@marker] names kind key [comment]`
struct Line<'a> {
    marker: Option<&'a str>,
    names: &'a str,
    key: Vec<u8>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().filter(|word| !word.starts_with('#'))?;
        let (marker, names) = match first.starts_with('@') {
            true => (Some(first), words.next()?),
            false => (None, first),
        };
        let key = STANDARD.decode(words.nth(1)?).ok()?;
        Some(Self { marker, names, key })
    }

    /// Returns whether the line is about the host `name`.
    fn names(&self, name: &str) -> bool {
        if let Some(hashed) = self.names.strip_prefix("|1|") {
            return is_hash_of(hashed, name).unwrap_or(false);
        }
        let mut found = false;
        for pattern in self.names.split(',') {
            match pattern.strip_prefix('!') {
                Some(pattern) if is_match(pattern, name) => return false,
                Some(_) => {}
                None => found |= is_match(pattern, name),
            }
        }
        found
    }
}

/// Returns whether `salt|hash` is the HMAC-SHA1 of `name`.
fn is_hash_of(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    Some(hmac::verify(&key, name.as_bytes(), &hash).is_ok())
}

/// Returns whether `name` matches `pattern`, in which `*` and `?` stand for other characters.
fn is_match(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase().into_bytes(), name.as_bytes());
    let (mut at, mut matched) = (0, 0);
    // Where to go on if what follows the last star does not match here.
    let mut star: Option<(usize, usize)> = None;
    while matched < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, matched));
                at += 1;
            }
            Some(&c) if c == b'?' || c == name[matched] => (at, matched) = (at + 1, matched + 1),
            _ => match star {
                Some((star_at, from)) => {
                    star = Some((star_at, from + 1));
                    (at, matched) = (star_at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, content: u8) -> Vec<u8> {
        let length = u32::try_from(kind.len()).unwrap().to_be_bytes();
        [&length, kind.as_bytes(), &[content; 8]].concat()
    }

    fn line(names: &str, key: &[u8]) -> String {
        format!("{names} kind {} comment", STANDARD.encode(key))
    }

    fn verdict(lines: &[String], host: &str, port: u16) -> HostKey {
        check(lines.iter().map(String::as_str), host, port, &key("ssh-ed25519", 1))
    }

    #[test]
    fn a_host_is_known_by_its_name_or_a_pattern() {
        let key = key("ssh-ed25519", 1);
        let lines = ["# comment".to_owned(), String::new(), line("Git.example.com,10.0.0.1", &key)];
        assert_eq!(verdict(&lines, "git.EXAMPLE.com", 22), HostKey::Known);
        assert_eq!(verdict(&lines, "10.0.0.1", 22), HostKey::Known);
        assert_eq!(verdict(&lines, "10.0.0.10", 22), HostKey::Unknown);
        assert_eq!(verdict(&lines, "git.example.com", 2222), HostKey::Unknown);
        let lines = [line("[git.example.com]:2222", &key)];
        assert_eq!(verdict(&lines, "git.example.com", 2222), HostKey::Known);
        let lines = [line("*.example.com,!old.example.com", &key)];
        assert_eq!(verdict(&lines, "git.example.com", 22), HostKey::Known);
        assert_eq!(verdict(&lines, "old.example.com", 22), HostKey::Unknown);
        assert_eq!(verdict(&lines, "example.com", 22), HostKey::Unknown);
        assert!(is_match("g?t.*e.c*m", "git.example.com"));
        assert!(!is_match("g?t.*e.c", "git.example.com"));
    }

    #[test]
    fn a_hashed_name_is_known() {
        // `ssh-keygen -H` of OpenSSH 10.0 on a line for git.example.com.
        let name = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=";
        let lines = [line(name, &key("ssh-ed25519", 1))];
        let ours = is_hash_of(&name[3..], "192.168.1.61");
        assert_eq!(ours, Some(true));
        assert_eq!(verdict(&lines, "192.168.1.61", 22), HostKey::Known);
        assert_eq!(verdict(&lines, "192.168.1.62", 22), HostKey::Unknown);
        assert_eq!(verdict(&[line("|1|x|y", &[1])], "git.example.com", 22), HostKey::Unknown);
    }

    #[test]
    fn another_key_of_the_same_kind_is_a_change() {
        let (other, rsa) = (key("ssh-ed25519", 2), key("ssh-rsa", 2));
        let of = |lines: &[String]| verdict(lines, "git.example.com", 22);
        assert_eq!(of(&[line("git.example.com", &other)]), HostKey::Changed);
        assert_eq!(of(&[line("git.example.com", &rsa)]), HostKey::Unknown);
        let right = line("git.example.com", &key("ssh-ed25519", 1));
        assert_eq!(of(&[line("git.example.com", &other), right.clone()]), HostKey::Known);
        let revoked = format!("@revoked {}", line("*", &key("ssh-ed25519", 1)));
        assert_eq!(of(&[right.clone(), revoked]), HostKey::Revoked);
        let authority = format!("@cert-authority {right}");
        assert_eq!(of(&[authority]), HostKey::Unknown);
        assert_eq!(of(&[line("git.example.com", &[])]), HostKey::Unknown);
    }
}
