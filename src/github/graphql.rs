//! GraphQL: a query or a mutation, and the errors that come in an answer that is fine otherwise.

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::GithubError;
use super::answer::{Answer, one_line};
use super::client::{Call, Client, decode};
use super::slug::Slug;

/// What GitHub answers.
#[derive(Deserialize)]
struct Answered {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    errors: Vec<Mistake>,
}

/// An error of GraphQL's.
#[derive(Deserialize)]
struct Mistake {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

impl Client {
    /// Returns the data that `document` asks for; a mutation is made once, a query again where that
    /// may help.
    pub(super) async fn graphql<R: DeserializeOwned>(
        &self,
        slug: &Slug,
        action: &str,
        document: &str,
        variables: Value,
    ) -> Result<R, GithubError> {
        let call = Call {
            body: Some(json!({"query": document, "variables": variables})),
            repeatable: document.trim_start().starts_with("query"),
            ..Call::new(Method::POST, action, "")
        };
        let answer = self.send_graphql(slug, call).await?;
        let Answered { data, errors } = decode(action, &answer)?;
        if let Some(mistake) = errors.first() {
            let all: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
            return Err(error(action, &mistake.kind, one_line(&all.join(": "))));
        }
        serde_json::from_value(data).map_err(|error| {
            GithubError::unreachable(action, format!("GitHub's answer is not understood: {error}"))
        })
    }
}

impl Answer {
    /// Returns whether GraphQL says that a rate limit is used up, which it does with status 200.
    pub(super) fn is_limited_graphql(&self) -> bool {
        const LIMITED: &[u8] = b"RATE_LIMIT";
        // Decoding each answer twice would cost more than it is worth.
        if self.body.len() > 4096 || !self.body.windows(LIMITED.len()).any(|at| at == LIMITED) {
            return false;
        }
        let answered: Option<Answered> = serde_json::from_slice(&self.body).ok();
        let limited = |error: &Mistake| matches!(&*error.kind, "RATE_LIMITED" | "RATE_LIMIT");
        answered.is_some_and(|answered| answered.errors.iter().any(limited))
    }
}

/// Returns the error that one of type `kind` stands for.
fn error(action: &str, kind: &str, message: String) -> GithubError {
    let action = action.to_owned();
    match kind {
        "FORBIDDEN" | "INSUFFICIENT_SCOPES" => GithubError::Forbidden { action, message },
        "NOT_FOUND" => GithubError::NotFound { action },
        "STALE_DATA" => GithubError::Stale { action, message },
        _ => GithubError::Invalid { action, message },
    }
}
