//! Who asks: a token, or an App that gets itself one for each repository.

use std::collections::HashMap;
use std::fmt;

use secrecy::SecretString;
use tokio::sync::Mutex;

use super::GithubError;
use super::app::{App, Installation};
use crate::system::Environment;

/// Who asks.
pub(super) enum Credentials {
    /// `GITHUB_TOKEN` or `GH_TOKEN`.
    Token(SecretString),
    /// A GitHub App, and the tokens of its installations by `owner/name` in lower case.
    App { app: Box<App>, tokens: Mutex<HashMap<String, Installation>> },
}

impl Credentials {
    /// Returns those that the environment has; an App goes before a token.
    pub(super) fn find(environment: &Environment) -> Result<Self, GithubError> {
        if let Some(app) = App::find(environment)? {
            return Ok(Self::App { app: Box::new(app), tokens: Mutex::default() });
        }
        let token = environment.get("GITHUB_TOKEN").or(environment.get("GH_TOKEN"));
        let token = token.map(str::trim).filter(|token| !token.is_empty());
        let token = token.ok_or(GithubError::NoToken)?;
        // It becomes a header, and a line break would add one of its own.
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(GithubError::Unauthorized {
                message: "the token holds a character that it can't have".to_owned(),
            });
        }
        Ok(Self::Token(token.to_owned().into()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::App { .. } => "App",
        })
    }
}
