//! The client, and how it gets new credentials when the API server takes the old ones no longer.

use std::sync::Mutex;

use kube::Client;

use super::{connect, error};
use crate::cluster::ClusterError;
use crate::system::Environment;

/// A client that can be made anew: tokens expire, and files and plugins have newer ones.
pub(super) struct Connection {
    environment: Environment,
    context: Option<String>,
    server: String,
    namespace: String,
    current: Mutex<Current>,
    renewal: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Current {
    client: Client,
    generation: u64,
}

impl Connection {
    /// Returns a connection that reaches no network yet.
    ///
    /// # Errors
    ///
    /// Fails if there is no usable kubeconfig, context or service account.
    pub(super) async fn new(
        environment: &Environment,
        context: Option<&str>,
    ) -> Result<Self, ClusterError> {
        let config = connect::config(environment, context).await?;
        let server = server_of(&config);
        let namespace = config.default_namespace.clone();
        let client = client(config, &server)?;
        Ok(Self {
            environment: environment.clone(),
            context: context.map(str::to_owned),
            server,
            namespace,
            current: Mutex::new(Current { client, generation: 0 }),
            renewal: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Returns the namespace of the context.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the client, and the number by which [`Connection::renew`] knows it.
    pub(super) fn client(&self) -> (Client, u64) {
        let current = self.current.lock().expect("no thread panics with the lock").clone();
        (current.client, current.generation)
    }

    /// Reads the credentials again, unless somebody did since `generation` was handed out.
    ///
    /// # Errors
    ///
    /// As [`Connection::new`].
    pub(super) async fn renew(&self, generation: u64) -> Result<(), ClusterError> {
        let _one_at_a_time = self.renewal.lock().await;
        if self.client().1 != generation {
            return Ok(());
        }
        let config = connect::config(&self.environment, self.context.as_deref()).await?;
        if server_of(&config) != self.server {
            let reason = format!("it names another server than `{}` by now", self.server);
            return Err(ClusterError::Kubeconfig { reason });
        }
        let client = client(config, &self.server)?;
        let mut current = self.current.lock().expect("no thread panics with the lock");
        *current = Current { client, generation: generation + 1 };
        Ok(())
    }
}

/// Returns the URL as it may be told: whoever wrote a user, a password or a query into it may have meant
/// them to be secret.
fn server_of(config: &kube::Config) -> String {
    let url = &config.cluster_url;
    let host = url.authority().map_or("", |authority| authority.as_str());
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let server = format!("{}://{host}{}", url.scheme_str().unwrap_or("https"), url.path());
    server.trim_end_matches('/').to_owned()
}

fn client(config: kube::Config, server: &str) -> Result<Client, ClusterError> {
    let unusable = |error: kube::Error| match error::explain(server, "connect", error) {
        ClusterError::Answer(reason) => ClusterError::NoCluster { reason },
        error => error,
    };
    Client::try_from(config).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_told_without_credentials() {
        for (url, expected) in [
            ("http://admin:canary@127.0.0.1:9?token=canary", "http://127.0.0.1:9"),
            ("https://[::1]:6443/k8s/clusters/c-1/", "https://[::1]:6443/k8s/clusters/c-1"),
        ] {
            assert_eq!(server_of(&kube::Config::new(url.parse().unwrap())), expected);
        }
    }
}
