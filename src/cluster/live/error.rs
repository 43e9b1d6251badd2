//! What the kube crate says, in words that name what was asked; no credential is ever repeated.

use std::error::Error as StdError;

use kube::Error;
use kube::client::AuthError;

use crate::cluster::ClusterError;

/// Returns the error of asking `server` to `verb` (for example ``list pods in `shop` ``).
pub(super) fn explain(server: &str, verb: &str, error: Error) -> ClusterError {
    match error {
        Error::Api(status) => match status.code {
            401 => denied(verb, "the credentials are not accepted (401 Unauthorized)".to_owned()),
            403 => denied(verb, status.message.clone()),
            code => ClusterError::Answer(format!("{code} to {verb}: {}", status.message)),
        },
        // The output and the environment of a credential plugin are full of secrets.
        Error::Auth(AuthError::AuthExecStart(cause)) => {
            denied(verb, format!("the kubeconfig's credential plugin can't be run: {cause}"))
        }
        Error::Auth(AuthError::AuthExecRun { out, .. }) => {
            denied(verb, format!("the kubeconfig's credential plugin failed ({})", out.status))
        }
        Error::Auth(_) => denied(verb, "the kubeconfig's credentials can't be used".to_owned()),
        Error::Service(cause) => unreachable(server, cause.as_ref()),
        Error::HyperError(cause) => unreachable(server, &cause),
        Error::SerdeError(_) => {
            ClusterError::Answer(format!("something that is not JSON to {verb}"))
        }
        error => ClusterError::Answer(format!("{} to {verb}", deepest(&error))),
    }
}

fn denied(verb: &str, reason: String) -> ClusterError {
    ClusterError::Denied { verb: verb.to_owned(), reason }
}

fn unreachable(server: &str, cause: &(dyn StdError + 'static)) -> ClusterError {
    ClusterError::Unreachable { server: server.to_owned(), reason: deepest(cause) }
}

// The outer errors only say which layer of the client failed.
fn deepest(error: &(dyn StdError + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
