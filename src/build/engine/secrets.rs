//! The secrets that a Dockerfile's steps can read: to the engine by name, never by value.
//!
//! An engine reads the file or the variable itself. Here it is read only so that what the engine
//! prints of it can be made unreadable.

use std::fs::File;
use std::io::Read as _;

use camino::Utf8Path;
use secrecy::SecretString;

use crate::build::{BuildError, BuildRequest};
use crate::image::{Dockerfile, SecretSource};
use crate::system::{Command, Environment};

/// BuildKit takes no larger secret.
const LARGEST_SECRET: u64 = 500 << 10;

/// Shorter parts of a secret are not looked for in what an engine prints: they are in many words.
const SHORTEST_PART: usize = 8;

/// More parts of a secret than this are not looked for.
const MOST_PARTS: usize = 1000;

/// The secrets of a build.
#[derive(Debug, Default)]
pub(in crate::build) struct Secrets {
    arguments: Vec<String>,
    values: Vec<SecretString>,
}

impl Secrets {
    /// Returns the Dockerfile's secrets, which are all there.
    ///
    /// # Errors
    ///
    /// Fails if a file can't be read, or a variable is not set.
    pub(in crate::build) fn read(
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
        environment: &Environment,
    ) -> Result<Self, BuildError> {
        let mut secrets = Self::default();
        for (id, source) in &dockerfile.secrets {
            match source {
                SecretSource::File(path) => secrets.add_file(id, &request.folder.join(path))?,
                SecretSource::Variable(name) => secrets.add_variable(id, name, environment)?,
            }
        }
        Ok(secrets)
    }

    pub(in crate::build) fn is_empty(&self) -> bool {
        self.arguments.is_empty()
    }

    /// Returns the command with the secrets passed on to it.
    pub(in crate::build) fn pass_on(self, command: Command) -> Command {
        self.values.into_iter().fold(command.args(&self.arguments), Command::redact)
    }

    fn add_file(&mut self, id: &str, path: &Utf8Path) -> Result<(), BuildError> {
        let refused =
            |reason: &str| BuildError::Secret { id: id.to_owned(), reason: reason.to_owned() };
        if path.as_str().contains([',', '"']) {
            return Err(refused(&format!(
                "engines take no path with a comma or a quote: `{path}`"
            )));
        }
        let content = content(path).map_err(|error| refused(&format!("`{path}`: {error}")))?;
        if content.len() as u64 > LARGEST_SECRET {
            return Err(refused(&format!("`{path}` is larger than 500 KiB")));
        }
        self.arguments.extend(["--secret".to_owned(), format!("id={id},src={path}")]);
        self.values.extend(parts(&String::from_utf8_lossy(&content)));
        Ok(())
    }

    fn add_variable(
        &mut self,
        id: &str,
        name: &str,
        environment: &Environment,
    ) -> Result<(), BuildError> {
        let Some(value) = environment.get(name) else {
            let reason = format!("the environment variable `{name}` is not set");
            return Err(BuildError::Secret { id: id.to_owned(), reason });
        };
        self.arguments.extend(["--secret".to_owned(), format!("id={id},env={name}")]);
        self.values.extend(parts(value));
        Ok(())
    }
}

fn content(path: &Utf8Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut content = Vec::new();
    file.take(LARGEST_SECRET + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// Returns what must not be printed of a secret, longest first: the whole, its lines, and what in
/// them looks like a token, since a step that prints `.npmrc` may print its fields one by one.
fn parts(secret: &str) -> Vec<SecretString> {
    let lines = secret.lines().map(str::trim);
    let is_separator = |c: char| c.is_whitespace() || "\"'=:,;@{}[]()".contains(c);
    let words = lines.clone().flat_map(|line| line.split(is_separator));
    let tokens = words.filter(|word| word.contains(|c: char| c.is_ascii_digit()));
    let long = |part: &&str| part.len() >= SHORTEST_PART;
    let mut parts: Vec<&str> = lines.chain(tokens).filter(long).take(MOST_PARTS).collect();
    // Of one line, however short: it is all of the secret.
    parts.extend([secret.trim()].iter().filter(|whole| !whole.is_empty() && !whole.contains('\n')));
    parts.sort_unstable_by_key(|part| (std::cmp::Reverse(part.len()), *part));
    parts.dedup();
    parts.into_iter().map(SecretString::from).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[track_caller]
    fn check(secret: &str, expected: &[&str]) {
        let parts = parts(secret);
        let parts: Vec<&str> = parts.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_secret_is_hidden_whole_and_in_parts() {
        check("s3cr3t\n", &["s3cr3t"]);
        check("\n", &[]);
        check(
            "//npm.example.com/:_authToken=npm_0123456789\na=b\n",
            &["//npm.example.com/:_authToken=npm_0123456789", "npm_0123456789"],
        );
        check(
            "{\n\"auth\": \"dXNlcjpwYXNz1\"\n}\n",
            &["\"auth\": \"dXNlcjpwYXNz1\"", "dXNlcjpwYXNz1"],
        );
    }
}
